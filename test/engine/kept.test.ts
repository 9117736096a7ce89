import assert from 'node:assert/strict'
import t from 'tap'
import fc from 'fast-check'
import { Kept } from '../../engine/kept.ts'
import { Tape } from '../../engine/saved.ts'

function tapeOf (numbers: readonly number[]): Tape {
  const tape = new Tape(), from = tape.reserve(numbers.length)
  tape.data.set(numbers, from)
  return tape
}

t.test('numbers come out as they were kept, whatever else is kept and let go meanwhile', async t => {
  const lengths = fc.oneof(fc.nat(200), fc.constantFrom(0, 1, 61, 62, 63, 64, 125, 126, 20_000))
  fc.assert(fc.property(fc.array(fc.record({ id: fc.nat(9), length: lengths }), { maxLength: 60, size: 'max' }), acts => {
    const kept = new Kept(), model = new Map<number, number[]>()
    let next = 0
    for (const { id, length } of acts) {
      if (model.has(id)) {
        const tape = tapeOf([7])
        kept.move(id, tape)
        assert.deepEqual([...tape.data.subarray(0, tape.length)], [7, ...model.get(id)!])
        model.delete(id)
      } else {
        model.set(id, Array.from({ length }, () => next++))
        kept.keep(id, tapeOf(model.get(id)!))
      }
      assert.equal(kept.size, model.size)
      for (let id = 0; id < 10; id++) assert.equal(kept.has(id), model.has(id))
    }
    kept.clear()
    assert.equal(kept.size, 0)
  }), { numRuns: 200 })
  t.ok(true)
})
