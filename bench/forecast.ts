import { resolve } from 'node:path'
import { Batch, SeriesTable } from '#engine'
import { key, normal, uniform } from '../models/random.ts'
import { forecast } from '../operators/index.ts'
import { columnsOf, type Series } from './drive.ts'
import { atMost, cpuOf, missed, mustEqual, round, spread, type Benchmark, type Figures } from './measure.ts'
import { dataIn } from './real-data.ts'
import { HORIZON, intervalScore, mae, mean, naive2, readM4, scaleOf, smape, type M4Series } from './m4.ts'

const HOUR = 3_600_000, BEGIN = Date.UTC(2018, 0, 1), LEVEL = 0.95, WEEK = 168
const ahead = Array.from({ length: HORIZON }, (_, i) => i + 1)

/** The forecasts of a step at the end of each series, one row after the other; with their intervals. */
export function forecasts (all: readonly Pick<M4Series, 'train'>[]): { readonly point: number[], readonly low: number[], readonly high: number[] }[] {
  const table = new SeriesTable(all.length)
  const stage = forecast({ every: '1h', horizons: ahead, level: LEVEL }).open({ series: table, late () {}, aggregated () {} })
  return all.map(({ train }, s) => {
    table.id('bench', `${s}`, 'value')
    const { columns } = stage.process(new Batch({ time: Float64Array.from(train, (_, i) => BEGIN + i * HOUR), series: new Int32Array(train.length).fill(s), value: Float64Array.from(train) }))
    const last = (ending: string) => ahead.map(h => (columns as Record<string, Float64Array>)[`forecast_${h}${ending}`][train.length - 1])
    return { point: last(''), low: last('_low'), high: last('_high') }
  })
}

/** What the M4 competition reports, over all series. */
export function scoresOf (all: readonly M4Series[]): Figures {
  const made = forecasts(all), simple = all.map(({ train }) => naive2(train)), scale = all.map(({ train }) => scaleOf(train))
  mustEqual('the number of forecasts', made.reduce((n, { point, low, high }) => n + ahead.filter((_, i) => low[i] <= point[i] && point[i] <= high[i]).length, 0), all.length * HORIZON)
  const over = (score: (series: M4Series, i: number) => number) => mean(all.map(score))
  const own = { smape: over(({ test }, i) => smape(test, made[i].point)), mase: over(({ test }, i) => mae(test, made[i].point) / scale[i]) }
  const naive = { smape: over(({ test }, i) => smape(test, simple[i])), mase: over(({ test }, i) => mae(test, simple[i]) / scale[i]) }
  return {
    series: all.length, owa: round((own.smape / naive.smape + own.mase / naive.mase) / 2), mase: round(own.mase), smape: round(own.smape, 4),
    coverage_95: round(over(({ test }, i) => mean(test.map((y, h) => y >= made[i].low[h] && y <= made[i].high[h] ? 1 : 0)))),
    msis: round(over(({ test }, i) => intervalScore(test, made[i].low, made[i].high, LEVEL) / scale[i])), naive2_smape: round(naive.smape, 4), naive2_mase: round(naive.mase, 4)
  }
}

const SHIFTING = 20, LONG = 5000, EACH = [1, 24], RUN = 400

/**
 * Hourly series that change when it hurts: about every 400 hours, by chance, the level jumps by up to 10 standard deviations, the
 * noise becomes 0.2 to 5 times what it was at first, the day is turned round by some hours, or a trend begins.
 */
export const shifting = (seed: number): Series[] => Array.from({ length: SHIFTING }, (_, s) => {
  const k = key(seed, s), when = key(k, 1), how = key(k, 2)
  let level = 100, noise = 1, turned = 0, trend = 0
  const value = Float64Array.from({ length: LONG }, (_, i) => {
    if (uniform(when, i) < 1 / RUN) {
      const kind = Math.floor(4 * uniform(how, 2 * i)), size = 2 * uniform(how, 2 * i + 1) - 1
      if (kind === 0) level += 10 * size
      else if (kind === 1) noise = 5 ** size
      else if (kind === 2) turned += Math.round(12 * size)
      else trend = size / 10
    }
    level += trend
    return level + 5 * Math.sin(2 * Math.PI * (i + turned) / 24) + noise * normal(k, i)
  })
  return { name: `${s}`, time: Float64Array.from(value, (_, i) => BEGIN + i * HOUR), value }
})

/** The share of intervals that held, of all that were given for a time that came. */
export function coverageOf (all: readonly Series[], horizon: number): number {
  const columns = columnsOf(forecast({ every: '1h', horizons: [horizon], level: LEVEL }), all)
  let given = 0, held = 0
  columns.forEach((of, s) => {
    const low = of[`forecast_${horizon}_low`], high = of[`forecast_${horizon}_high`]
    for (let i = 0; i + horizon < low.length; i++) {
      if (Number.isNaN(low[i])) continue
      const y = all[s].value[i + horizon]
      given++
      if (y >= low[i] && y <= high[i]) held++
    }
  })
  return held / given
}

const ROUNDS = 5, SERIES = 200, STEPS = 3 * WEEK

/** What a step costs with the seasons of a day and a week and two horizons: CPU time and memory. */
function cost (): Figures {
  const one = forecast({ every: '1h', horizons: EACH }), table = new SeriesTable(SERIES)
  for (let s = 0; s < SERIES; s++) table.id('bench', `${s}`, 'value')
  const k = key(1), batches = Array.from({ length: STEPS }, (_, i) => new Batch({
    time: new Float64Array(SERIES).fill(BEGIN + i * HOUR), series: Int32Array.from({ length: SERIES }, (_, s) => s), value: Float64Array.from({ length: SERIES }, (_, s) => 100 + 10 * Math.sin(2 * Math.PI * i / 24) + normal(k, i * SERIES + s))
  }))
  const taken = Array.from({ length: ROUNDS + 1 }, () => {
    const stage = one.open({ series: table, late () {}, aggregated () {} })
    return cpuOf(() => {
      const rows = batches.reduce((n, batch) => n + stage.process(batch).length, 0)
      mustEqual('the number of rows', rows, SERIES * STEPS)
    }) / (SERIES * STEPS)
  }).slice(1)
  const { memory } = one.definition.perSeries(one.options) as { memory: object }
  return { case: 'cost', horizons: EACH, ns_per_reading: round(spread(taken).median), ns_per_reading_spread: [round(spread(taken).low), round(spread(taken).high)], bytes_per_series: 8 * Object.keys(memory).length, runs: ROUNDS }
}

export const forecasting: Benchmark = {
  summary: 'the operator forecast on hourly series of the M4 competition, in one pass, and the coverage of its intervals where series shift; its cost',
  unit: 'all series, a horizon, or the cost',
  options: {
    data: { type: 'string', default: dataIn('m4') },
    seed: { type: 'string', default: '1' }
  },
  check ({ seed }) { if (!/^\d+$/.test(seed)) throw new Error(`--seed ${seed}: must be a whole number`) },
  async run (say, { data, seed }) {
    const all = readM4(resolve(data))
    say(`${all.length} series, ${HORIZON} steps ahead from their end; ${SHIFTING} simulated series of ${LONG} hours that shift`)
    const series = shifting(Number(seed))
    return [scoresOf(all), ...EACH.map((horizon): Figures => ({ case: 'shift', horizon, coverage_95: round(coverageOf(series, horizon)) })), cost()]
  },
  fault (figures, { data } = {}) {
    if (figures.case === 'shift') return missed(figures, { coverage_95: COVERED })
    return figures.case === undefined && data === dataIn('m4') ? missed(figures, { owa: atMost(0.48), mase: atMost(0.88), coverage_95: COVERED, msis: atMost(10) }) : undefined
  }
}
const COVERED = [0.93, 0.97] as const
