import t from 'tap'
import { key, normal } from '../../models/random.ts'
import { peers } from '../../operators/peers.ts'
import { bench, through, type Given, type Got } from './table.ts'

const EVERY = 10, LEARN = 360, BLOCKS = 3200
/** Three metrics of a pump that go with its load, a set each ten seconds; `odd` is added to the temperature of set i. */
const sets = (from: number, to: number, odd: (i: number) => number = () => 0): Given[] => Array.from({ length: to - from }, (_, k): Given[] => {
  const i = from + k, load = Math.sin(i / 57) + 0.3 * Math.sin(i / 13)
  return [[i * EVERY, 'pump/temp', 10 + 5 * load + 0.2 * normal(key(1), i) + odd(i)], [i * EVERY, 'pump/current', 3 - 2 * load + 0.1 * normal(key(2), i)], [i * EVERY, 'pump/flow', 40 * load + normal(key(3), i)]]
}).flat()
const options = { learn: '1h' } as const
const temperature = (rows: readonly Got[]) => rows.filter(r => r.series === 'pump/temp')
const alarms = (rows: readonly Got[]) => rows.filter(r => r.peers_alarm === 1)
const drifting = (i: number) => Math.max(0, Math.min(i - 6000, 1000)) / 100

t.test('while it learns it says how far it is, and nothing else', async t => {
  const out = temperature(through(peers(options), sets(0, LEARN + BLOCKS + 100)))
  const silent = out.filter(r => Number.isNaN(r.peers))
  t.ok(silent.length > LEARN + BLOCKS - 10 && silent.length < LEARN + BLOCKS + 80, `${silent.length}`)
  t.ok(silent.every(r => Number.isNaN(r.peers_alarm) && Number.isNaN(r.peers_expected) && Number.isNaN(r.peers_deviation)))
  const needs = LEARN + BLOCKS, last = out.at(-1)!
  t.strictSame([out[0].peers_learned, out[0].peers_needs, out[1].peers_needs, last.peers_learned, last.peers_needs], [0, NaN, needs, needs, needs], 'readings, at the rate at which they come')
  const half = out[LEARN / 2].peers_learned as number
  t.ok(half > LEARN / 2 - 80 && half <= LEARN / 2, `${half} of ${needs} when ${LEARN / 2} have come: the first are not learned from`)
  for (let i = 1; i < out.length; i++) if (!(out[i].peers_learned >= out[i - 1].peers_learned)) t.fail(`row ${i}`)
})

t.test('a metric that leaves the others is an alarm, with the value that they let expect', async t => {
  const out = temperature(through(peers(options), sets(0, 7000, drifting))), first = out.findIndex(r => r.peers_alarm === 1)
  t.ok(first > 6000 && first < 6150, `${first}`)
  const { value, peers_expected: expected, peers_deviation: deviation } = out[6500]
  t.ok(Math.abs(value - (expected as number) - 5) < 1.2 && deviation as number > 10, `${value}, ${expected}, ${deviation}`)
})

t.test('so many alarms as the budget allows, when its tails are known: one a day in each of three metrics', async t => {
  const blocks = (alarms: number, from: number) => new Set(whole(alarms).flatMap((r, i) => i >= 3 * from && r.peers_alarm === 1 ? [`${r.series} ${Math.floor(i / 300)}`] : [])).size
  const whole = (alarms: number) => through(peers({ ...options, alarms, per: '1d' }), sets(0, 60_000))
  const days = 30_000 * EVERY / 86_400, [few, many] = [blocks(0.05, 30_000), blocks(1, 30_000)]
  t.ok(many >= 3 * days / 3 && many <= 3 * days * 3, `${many} in ${3 * days} days of a metric`)
  t.ok(few <= 3, `${few}, a twentieth of the budget`)
})

t.test('as rare as the budget asks for, and no rarer', async t => {
  const limit = -Math.log10(2 * 100 * EVERY / 86_400)      // in blocks of a hundred readings
  const judged = through(peers({ ...options, alarms: 2, per: '1d' }), sets(0, 7000, drifting)).filter(r => !Number.isNaN(r.peers))
  t.ok(judged.every(r => (r.peers_alarm === 1) === (r.peers as number >= limit - 1e-9)) && alarms(judged).length > 10)
})

t.test('others without a value in `within` are not asked', async t => {
  const thin = sets(0, 5000).filter(([at, series]) => series === 'pump/temp' || at < 45_000 || at % 200 === 0)
  const late = (within: string) => temperature(through(peers({ ...options, within }), thin)).slice(4600)
  t.ok(late('10m').every(r => !Number.isNaN(r.peers)))
  const near = ({ at }: Got) => at % 200 > 0 && at % 200 <= 60      // the temperature comes first in its set: theirs are 200 s old then
  t.ok(late('1m').every(r => Number.isNaN(r.peers) !== near(r)) && late('1m').some(near))
})

t.test('a metric alone has nothing to compare with, and a value that is none is not judged', async t => {
  t.ok(temperature(through(peers(options), sets(0, 4000).filter(r => r[1] === 'pump/temp'))).every(r => Number.isNaN(r.peers)))
  const whole = sets(0, 4000), holes = whole.flatMap((row): Given[] => [row, [row[0], row[1], NaN]])
  const out = through(peers(options), holes)
  t.strictSame(out.filter((_, i) => i % 2 === 0), through(peers(options), whole))
  t.ok(out.filter((_, i) => i % 2 === 1).every(r => Number.isNaN(r.peers)))
})

t.test('in pieces, with snapshots, it gives the same', async t => {
  const all = sets(0, 6500, drifting), expected = bench(peers(options)).give(all), b = bench(peers(options)), got: Got[] = []
  for (let i = 0, size = 1; i < all.length; i += size, size = size * 3 % 1009) {
    got.push(...b.give(all.slice(i, i + size)))
    b.restart()
  }
  t.strictSame(got, expected)
  t.ok(alarms(expected).length > 0)
})

t.test('spans of nothing are refused', async t => {
  t.throws(() => peers({ learn: '0s' }), /longer than nothing/)
})
