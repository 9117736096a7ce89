import t from 'tap'
import { move, stand, still, unlikely } from '../../models/hygiene-still.ts'
import { Stuck, stuck } from '../../models/hygiene-stuck.ts'
import { normal, uniform } from './random.ts'

const LIMIT = 6
const open = () => Float64Array.from(Object.values(still)), moves = (m: Float64Array, n: number) => { for (let i = 0; i < n; i++) move(m, 0, 0) }

t.test('from its birth a series is taken to stand still: how long is not known before it has moved', async t => {
  const m = open()
  t.equal(unlikely(m, 0, 1e9), 0)
  moves(m, 34)
  t.equal(unlikely(m, 0, 20), 0)
  moves(m, 1)
  t.equal(unlikely(m, 0, 20), Infinity, 'half of what it did was to move')
})

t.test('a spell is as unlikely as Student has it among the logarithms of those before, times how often one begins', async t => {
  const m = open(), lengths = [200, 260, 180, 220, 240], logs = lengths.map(Math.log), mean = logs.reduce((a, b) => a + b) / 5
  for (const length of lengths) stand(m, 0, length - 1, 0)
  const at = (sd: number) => unlikely(m, 0, Math.exp(mean + sd * Math.sqrt((Math.PI ** 2 / 6 / 5 + logs.reduce((a, x) => a + (x - mean) ** 2, 0) / 5) * (1 + 1 / 5))) - 1) - mean / Math.LN10
  for (const [sd, p] of [[0, 0.5], [2.015, 0.05], [4.032, 0.005], [6.869, 0.0005]]) t.ok(Math.abs(at(sd) + Math.log10(p)) < 0.06, `${sd} deviations with five degrees of freedom: ${at(sd)}, ${-Math.log10(p)}`)
})

t.test('one spell says next to nothing of how long the next may be, many say it well', async t => {
  const times = (n: number) => {
    const m = open()
    for (let i = 0; i < n; i++) stand(m, 0, 200, 0)
    for (let k = 1; k < 1e6; k *= 1.1) if (unlikely(m, 0, 200 * k) >= LIMIT) return k
    return Infinity
  }
  t.equal(times(1), Infinity)
  t.ok(times(20) < 6 && times(100) < 4 && times(100) > 3, `${times(20)}, ${times(100)}`)
})

t.test('three stops of a hundred readings or more, each at another value, are its nature; where one recurs it is that value', async t => {
  const m = open(), stops = (count: number, before: number, repeats = 300) => { for (let i = 0; i < count; i++) { moves(m, 500); stand(m, 0, repeats, before) } moves(m, 500) }
  stops(2, 0)
  stops(5, 0, 99)
  t.equal(unlikely(m, 0, 300), Infinity, 'not those of less')
  stops(1, 0)
  t.ok(unlikely(m, 0, 300) < 4)
  stops(1, 1)
  t.equal(unlikely(m, 0, 300), Infinity, 'one of them was at a value that recurs')
  stops(1, 2)
  t.equal(unlikely(m, 0, 300), Infinity)
})

/** The readings, as spells that have begun, at which a series is found stuck. */
function found (next: (i: number) => number, n: number): number[] {
  const m = Float64Array.from(Object.values(stuck)), model = new Stuck(), out: number[] = []
  let before = next(0), on = false
  for (let i = 1; i < n; i++) {
    const value = next(i)
    model.take(m, 0, value, before, LIMIT)
    model.learn(m, 0, i)
    const is = model.finding.evidence >= LIMIT
    if (is && !on) out.push(i)
    on = is
    before = value
  }
  return out
}
const steps = (length: () => number, to: (value: number) => number) => { let value = 100, left = length(); return () => { if (--left < 0) { value = to(value); left = length() } return value } }
const nature: Record<string, (seed: number) => (i: number) => number> = {
  'a battery': seed => { const u = uniform(seed); return steps(() => 100 + 200 * u(), x => x <= 1 ? 100 : x - 1) },
  'a set point': seed => { const u = uniform(seed); return steps(() => 480, () => Math.floor(40 * u())) },
  'a door': seed => { const u = uniform(seed); return steps(() => -300 * Math.log(u()), x => 1 - x) },
  'a slow counter': seed => { const u = uniform(seed); let n = 0; return () => u() < 0.01 ? ++n : n },
  'a constant': () => () => 7
}
for (const [name, make] of Object.entries(nature)) {
  t.test(`${name} is not stuck: 5 series of 40,000 readings`, async t => {
    for (let seed = 1; seed <= 5; seed++) t.strictSame(found(make(seed), 40_000), [])
  })
}

t.test('a counter that rests at night is told three times; a battery that ends for good is found', async t => {
  let counted = 0
  const nights = found(i => i % 1440 < 720 ? ++counted : counted, 20 * 1440)
  t.equal(nights.length, 3)
  const level = nature['a battery'](1), ends = found(i => i < 20_000 ? level(i) : 55, 30_000)
  t.ok(ends.length === 1 && ends[0] > 20_300 && ends[0] < 22_000, ends.join())
})

t.test('what has noise is stuck within thirty readings, also behind a birth at rest, nights at rest, or two faults', async t => {
  const z = normal(3), n = 20 * 1440, night = (i: number) => i % 1440 < 700
  t.strictSame(found(i => i >= n - 60 ? 5 : i < 500 ? 0 : z(), n).map(i => i < n - 30), [true])
  const nights = found(i => i >= n - 60 ? 5 : night(i) ? 0 : z(), n)
  t.ok(nights.at(-1)! >= n - 60 && nights.at(-1)! < n - 30 && nights.length === 2, `one night, of which nothing was known, and the fault: ${nights.join()}`)
  t.equal(found(i => [5000, 9000, 14_000].some(from => i >= from && i < from + 300) ? Math.floor(i / 1000) : z(), 20_000).length, 3)
})
