import { SeriesTable, Watermarks, type Batch, type Operator } from '#engine'
import { distorted, type Cause } from './causes.ts'
import { EVERY, names, Pump, START } from './world.ts'

const TICKS = 250                    // instants in a batch

/** One device from START until `end` through the steps, with its cause, if any; calls `take` with what comes out. Returns how many readings there were. */
export function run (seed: number, cause: Cause | undefined, end: number, steps: readonly Operator[], take: (batch: Batch<any>) => void): number {
  const table = new SeriesTable(names.length), ids = names.map(name => table.id('bench', 'pump', name)), pump = new Pump(seed), width = names.length
  const marks = new Watermarks(table, { lateness: 0, idle: Infinity, forget: Infinity }), stages = steps.map(step => step.open({ series: table, late () {}, aggregated () {} }))
  const last = new Float64Array(width), count = Math.round((end - START) / EVERY)
  for (let from = 0; from < count; from += TICKS) {
    const n = Math.min(TICKS, count - from) * width, position = new Float64Array(n), time = new Float64Array(n), series = new Int32Array(n), value = new Float64Array(n)
    for (let i = 0; i < n; i++) {
      const m = i % width, t = time[i] = START + (from + (i - m) / width) * EVERY, on = cause !== undefined && t >= cause.from && t < cause.to
      if (m === 0) pump.at(t, on ? cause.regime : pump.usual, on && cause.verdict === 'device' ? { [cause.kind]: cause.size * (cause.ramp > 0 ? Math.min(1, (t - cause.from) / cause.ramp) : 1) } : {})
      position[i] = from + (i - m) / width + 1
      series[i] = ids[m]
      value[i] = last[m] = on && cause.metric === m ? distorted(cause, seed, t, pump.values[m], last[m]) : pump.values[m]
    }
    take(stages.reduce((batch, stage) => stage.process(batch), marks.arrive({ time, series, value, position, ingest: time }) as Batch<any>))
  }
  return count * width
}
