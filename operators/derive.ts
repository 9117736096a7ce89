import { Batch, defineOperator, Duration, note, Type, type SeriesTable } from '#engine'

type Combine = (values: Float64Array) => number
const ways = {
  product: x => x.reduce((a, b) => a * b),
  sum: x => x.reduce((a, b) => a + b),
  difference: x => x.reduce((a, b) => a - b),
  ratio: x => x.reduce((a, b) => a / b),
  mean: x => x.reduce((a, b) => a + b) / x.length,
  min: x => Math.min(...x),
  max: x => Math.max(...x)
} satisfies Record<string, Combine>
const way = <W extends keyof typeof ways>(name: W) => Type.Literal(name)

/**
 * A new metric of a device from several others. When each of them has a value that has not been used yet, and none is
 * older than `within` compared with the newest, one reading is made: at the newest of their times, with the position and
 * arrival of the row that completed it, directly behind it. So there is one for each complete set, never two of one time,
 * and nothing is made from readings older than the newest of their metric. A result that is not finite has no value (NaN).
 *
 * When the series table is full (maxSeries) nothing is made. 16 bytes per device and source.
 */
export const derive = defineOperator({
  name: 'derive',
  summary: 'Makes a metric of a device from its other metrics, such as power from voltage and current.',
  options: Type.Object({
    metric: Type.String({ description: 'Name of the new metric.', minLength: 1 }),
    from: Type.Array(Type.String({ minLength: 1 }), { description: 'Metrics that it is made from, in order.', minItems: 2, uniqueItems: true }),
    by: Type.Union([way('product'), way('sum'), way('difference'), way('ratio'), way('mean'), way('min'), way('max')], { description: 'How: difference and ratio take the first minus, or over, all others.' }),
    within: Duration({ description: 'How much older than the newest value another may be.', default: '10s' })
  }),
  tuning: ['by', 'within'],
  perSeries: { role: note },             // 0: not looked at; 1: no source; else 2 + the place among the sources
  perDevice: ({ from }) => ({
    made: note,                          // the new series + 1
    last: -Infinity,                     // time of the newest reading made
    sources: Object.fromEntries(from.flatMap((_, k) => [[`time${k}`, -Infinity], [`value${k}`, NaN]]))   // value NaN: used already
  }),
  derives: true,
  crosses: true,
  check: ({ metric, from }) => from.includes(metric) ? `metric "${metric}" cannot be made from itself` : undefined,

  process (batch, { metric, from, by, within }, { role, made, last, sources }, { series: table }) {
    const { data, width } = sources
    const values = new Float64Array(from.length)
    const combine: Combine = ways[by]
    const complete = (at: number): number => {     // time of the newest source; NaN when one is missing
      let newest = -Infinity
      for (let k = 0; k < from.length; k++) {
        values[k] = data[at + 2 * k + 1]
        if (Number.isNaN(values[k])) return NaN
        newest = Math.max(newest, data[at + 2 * k])
      }
      for (let k = 0; k < from.length; k++) if (newest - data[at + 2 * k] > within) return NaN
      return newest
    }
    const rows: number[] = [], times: number[] = [], results: number[] = []
    for (let i = 0; i < batch.length; i++) {
      const s = batch.series[i], x = batch.value[i]
      if (role[s] === 0) role[s] = from.indexOf(table.metric(s)) + 2
      if (role[s] === 1 || Number.isNaN(x)) continue
      const d = table.deviceOf[s], at = d * width, k = role[s] - 2
      if (batch.time[i] < data[at + 2 * k]) continue
      data[at + 2 * k] = batch.time[i]
      data[at + 2 * k + 1] = x
      const time = complete(at)
      if (!(time > last[d]) || seriesOf(made, d, metric, table) < 0) continue
      last[d] = time
      for (let k = 0; k < from.length; k++) data[at + 2 * k + 1] = NaN
      const result = combine(values)
      rows.push(i)
      times.push(time)
      results.push(Number.isFinite(result) ? result : NaN)
    }
    return rows.length === 0 ? batch : woven(batch, rows, times, results, s => made[table.deviceOf[s]] - 1)
  }
})

function seriesOf (made: Int32Array, device: number, metric: string, table: SeriesTable): number {
  if (made[device] === 0) made[device] = table.of(device, metric) + 1
  return made[device] - 1
}

/** The batch with a row behind each of `rows`. A new row is the first of its time (`seq`) and its first writing (`revision`); other columns have no value in it. */
function woven (batch: Batch<any>, rows: readonly number[], times: readonly number[], results: readonly number[], target: (source: number) => number): Batch<any> {
  const order = new Int32Array(batch.length + rows.length)
  const fresh = rows.map((row, k) => row + k + 1)
  for (let i = 0, to = 0, k = 0; i < batch.length; i++) {
    order[to++] = i
    if (rows[k] === i) { order[to++] = i; k++ }
  }
  const out = batch.take(order)
  const time = out.time as Float64Array, value = out.value as Float64Array, series = out.series as Int32Array
  const columns = Object.entries(out.columns as Record<string, Float64Array>)
  fresh.forEach((to, k) => {
    time[to] = times[k]
    value[to] = results[k]
    series[to] = target(series[to])
    for (const [name, column] of columns) column[to] = name === 'seq' || name === 'revision' ? 0 : NaN
  })
  return out
}
