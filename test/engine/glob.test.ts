import assert from 'node:assert/strict'
import t from 'tap'
import fc from 'fast-check'
import { matcher } from '#engine'

t.test('a star stands for any characters, all else for itself; several patterns: one of them', async t => {
  const text = fc.array(fc.constantFrom('a', 'b', '.'), { maxLength: 8 }).map(s => s.join(''))
  const pattern = fc.array(fc.constantFrom('a', 'b', '.', '*', '*'), { maxLength: 6 }).map(s => s.join(''))
  fc.assert(fc.property(text, fc.array(pattern, { minLength: 1, maxLength: 2 }), (name, patterns) => {
    const same = patterns.some(p => new RegExp(`^${p.replaceAll('.', '\\.').replaceAll('*', '.*')}$`).test(name))
    assert.equal(matcher(patterns)(name), same)
    assert.equal(matcher(patterns[0])(name), matcher([patterns[0]])(name))
  }), { numRuns: 5000 })
  t.ok(true)
})

t.test('a hostile pattern costs no more than a plain one', async t => {
  const started = process.cpuUsage()
  t.equal(matcher('*a'.repeat(50))('a'.repeat(40) + 'b'.repeat(50_000)), false)
  t.ok(process.cpuUsage(started).user < 1e7)
})
