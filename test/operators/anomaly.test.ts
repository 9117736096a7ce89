import t from 'tap'
import { anomaly } from '../../operators/anomaly.ts'
import { key, normal } from '../../models/random.ts'
import { signals } from '../../models/portfolio.ts'
import { each, inPieces, through, type Given, type Got } from './table.ts'

type Options = Parameters<typeof anomaly>[0]
const noise = (n: number, seed: number) => Array.from({ length: n }, (_, i) => 50 + normal(key(seed), i))
const rows = (values: readonly number[], options: Options = {}) => through(anomaly(options), each(values))
const spoke = ({ anomaly_signal: k }: Got) => k === 0 ? undefined : signals[k as number - 1]
const columns = ['anomaly', 'anomaly_p', 'anomaly_low', 'anomaly_high', 'anomaly_signal', 'anomaly_alarm']

t.test('while it learns it says how far it is, and nothing else', async t => {
  const out = rows(noise(60, 1), { samples: 50 })
  t.strictSame(out.map(r => r.anomaly_learned), Array.from({ length: 60 }, (_, i) => Math.min(i, 50)))
  t.ok(out.slice(0, 50).every(r => columns.every(c => Number.isNaN(r[c]))))
  t.ok(out.slice(50).every(r => columns.every(c => !Number.isNaN(r[c]))))
})

t.test('a spike is an alarm at once and only once, and what follows is usual', async t => {
  const out = rows([...noise(2000, 2), 65, ...noise(50, 3)])
  t.ok(out[2000].anomaly as number > 4 && out[2000].anomaly_p as number < 1e-4 && out[2000].anomaly_alarm === 1, JSON.stringify(out[2000]))
  t.ok((out[2000].anomaly_high as number) < 60)
  t.ok(out.slice(2001).every(r => r.anomaly_alarm === 0))
})

t.test('of a lasting shift the beginning is news', async t => {
  const out = rows([...noise(3000, 4), ...noise(300, 5).map(x => x + 6)], { per: '2000s' })
  const alarms = out.slice(2900).flatMap((r, i) => r.anomaly_alarm === 1 ? [i + 2900] : [])
  t.ok(alarms[0] === 3000 && alarms.length <= 4, alarms.join())
})

t.test('evidence that grows by little is an alarm all the same when it comes to the limit', async t => {
  const values = [...noise(3000, 4), ...noise(5, 5).map(x => x + 6)]
  const p = rows(values).slice(3000).map(r => r.anomaly_p as number), least = Math.min(...p)
  t.ok(p[0] > least && p[0] < least ** (1 / 1.2), `${p[0]} is not just above ${least}`)
  const out = rows(values, { alarms: 1, per: `${Math.ceil(1 / least) - 1}s` })
  t.strictSame(out.slice(3000).map(r => r.anomaly_alarm), p.map(x => x === least ? 1 : 0))
})

t.test('a slow rise that no single reading shows is found by the means', async t => {
  const out = rows([...noise(5000, 6), ...noise(200, 7).map((x, i) => x + Math.min(i / 40, 2.5))])
  const found = out.slice(5000).find(r => r.anomaly_p as number < 1e-3)
  t.ok(found !== undefined && ['shift', 'drift'].includes(spoke(found)!), JSON.stringify(found))
})

t.test('a flat line and a burst are found by the size of changes', async t => {
  for (const [what, odd] of Object.entries({ flat: () => 50, burst: (x: number) => 50 + 2.2 * (x - 50) })) {
    const out = rows([...noise(5000, 8), ...noise(60, 9).map(odd)])
    const found = out.slice(5000).filter(r => r.anomaly_p as number < 1e-3)
    t.ok(found.some(r => spoke(r) === 'noise'), what)
  }
})

t.test('noon at midnight is unusual, although noon is not', async t => {
  const usual = (i: number) => 20 + (i % 144 >= 48 && i % 144 < 120 ? 30 : 0) + 0.5 * normal(key(10), i)
  const given = Array.from({ length: 144 * 14 }, (_, i): Given => [i * 600, 'hall/temp', i >= 144 * 13 + 10 && i < 144 * 13 + 20 ? 50 : usual(i)])
  const out = through(anomaly(), given)
  t.ok(out.slice(144 * 13 + 10, 144 * 13 + 20).some(r => r.anomaly_alarm === 1 && spoke(r) === 'season'), JSON.stringify(out[144 * 13 + 10]))
})

t.test('a reading without a finite value has no score, teaches nothing, and hides nothing', async t => {
  const values = noise(400, 11)
  const whole = rows(values), gaps = rows(values.flatMap(x => [NaN, x, Infinity]))
  t.ok(gaps.filter((_, i) => i % 3 !== 1).every(r => columns.every(c => Number.isNaN(r[c]))))
  t.strictSame(gaps.filter((_, i) => i % 3 === 1).map(r => r.anomaly_p), whole.map(r => r.anomaly_p))
})

t.test('gaps, repeated times and stragglers are no anomalies', async t => {
  const given = noise(3000, 12).map((x, i): Given => [i % 7 === 0 ? i - 5 : i % 11 === 0 ? i - 1 : i < 1500 ? i : i + 86_400, 'pump/temp', x])
  const out = through(anomaly(), given)
  t.ok(out.every(r => !(r.anomaly_p as number < 1e-5)))
  t.ok(out.filter(r => r.anomaly_alarm === 1).length <= 3)
})

t.test('a larger budget gives more alarms: about so many as it says, or fewer', async t => {
  const values = noise(50_000, 13)
  const alarms = (options: Options) => rows(values, options).filter(r => r.anomaly_alarm === 1).length
  const [few, many] = [alarms({ alarms: 1, per: '5000s' }), alarms({ alarms: 1, per: '500s' })]
  t.ok(few >= 1 && few <= 15 && many >= 30 && many <= 110, `${few} of 10, ${many} of 100`)
})

t.test('98 % of values lie in the expected range, which follows what the series does', async t => {
  let x = 0
  for (const [what, next] of Object.entries({ iid: (z: number) => z, walk: (z: number) => x += z, season: (z: number, i: number) => 20 * Math.sin(i / 20) + z })) {
    const out = rows(Array.from({ length: 20_000 }, (_, i) => next(normal(key(14), i), i))).slice(2000)
    const inside = out.filter(r => r.value >= (r.anomaly_low as number) && r.value <= (r.anomaly_high as number)).length / out.length
    t.ok(inside > 0.97 && inside < 0.99, `${what}: ${inside}`)
    const width = out.reduce((sum, r) => sum + (r.anomaly_high as number) - (r.anomaly_low as number), 0) / out.length
    t.ok(width < 8, `${what}: ${width} wide`)
  }
})

t.test('a series that never varied: another value is as unlikely as can be, and equal ones are usual', async t => {
  const out = rows([...Array.from({ length: 500 }, () => 5), 5.01, 5])
  t.ok(out[499].anomaly_p === 1 && out[499].anomaly_low === 5 && out[499].anomaly_high === 5)
  t.ok(out[500].anomaly as number > 5 && out[500].anomaly_alarm === 1)
})

t.test('a long stream in pieces, with a snapshot in its middle and beside another series, gives the same', async t => {
  const mixed = noise(1500, 15).flatMap((x, i): Given[] => [[i * 60, 'a/x', x + (i > 700 ? 5 : 0)], [i * 60, 'b/x', Math.abs(x)]])
  const alone = through(anomaly(), mixed.filter(r => r[1] === 'a/x'))
  t.strictSame(inPieces(() => anomaly(), mixed).filter(r => r.series === 'a/x'), alone)
})
