import { SeriesTable, Watermarks, type Batch, type Operator } from '#engine'
import { key, normal, Random } from '../../models/random.ts'

/** What a machine that is off gives: exactly 0, 0 with the noise of its sensors, or nothing at all. */
export type Off = 'zeros' | 'noise' | 'silent'
export const names = ['current', 'pressure', 'flow', 'vibration'] as const
export const HOUR = 3_600_000, DAY = 24 * HOUR, WEEK = 7 * DAY, START = Date.UTC(2026, 0, 5)      // a Monday
const levels = [20, 6, 45, 3], gains = [8, -1.5, 20, 1.2], sensors = [0.15, 0.04, 0.5, 0.06]

export interface Machine { readonly seed: number, readonly every: number, readonly off: Off, readonly jitter: number, readonly ramp?: number }      // ms: jitter that switches are early or late at most; ramp that they take

/** When it is switched on and off on the day with this number, ms; undefined when it is not. */
export function shift ({ seed, jitter }: Machine, day: number): readonly [on: number, off: number] | undefined {
  if (day % 7 > 4) return undefined
  const random = new Random(key(seed, 3, day)), begin = START + day * DAY
  return [begin + 6 * HOUR + random.between(-jitter, jitter), begin + 18 * HOUR + random.between(-jitter, jitter)]
}

/** A fault of one metric, by day: what is read in place of `value`, `k` readings behind its begin; `last` was read before it; NaN: nothing is. */
export interface Planted { readonly metric: number, readonly from: number, readonly to: number, readonly read: (value: number, k: number, last: number) => number }

/** Standard deviation of what the past of a metric does not tell. */
export const residual = (metric: number): number => sensors[metric]

/**
 * A machine that runs by day from Monday to Friday through the steps, with a tick of the clock each minute in which it may be silent, else each hour. Its metrics follow one
 * load that wanders. Calls `take` with what comes out, behind each hour.
 */
export function nights (machine: Machine, weeks: number, steps: readonly Operator[], take: (batch: Batch<any>, table: SeriesTable) => void, faults: readonly Planted[] = []): void {
  const { seed, every, off, ramp = 0 } = machine, table = new SeriesTable(names.length), ids = names.map(name => table.id('t', 'pump', name)), width = names.length
  const marks = new Watermarks(table, { lateness: 0, idle: 60_000, forget: Infinity }), stages = steps.map(step => step.open({ series: table, late () {}, aggregated () {} }))
  const through = (batch: Batch<any>) => { take(stages.reduce((b, stage) => stage.process(b), batch), table) }
  const keep = Math.exp(-every / (20 * 60_000)), last = new Float64Array(width)
  let wander = 0, position = 0, n = 0
  for (let hour = START; hour < START + weeks * WEEK; hour += HOUR) {
    const rows: [time: number, metric: number, value: number][] = []
    for (let t = hour; t < hour + HOUR; t += every, n++) {
      wander = keep * wander + Math.sqrt(1 - keep * keep) * normal(key(seed, 1), n)
      const on = shift(machine, Math.floor((t - START) / DAY)), power = on === undefined ? 0 : Math.max(0, Math.min(1, (t - on[0]) / (ramp || 1), 1 - (t - on[1]) / (ramp || 1))), runs = power > 0
      const load = 0.5 + 0.2 * Math.sin(2 * Math.PI * (t - START) / DAY) + 0.12 * wander
      for (let metric = 0; metric < width; metric++) {
        const noise = sensors[metric] * normal(key(seed, 2, metric), n)
        if (!runs && off === 'silent') continue
        let value = runs ? power * (levels[metric] + gains[metric] * (load - 0.5)) + noise : off === 'noise' ? noise / 3 : 0
        const fault = faults.find(f => f.metric === metric && t >= f.from && t < f.to)
        if (fault !== undefined) value = fault.read(value, Math.round((t - fault.from) / every), last[metric])
        else last[metric] = value
        if (!Number.isNaN(value)) rows.push([t, metric, value])
      }
    }
    const step = off === 'silent' && [hour, hour + HOUR - 1].some(t => { const on = shift(machine, Math.floor((t - START) / DAY)); return on === undefined || t < on[0] || t >= on[1] }) ? 60_000 : HOUR
    let from = 0
    for (let now = hour; now < hour + HOUR; now += step) {      // ticks come between records
      let to = from
      while (to < rows.length && rows[to][0] < now + step) to++
      if (to > from) {
        const some = rows.slice(from, to), position0 = position
        position += some.length
        through(marks.arrive({ time: Float64Array.from(some, r => r[0]), series: Int32Array.from(some, r => ids[r[1]]), value: Float64Array.from(some, r => r[2]), position: Float64Array.from(some, (_, i) => position0 + i + 1), ingest: Float64Array.from(some, r => r[0]) }))
      }
      from = to
      const tick = marks.tick(marks.gone(now + step), position)
      if (tick !== undefined) through(tick)
    }
  }
}
