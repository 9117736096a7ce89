import t from 'tap'
import * as conformal from '../../models/conformal.ts'
import { key, normal, uniform } from '../../models/random.ts'
import { forecast } from '../../operators/forecast.ts'
import { each, inPieces, through, type Given, type Got } from './table.ts'

const day = [0, 1, 3, 7, 9, 8, 5, 2]
const short = { every: '1s', seasons: ['8s'] }
const seasonal = (n: number, seed: number, noise = 0.5) => Array.from({ length: n }, (_, i) => 20 + day[i % 8] + noise * normal(key(seed), i))
const rows = (values: readonly number[], options: Parameters<typeof forecast>[0] = {}) => through(forecast({ ...short, ...options }), each(values))
/** Mean absolute error of the forecasts H steps ahead from row `from` on, and that of some other rule. */
function errors (out: readonly Got[], h: number, from: number, rule: (i: number) => number) {
  let own = 0, other = 0
  for (let i = from; i + h < out.length; i++) {
    own += Math.abs(out[i + h].value - (out[i][`forecast_${h}`] as number))
    other += Math.abs(out[i + h].value - rule(i))
  }
  return { own, other, ratio: own / other }
}

t.test('learns a season and forecasts it: nearly as well as if the season were known', async t => {
  const out = rows(seasonal(1500, 1), { horizons: [1, 5, 12] })
  for (const h of [1, 5, 12]) {
    const { ratio } = errors(out, h, 500, i => 20 + day[(i + h) % 8])
    t.ok(ratio > 0.9 && ratio < 1.12, `${h} ahead: ${ratio}`)
  }
})

t.test('begins at the first value, and has the season after a few of them', async t => {
  const out = rows([...day, ...day, ...day, ...day, ...day, ...day], { horizons: [1, 8] })
  t.equal(out[0].forecast_8, 0)
  t.ok(out.every(r => Number.isFinite(r.forecast_1) && Number.isFinite(r.forecast_8)))
  for (let i = 32; i < 47; i++) t.ok(Math.abs(out[i].forecast_1 as number - day[(i + 1) % 8]) < 0.5, `${i}: ${out[i].forecast_1}`)
})

t.test('a season longer than the series is no harm', async t => {
  const values = seasonal(60, 2)
  const with168 = rows(values, { seasons: ['8s', '160s'], horizons: [4] }), alone = rows(values, { horizons: [4] })
  const rule = (i: number) => 20 + day[(i + 4) % 8]
  t.ok(errors(with168, 4, 30, rule).ratio < 1.1 * errors(alone, 4, 30, rule).ratio + 0.1)
})

t.test('the interval holds as often as it says, and the column says how often that was', async t => {
  for (const level of [0.8, 0.95]) {
    const h = 3, out = rows(seasonal(4000, 3), { horizons: [h], level }), low = `forecast_${h}_low`, high = `forecast_${h}_high`, coverage = `forecast_${h}_coverage`
    let given = 0, held = 0
    for (let i = 0; i < out.length; i++) {
      const before = out[i - h]
      if (before !== undefined && !Number.isNaN(before[low])) {
        given++
        if (out[i].value >= (before[low] as number) && out[i].value <= (before[high] as number)) held++
        t.ok(Math.abs(held / given - (out[i][coverage] as number)) < 1e-9)
      } else t.ok(Number.isNaN(out[i][coverage]))
    }
    t.ok(Math.abs(held / given - level) < 0.01, `${level}: ${held / given}`)
    const first = h + Math.round(1 / (1 - level)) - 1
    t.ok(out.slice(0, first).every(r => Number.isNaN(r[low])) && !Number.isNaN(out[first][low]))
  }
})

t.test('the interval is that of models/conformal.ts, which learns each error as late as the horizon is long', async t => {
  const LEVEL = 0.8, MEMORY = 100, PARTS = 8, horizons = [1, 4, 12], values = seasonal(600, 21), out = rows(values, { horizons, level: LEVEL })
  for (const h of horizons) {
    const m = new Float64Array(conformal.sizeOf(PARTS)), half = (i: number) => (out[i][`forecast_${h}_high`] as number) - (out[i][`forecast_${h}`] as number)
    let off = 0
    for (let i = 0; i < out.length; i++) {
      if (i >= h) {
        const error = values[i] - (out[i - h][`forecast_${h}`] as number), before = half(i - h)
        conformal.learn(m, 0, error, Number.isNaN(before) ? undefined : Math.abs(error) <= before, LEVEL, h, MEMORY, i % PARTS, PARTS)
      }
      const expected = conformal.half(m, 0, LEVEL, MEMORY, (i + h) % PARTS, PARTS)
      if (!Number.isNaN(expected) || !Number.isNaN(half(i))) off = Math.max(off, Math.abs(half(i) / expected - 1))
    }
    t.ok(off < 1e-6, `${h} ahead: off by ${off}`)
  }
})

t.test('the gate: never much worse than the best baseline, and a baseline where the combination is behind', async t => {
  for (const [what, next] of Object.entries({ walk: (x: number, z: number) => x + z, ramp: (x: number, z: number) => x + 1 + z / 5, season: (_: number, z: number, i: number) => day[i % 8] + z / 100 })) {
    let x = 0
    const values = Array.from({ length: 1200 }, (_, i) => x = next(x, normal(key(4), i), i)), h = 4, out = rows(values, { horizons: [h] })
    const slope = (i: number) => i === 0 ? 0 : (values[i] - values[0]) / i
    const drift = errors(out, h, 300, i => values[i] + h * slope(i)), naive = errors(out, h, 300, i => values[i + h - 8])
    t.ok(drift.own <= 1.03 * Math.min(drift.other, naive.other), `${what}: ${drift.own} against ${drift.other}, ${naive.other}`)
    for (let i = 50; i < out.length; i++) {
      if (!(out[i][`forecast_${h}_relative`] as number >= 1)) continue
      t.ok([values[i] + h * slope(i), values[i + h - 8]].some(y => Math.abs(y - (out[i][`forecast_${h}`] as number)) < 1e-9), `${what} ${i}`)
    }
  }
})

t.test('steps that do not come are bridged: the season goes on, also after longer than it remembers', async t => {
  const values = seasonal(3000, 5, 0.1)
  for (const gap of [1, 5, 8, 17, 1003]) {
    const given = values.flatMap((x, i): Given[] => i >= 800 && i < 800 + gap ? [] : [[i, 'pump/temp', x]])
    const out = through(forecast({ ...short, horizons: [3] }), given), r = out[800]
    t.equal(r.at, 800 + gap)
    t.ok(Math.abs(r.forecast_3 as number - 20 - day[(r.at + 3) % 8]) < 0.6, `${gap}: ${r.forecast_3}, not ${20 + day[(r.at + 3) % 8]}`)
  }
})

t.test('one wild value, whenever it comes, spoils neither forecasts nor intervals', async t => {
  const values = seasonal(700, 12), horizons = [1, 8]
  const told = (given: readonly number[], from: number) => horizons.map(h => {
    const out = rows(given, { horizons })
    let error = 0, width = 0
    for (let i = from; i < from + 100; i++) {
      error += Math.abs(values[i + h] - (out[i][`forecast_${h}`] as number)) / 100
      width += ((out[i][`forecast_${h}_high`] as number) - (out[i][`forecast_${h}_low`] as number)) / 100
    }
    return { error, width }
  })
  for (const when of [0, 1, 5, 9, 12, 20, 60, 300]) {
    const from = Math.max(when, 30) + 20, clean = told(values, from)
    for (const wild of [-9999, 150, 1000, 65535, 1e99]) {
      told(values.map((x, i) => i === when ? wild : x), from).forEach(({ error, width }, k) => {
        const what = `${horizons[k]} ahead, ${wild} at ${when}: error ${error}, width ${width}, not ${clean[k].error}, ${clean[k].width}`
        t.ok(error < 1.6 * clean[k].error && width < 4 * clean[k].width, what)
      })
    }
  }
})

t.test('an outage of some hours does not widen intervals for weeks', async t => {
  const values = Array.from({ length: 1000 }, (_, i) => 100 + 10 * Math.sin(i * Math.PI / 12) + normal(key(14), i)), options = { seasons: ['24s'], horizons: [1] }, clean = rows(values, options)
  const width = (out: readonly Got[], from: number) => { let sum = 0; for (let i = from; i < from + 100; i++) sum += (out[i].forecast_1_high as number) - (out[i].forecast_1_low as number); return sum / 100 }
  for (const long of [2, 3, 4, 6, 8]) {
    const out = rows(values.map((x, i) => i >= 600 && i < 600 + long ? 65535 : x), options)
    t.ok(width(out, 640) < 50 * width(clean, 640) && width(out, 880) < 10 * width(clean, 880), `${long}: ${width(out, 640)} and ${width(out, 880)}, not ${width(clean, 640)}`)
  }
})

t.test('a constant with one wild value stays constant; one that becomes another is followed', async t => {
  const constant = Array.from({ length: 400 }, () => 5)
  for (const when of [0, 4, 10, 200]) t.ok(rows(constant.map((x, i) => i === when ? 65535 : x)).slice(Math.max(when, 2)).every(r => r.forecast_1 === 5), `${when}`)
  const out = rows(constant.map((x, i) => i < 200 ? x : 500))
  t.ok(out.slice(230).every(r => Math.abs(r.forecast_1 as number - 500) < 5), `${out[230].forecast_1}`)
})

t.test('a level far beyond all that has been is followed from its third value on', async t => {
  const values = seasonal(600, 13).map((x, i) => i < 400 ? x : x + 1000), out = rows(values, { horizons: [1] })
  const first = out.slice(400).findIndex(r => Math.abs(r.forecast_1 as number - 1025) < 20)
  t.ok(first >= 2 && first <= 4, `${first}`)
  t.ok(out.slice(420, 599).every((r, i) => Math.abs(r.forecast_1 as number - values[421 + i]) < 15))
})

t.test('the line from first to last has the slope of the time that passed, also after silence', async t => {
  for (const gap of [1, 2, 3, 50, 1000]) {
    const out = through(forecast({ every: '1s', seasons: [], horizons: [10] }), Array.from({ length: 60 }, (_, i): Given => { const at = i < 30 ? i : i + gap - 1; return [at, 'pump/temp', 3 * at] }))
    t.ok(Math.abs(out[33].forecast_10 as number - 3 * (out[33].at + 10)) < 1, `${gap}: ${out[33].forecast_10}, not ${3 * (out[33].at + 10)}`)
  }
})

t.test('values that are mostly zero: about their mean is expected', async t => {
  const values = Array.from({ length: 3000 }, (_, i) => uniform(key(6), i) < 0.2 ? 5 + normal(key(7), i) : 0)
  const out = rows(values, { horizons: [2] }).slice(1000), mean = out.reduce((sum, r) => sum + (r.forecast_2 as number), 0) / out.length
  const squares = (rule: (i: number) => number) => out.slice(0, -2).reduce((sum, _, i) => sum + (values[1002 + i] - rule(i)) ** 2, 0)
  t.ok(Math.abs(mean - 1) < 0.3, `${mean}`)
  t.ok(squares(i => out[i].forecast_2 as number) < 0.9 * squares(i => values[1002 + i - 8]))
})

t.test('a row without a value, or of a step that has been, has none and teaches nothing', async t => {
  const values = seasonal(200, 8), clean = rows(values)
  const dirty = through(forecast(short), each(values).flatMap(([s, name, x], i) => i === 100 ? [[s, name, x], [s + 0.4, name, 99], [s - 5, name, 99], [s, name, NaN], [s, name, 1e300]] as const : [[s, name, x]] as const))
  t.ok(dirty.slice(101, 105).every(r => Number.isNaN(r.forecast_1)))
  t.strictSame(dirty.filter((_, i) => i < 101 || i > 104), clean)
})

t.test('nothing of the future is used', async t => {
  const values = seasonal(600, 9), whole = rows(values, { horizons: [1, 7] })
  t.strictSame(rows(values.slice(0, 300), { horizons: [1, 7] }), whole.slice(0, 300))
})

t.test('a constant series, and one that never ends to be wild, give finite forecasts', async t => {
  t.ok(rows(Array.from({ length: 300 }, () => 5)).every(r => r.forecast_1 === 5))
  t.ok(rows(Array.from({ length: 2000 }, (_, i) => 10 ** (25 * normal(key(10), i)))).every(r => Number.isFinite(r.forecast_1)))
})

t.test('a long stream in pieces, with a snapshot in its middle and beside another series, gives the same', async t => {
  const step = () => forecast({ ...short, horizons: [1, 6] })
  const mixed = seasonal(700, 11).flatMap((x, i): Given[] => [[i, 'a/x', x], [i, 'b/x', x * x - 500]])
  const alone = through(step(), mixed.filter(r => r[1] === 'a/x'))
  t.strictSame(inPieces(step, mixed).filter(r => r.series === 'a/x'), alone)
})

/** When clocks read this in a zone that is at most an hour from UTC; the first time where they read it twice. */
function whenRead (zone: string, local: number): number {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' })
  return [local - 3_600_000, local].find(at => Date.parse(`${format.format(at).replace(' ', 'T')}Z`) === local) ?? local
}

const weekdays = [10, 12, 14, 16, 18, 3, 1]
/** A row for each day of 2026 from its second Monday on, so many hours behind midnight by clocks of the zone; and how many of the forecasts behind ten weeks are missing or wrong. */
function daysOf (zone: string, hour: (day: number) => number, options: Parameters<typeof forecast>[0]): number {
  const given = Array.from({ length: 330 }, (_, d): Given => [whenRead(zone, Date.UTC(2026, 0, 5 + d, hour(d))) / 1000, 'a/x', weekdays[d % 7]])
  const out = through(forecast({ every: '1d', seasons: ['7d'], ...options }), given)
  t.equal(out.length, given.length)
  return out.slice(70, -1).filter((row, i) => !(Math.abs(row.forecast_1 as number - out[71 + i].value) < 1)).length
}

t.test('a day is one by local clocks, through a year in which they change: no row is lost, and the week stays in step', async t => {
  for (const zone of ['Europe/London', 'Europe/Lisbon']) {
    t.equal(daysOf(zone, () => 0, { zone }), 0, zone)
    t.equal(daysOf(zone, () => 6, { zone, offset: '6h' }), 0, `${zone} from 6 o'clock on`)
    t.not(daysOf(zone, () => 0, {}), 0, 'by UTC two midnights lie in one day')
  }
})

t.test('a step begins `offset` later: rows before and behind midnight are of days of their own', async t => {
  const hour = (day: number) => day % 2 === 0 ? 23 : 25
  t.equal(daysOf('UTC', hour, { offset: '22h' }), 0)
  t.not(daysOf('UTC', hour, {}), 0)
})

t.test('hours go by what clocks read: one that they skip is bridged, one that they repeat is a step that has been', async t => {
  const zone = 'Europe/London', format = new Intl.DateTimeFormat('en-GB', { timeZone: zone, hour: '2-digit', hourCycle: 'h23' })
  for (const [from, again, odd] of [[Date.UTC(2026, 2, 1), 0, 0], [Date.UTC(2026, 8, 27), 1, 7]] as const) {
    const given = Array.from({ length: 24 * 42 }, (_, i): Given => { const at = from + i * 3_600_000; return [at / 1000, 'a/x', Number(format.format(at)) * 7 % 24] })
    const out = through(forecast({ every: '1h', seasons: ['1d'], zone }), given), next = (i: number) => Math.abs(out[i].forecast_1 as number - out[i + 1].value)
    t.equal(out.filter(r => Number.isNaN(r.forecast_1)).length, again)
    t.strictSame(out.slice(0, -1).flatMap((r, i) => i > 400 && next(i) > 3 ? [r.value] : []), [odd], 'the hour before the change: another one is expected than comes')
  }
})

t.test('says what is wrong with its options', async t => {
  const wrong = (options: object, message: RegExp) => t.throws(() => forecast({ every: '1h', ...options }), { message })
  wrong({ every: '0s' }, /every must be longer/)
  wrong({ zone: 'Europe/Berlim' }, /there is no time zone "Europe\/Berlim"/)
  wrong({ seasons: ['90m'] }, /seasons: each must be 2 to 2016 steps/)
  wrong({ seasons: ['1d', '36h'] }, /a multiple of the one before/)
  wrong({ every: '1s' }, /86400 steps are not/)
  wrong({ horizons: [0] }, /horizons/)
  wrong({ horizons: [] }, /horizons/)
  wrong({ horizons: [1000, 2000] }, /together at most 2500 steps.*these are 3000/)
  wrong({ level: 1 }, /level/)
})
