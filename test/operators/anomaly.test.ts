import t from 'tap'
import { anomaly } from '../../operators/anomaly.ts'
import { key, normal, uniform } from '../../models/random.ts'
import { signals } from '../../models/portfolio.ts'
import { each, inPieces, through, type Given, type Got } from './table.ts'
import { Batch, SeriesTable } from '#engine'

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
  const values = [...noise(3000, 4), ...noise(5, 5).map(x => x + 6.5)]
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

t.test('what stands still and moves on by steps is known by its steps', async t => {
  const MINUTES = 10_080, weeks = 3
  const fall = (seed: number, from: number): Float64Array => {
    let level = from
    return Float64Array.from({ length: weeks * MINUTES }, (_, i) => uniform(key(seed), i) < 1 / 7 ? level = level === 0 ? from : level - 1 : level)
  }
  for (const seed of [61, 62, 63]) {
    const { alarms, learned } = columnsOf(fall(seed, 100), 60, {})
    t.ok(learned.at(-1) === 200 && learned.findLastIndex(n => n < 200) < 300, `battery ${seed} begins once`)
    t.ok(alarms.filter(i => i < MINUTES).length <= 8 && alarms.filter(i => i >= MINUTES).length <= 3, `battery ${seed}: ${alarms.map(i => Math.floor(i / MINUTES)).join()}`)
  }
  for (const every of [37, 100]) {
    const count = Float64Array.from({ length: MINUTES }, (_, i) => Math.floor(i / every) - (i >= 2000 ? 30 : 0)), { alarms, learned } = columnsOf(count, 60, {})
    t.ok(learned[300] === 200 && learned.at(-1) === 200, `a counter that goes up every ${every} readings begins once`)
    t.strictSame(alarms, [2000], `and falls once (${every})`)
  }
})

t.test('a long stream in pieces, with a snapshot in its middle and beside another series, gives the same', async t => {
  const mixed = noise(1500, 15).flatMap((x, i): Given[] => [[i * 60, 'a/x', x + (i > 700 ? 5 : 0)], [i * 60, 'b/x', Math.abs(x)]])
  const alone = through(anomaly(), mixed.filter(r => r[1] === 'a/x'))
  t.strictSame(inPieces(() => anomaly(), mixed).filter(r => r.series === 'a/x'), alone)
})

/** 20 +- 0.1 every 10 s, `wild` for `long` readings from number `at` on, then, `after` readings later, five standard deviations more for good or fifteen once. */
const glitched = (seed: number, wild: number, at: number, long: number, after: number, fault: 'shift' | 'spike'): Float64Array =>
  Float64Array.from({ length: at + after + 60 }, (_, i) => i >= at && i < at + long ? wild : 20 + 0.1 * normal(key(seed), i) + (fault === 'shift' && i >= at + after ? 0.5 : i === at + after ? 1.5 : 0))
/** The columns of one series, and the readings that are alarms. */
function columnsOf (value: Float64Array, seconds: number, options: Options) {
  const table = new SeriesTable(1), series = new Int32Array(value.length).fill(table.id('t', 'pump', 'temp'))
  const out = anomaly(options).open({ series: table, late () {}, aggregated () {} }).process(new Batch({ time: value.map((_, i) => i * seconds * 1000), series, value })).columns
  return { high: out.anomaly_high, low: out.anomaly_low, learned: out.anomaly_learned, alarms: Array.from(out.anomaly_alarm.keys()).filter(i => out.anomaly_alarm[i] === 1) }
}

t.test('behind a wild reading the next fault is found as without it, whatever it was and wherever', async t => {
  const cases = [['shift', 8000, 1, 300], ['shift', 8000, 1, 3000], ['spike', 8000, 1, 300], ['spike', 8000, 30, 300], ['shift', 8000, 30, 1500], ['spike', 0, 1, 3000], ['shift', 0, 1, 5000], ['spike', 9, 3, 3000]] as const
  for (const [fault, at, long, after] of cases) {
    for (const wild of [20, 0, 85, -9999, 65_535, 3.4e38]) {
      const found = [21, 22, 23].filter(seed => columnsOf(glitched(seed, wild, at, long, after, fault), 10, { per: '1d' }).alarms.some(i => i >= at + after && i < at + after + 50))
      t.ok(found.length >= 2, `${wild} for ${long} at ${at}, ${fault} ${after} later: ${found.length} of 3`)
    }
  }
})

t.test('a wild reading is one alarm, and the range around the series stays as it was', async t => {
  for (const wild of [65_535, -9999, 1e9, 3.4e38, 1.7e308]) {
    const { alarms, high, low } = columnsOf(glitched(24, wild, 5000, 1, 2000, 'spike').slice(0, 6990), 10, {}), width = (i: number) => high[i] - low[i]
    t.strictSame(alarms.filter(i => i >= 5000), [5000], `${wild}`)
    for (const later of [5001, 5010, 5100, 6900]) t.ok(width(later) < 1.2 * width(4999), `${wild}: ${width(later)}, was ${width(4999)}`)
  }
})

t.test('a device that was off for months comes back to the same budget', async t => {
  for (const days of [7, 30, 180]) {
    const value = glitched(29, 20, 0, 1, 20_000, 'spike').slice(0, 19_990), table = new SeriesTable(1), series = new Int32Array(value.length).fill(table.id('t', 'pump', 'temp'))
    const { anomaly_alarm: alarm } = anomaly({}).open({ series: table, late () {}, aggregated () {} }).process(new Batch({ time: value.map((_, i) => 10_000 * i + (i < 10_000 ? 0 : 864e5 * days)), series, value })).columns
    t.ok(alarm.subarray(10_010).filter(x => x === 1).length <= 1, `${days} days`)
  }
})

t.test('an event that goes on is told once, also at the largest evidence there is', async t => {
  const grows = [...noise(3000, 25), ...Array.from({ length: 300 }, (_, i) => 50 + 1e3 * 1.5 ** Math.min(i, 200))]
  t.ok(rows(grows).slice(3000).filter(r => r.anomaly_alarm === 1).length <= 2)
})

t.test('a level that lasts is followed: after a tenth of a hundred readings the range is around it', async t => {
  for (const level of [80, 1000, -1e6]) {
    const out = rows([...noise(3000, 26), ...noise(300, 27).map(x => x - 50 + level)]).slice(3000)
    t.ok(out[0].anomaly_alarm === 1 && out.slice(15).every(r => Math.abs((r.anomaly_high as number) + (r.anomaly_low as number) - 2 * level) < 6 && (r.anomaly_high as number) - (r.anomaly_low as number) < 20), `${level}`)
  }
})

t.test('a series that begins to vary after a long rest is known again in some hundred readings', async t => {
  const out = rows([...Array.from({ length: 5000 }, () => 50), ...noise(3000, 28)]).slice(7000)
  t.ok(out.filter(r => (r.anomaly_p as number) < 1e-4).length < 5)
  t.ok(out.every(r => (r.anomaly_high as number) - (r.anomaly_low as number) < 12))
})

t.test('switched, binary and quantised series keep the budget', async t => {
  const WEEK = 10_080, weeks = 8
  const kinds: Record<string, (i: number) => number> = {
    'two levels by day and night': i => i % 1440 < 720 ? 20 : 21,
    'two levels with noise': i => (i % 1440 < 720 ? 20 : 21) + 0.01 * normal(key(31), i),
    'on and off': i => i % 97 < 40 ? 1 : 0,
    'rarely on': i => i % 480 < 15 ? 1 : 0,
    quantised: i => Math.round(2 * (20 + 0.3 * normal(key(32), i))) / 2,
    'quantised coarsely': i => Math.round(20 + 0.17 * normal(key(33), i))
  }
  for (const [kind, value] of Object.entries(kinds)) {
    const { alarms } = columnsOf(Float64Array.from({ length: weeks * WEEK }, (_, i) => value(i)), 60, {})
    const later = alarms.filter(i => i >= 2 * WEEK).length
    t.ok(later <= 2 * (weeks - 2) && alarms.length - later <= 8, `${kind}: ${alarms.length - later} in the first two weeks, ${later} in six`)
  }
})

const MINUTES = 1440
interface Machine { readonly night?: number, readonly half?: number, readonly mixed?: boolean }
/** A reading a minute: 20 +- 0.1 from about 6 to about 22 h, give or take three minutes, else near 0; half an hour later, with night's noise or none, with the mean of a minute in which it switches. */
function machine (seed: number, { night = 0.01, half = 0, mixed = false }: Machine = {}) {
  const of = key(seed), switches = (i: number, from: number, which: number) => 60 * from + half + 3 * normal(key(seed, which), Math.floor(i / MINUTES))
  return (i: number, on?: boolean): number => {
    const minute = i % MINUTES, since = [minute - switches(i, 6, 1), minute - switches(i, 22, 2)]
    const share = on === undefined && mixed && since.some(s => s >= 0 && s < 1) ? uniform(key(seed, 3), i) : 1
    return on ?? (since[0] >= 0 && since[1] < 0) ? 20 * share + 0.1 * normal(of, i) : 20 * (1 - share) + night * normal(of, i)
  }
}
const kinds: Record<string, Machine> = { noisy: {}, 'at rest by night': { night: 0 }, 'half an hour later': { half: 30 }, 'over values in between': { mixed: true } }
/** How many of ten seeds have an alarm from reading `at` on, within `within`. */
const found = (at: number, within: number, values: (seed: number) => (i: number) => number, seconds = 60) =>
  Array.from({ length: 10 }, (_, s) => {
    const value = values(60 + s)
    return columnsOf(Float64Array.from({ length: at + within }, (_, i) => value(i)), seconds, { per: '1d' }).alarms.some(i => i >= at)
  }).filter(Boolean).length
t.test('a machine that is off by night: shifts at noon are found, that it stays off in the morning, that it runs by night', async t => {
  for (const [kind, options] of Object.entries(kinds)) {
    const noon = 12 * MINUTES + MINUTES / 2, morning = 12 * MINUTES + 300, night = 12 * MINUTES + 120
    for (const sd of [5, 10, 50]) {
      const count = found(noon, 200, seed => { const usual = machine(seed, options); return i => usual(i) + (i >= noon ? 0.1 * sd : 0) })
      t.ok(count >= 9, `${kind}, ${sd} at noon: ${count} of 10`)
    }
    const off = found(morning + 120, 240, seed => { const usual = machine(seed, options); return i => usual(i, i >= morning ? false : undefined) })
    t.ok(off >= 9, `${kind}, stays off: ${off} of 10`)
    const on = found(night, 60, seed => { const usual = machine(seed, options); return i => usual(i, i >= night ? true : undefined) })
    t.ok(on >= 9, `${kind}, runs by night: ${on} of 10`)
  }
})

t.test('four healthy weeks of such machines keep the budget, and switching is no alarm', async t => {
  for (const [kind, options] of Object.entries(kinds)) {
    const usual = machine(80, options), { alarms } = columnsOf(Float64Array.from({ length: 28 * MINUTES }, (_, i) => usual(i)), 60, { per: '1d' }), first = alarms.filter(i => i < 7 * MINUTES).length
    t.ok(first <= 10 && alarms.length - first <= 21, `${kind}: ${first} in the first week, ${alarms.length - first} in three`)
    t.equal(alarms.filter(i => i > 7 * MINUTES && [360, 390, 1320, 1350].some(s => Math.abs(i % MINUTES - s) < 1)).length, 0, kind)
  }
})

t.test('switching at random times hides no shift either, nor do zeros now and then', async t => {
  const at = 20_000, hours = (seed: number) => {
    const on = new Uint8Array(at + 200).fill(1)
    for (let i = 0, k = 0, is = 1; i < at - 60; k++, is = 1 - is) {
      const until = i + 30 - 240 * Math.log(uniform(key(seed, 4), k))
      for (; i < until && i < at - 60; i++) on[i] = is
    }
    return (i: number) => on[i] ? 20 + 0.1 * normal(key(seed), i) : 0.01 * normal(key(seed), i)
  }
  for (const sd of [5, 10, 50]) {
    const random = found(at, 200, seed => { const usual = hours(seed); return i => usual(i) + (i >= at ? 0.1 * sd : 0) })
    t.ok(random >= 9, `${sd} behind random switching: ${random} of 10`)
    const zeros = found(at, 200, seed => i => uniform(key(seed, 5), i) < 1 / 500 && i < at ? 0 : 20 + 0.1 * normal(key(seed), i) + (i >= at ? 0.1 * sd : 0), 10)
    t.ok(zeros >= (sd === 5 ? 8 : 9), `${sd} behind zeros: ${zeros} of 10`)
  }
})

t.test('behind a stop of 100 minutes, and behind zeros or a wild value at the begin, faults are found', async t => {
  const cases: Record<string, { at: number, odd: (i: number) => number | undefined }> = {
    'a stop': { at: 8900, odd: i => i >= 8000 && i < 8600 ? 0 : undefined },
    '50 zeros': { at: 8000, odd: i => i < 50 ? 0 : undefined },
    'nine times 65535': { at: 8000, odd: i => i < 9 ? 65_535 : undefined }
  }
  for (const [what, { at, odd }] of Object.entries(cases)) {
    for (const sd of [5, 10, 50]) {
      const count = found(at, 200, seed => i => odd(i) ?? 20 + 0.1 * normal(key(seed), i) + (i >= at ? 0.1 * sd : 0), 10)
      t.ok(count >= 9, `${sd} behind ${what}: ${count} of 10`)
    }
  }
})

t.test('the first times that a level is left are alarms, going back is none, nor are later times', async t => {
  const stops = [4000, 6000, 8000, 10_000, 12_000], { alarms } = columnsOf(Float64Array.from({ length: 14_000 }, (_, i) => stops.some(s => i >= s && i < s + 300) ? 0 : 20 + 0.1 * normal(key(71), i)), 10, { per: '1d' })
  t.ok(stops.slice(0, 3).every(s => alarms.includes(s)), alarms.join())
  t.notOk(stops.slice(3).some(s => alarms.includes(s)) || stops.some(s => alarms.includes(s + 300)), alarms.join())
})

t.test('a machine that cycles faster than a series begins is learned all the same, and its faults are found', async t => {
  const at = 18_000, cycle = (seed: number) => {
    const on = new Uint8Array(at + 200)
    for (let i = 0, k = 0, is = 0; i < on.length; k++, is = 1 - is) for (const until = i + Math.round(30 * (0.8 + 0.4 * uniform(key(seed, 6), k))); i < until && i < on.length; i++) on[i] = is
    return (i: number) => on[i] ? 20 + 0.1 * normal(key(seed), i) : 0
  }
  const usual = cycle(72), { learned } = columnsOf(Float64Array.from({ length: at }, (_, i) => usual(i)), 10, {})
  t.ok(learned.slice(1000).every(n => n === 200), 'it begins anew no more')
  const shifted = found(at, 200, seed => { const usual = cycle(seed); return i => usual(i) + (i >= at && usual(i) > 0 ? 8 : 0) }, 10)
  t.ok(shifted >= 9, `a shift by four tenths of the way: ${shifted} of 10`)
})

t.test('a start that fails leaves the level as it was known', async t => {
  const DAY = 1440, usual = (seed: number, failed: number) => (i: number) => {
    const minute = i % DAY, day = Math.floor(i / DAY), on = minute >= 360 && minute < 1320 || (day === failed && minute >= 350 && minute < 353)
    return on ? 20 + 0.1 * normal(key(seed), i) : 0
  }
  const at = 12 * DAY + 720, count = found(at, 200, seed => { const of = usual(seed, 12); return i => of(i) + (i >= at ? 0.5 : 0) }, 60)
  t.ok(count >= 9, `a shift of 5 behind it: ${count} of 10`)
})
