import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import fc from 'fast-check'
import { clocksAt, gridOf, isZone } from '#engine'
import { hopping, tumbling } from '../../operators/index.ts'
import { through, type Given } from '../operators/table.ts'

const HOUR = 3_600_000
const { hours } = JSON.parse(readFileSync(join(import.meta.dirname, '../oracles/zones.json'), 'utf8')) as { hours: Record<string, Record<string, number[]>> }
const names = Object.keys(hours['24'])

for (const [length, zones] of Object.entries(hours)) {
  t.test(`windows of ${length} hours begin where zoneinfo says, through every change of the clocks`, async t => {
    let count = 0
    for (const [name, begins] of Object.entries(zones)) {
      const grid = gridOf(Number(length) * HOUR, 0, name)
      for (const [i, second] of begins.entries()) {
        const begin = second * 1000, next = begins[i + 1] * 1000
        if (grid.start(begin) !== begin) t.fail(`${name}: ${new Date(begin).toISOString()} begins at ${new Date(grid.start(begin)).toISOString()}`)
        if (grid.start(begin - 0.001) >= begin) t.fail(`${name}: one begins too early at ${new Date(begin).toISOString()}`)
        if (next - begin > 3 * Number(length) * HOUR || Number.isNaN(next)) continue         // another period
        if (grid.end(begin) !== next) t.fail(`${name}: ${new Date(begin).toISOString()} ends at ${new Date(grid.end(begin)).toISOString()}, not ${new Date(next).toISOString()}`)
        count++
      }
    }
    t.ok(count > 100)
  })
}

t.test('windows tile the time, in every zone and length', async t => {
  const time = fc.oneof(fc.double({ min: 0, max: 2e12, noNaN: true }), ...[1711846800000, 1729990800000, 1710054000000, 1730613600000, 1289097060000].map(near => fc.double({ min: near - 3 * HOUR, max: near + 3 * HOUR, noNaN: true })))
  fc.assert(fc.property(fc.constantFrom(...names), fc.constantFrom(0.25, 0.5, 1, 2, 3, 6, 24, 168), fc.constantFrom(0, 0.5, 6), time, (name, length, offset, time) => {
    const grid = gridOf(length * HOUR, offset * HOUR, name), start = grid.start(time), end = grid.end(start)
    assert.ok(start <= time && time < end, `${name} ${length}h: ${time} in [${start}, ${end})`)
    assert.equal(grid.start(start), start)
    assert.equal(grid.start(end), end)
    assert.equal(grid.start(end - 0.01), start)
    assert.ok(end - start <= (length + 24.5) * HOUR)
  }), { numRuns: 2000 })
  t.ok(true)
})

t.test('an hour that comes again is a window of its own; a day of 25 hours is one', async t => {
  const at = (iso: string) => Date.parse(iso), lengths = (every: number, from: string, count: number) => {
    const grid = gridOf(every * HOUR, 0, 'Europe/Berlin')
    let start = grid.start(at(from))
    return Array.from({ length: count }, () => { const end = grid.end(start), length = (end - start) / HOUR; start = end; return length })
  }
  t.strictSame(lengths(24, '2024-10-26T12:00Z', 3), [24, 25, 24])
  t.strictSame(lengths(24, '2024-03-30T12:00Z', 3), [24, 23, 24])
  t.strictSame(lengths(1, '2024-10-26T23:00Z', 4), [1, 1, 1, 1])
  t.strictSame(lengths(6, '2024-10-26T22:00Z', 3), [7, 6, 6])
  t.strictSame(lengths(6, '2024-03-30T23:00Z', 3), [5, 6, 6])
})

t.test('a day that has begun does not end when clocks go back before midnight', async t => {
  const grid = gridOf(24 * HOUR, 0, 'America/St_Johns'), midnight = Date.parse('2010-11-07T02:30Z')
  t.equal(grid.start(midnight + 30_000), midnight)
  t.equal(grid.start(midnight + 90_000), midnight, 'a minute after midnight it is 23:01 again')
  t.equal(grid.end(midnight), midnight + 25 * HOUR)
})

t.test('days of a plant are local days, in windows that follow one another and in those that overlap', async t => {
  const from = Date.parse('2024-03-29T23:00Z') / 1000       // midnight in Berlin, two days before clocks go forward
  const readings = Array.from({ length: 96 }, (_, h): Given => [from + h * 3600, 'a/x', h])
  const days = through(tumbling({ every: '1d', zone: 'Europe/Berlin', features: ['count'] }), readings)
  t.strictSame(days.map(r => [new Date(r.at * 1000).toISOString(), r.count]), [['2024-03-29T23:00:00.000Z', 24], ['2024-03-30T23:00:00.000Z', 23], ['2024-03-31T22:00:00.000Z', 24], ['2024-04-01T22:00:00.000Z', 24], ['2024-04-02T22:00:00.000Z', 1]])
  const hops = through(hopping({ size: '1d', every: '12h', zone: 'Europe/Berlin', features: ['count'] }), readings)
  t.strictSame(hops.map(r => r.count), [12, 24, 23, 23, 24, 24, 24, 24, 13, 1])
  for (const day of days) t.equal(hops.find(r => r.at === day.at)!.count, day.count, 'a window of a day is that day')
})

t.test('a zone that is none is refused', async t => {
  t.ok(isZone('Asia/Tokyo') && !isZone('Europe/Nowhere'))
  t.throws(() => tumbling({ every: '1d', zone: 'Europe/Nowhere' }), { code: 'config/invalid', message: /no time zone "Europe\/Nowhere"/ })
})

t.test('clocks read what Intl says, also around changes; of UTC the times themselves', async t => {
  const time = Float64Array.from({ length: 5000 }, (_, i) => Date.UTC(2026, 2, 28) + i * 1_234_567 + 0.25)
  t.equal(clocksAt(time, undefined), time)
  for (const zone of ['Europe/Berlin', 'Asia/Shanghai', 'America/St_Johns']) {
    const format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' })
    const clocks = clocksAt(time, zone)
    t.strictSame(Array.from(clocks, at => new Date(at).toISOString().slice(0, 19).replace('T', ' ')), Array.from(time, at => format.format(at)), zone)
    t.ok(clocks.every((at, i) => at % 1 === time[i] % 1), 'to the fraction of a millisecond')
  }
})
