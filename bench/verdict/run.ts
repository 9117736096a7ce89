import { SeriesTable, Watermarks, type Batch, type Operator } from '#engine'
import { distorted, type Cause } from './causes.ts'
import { runs, type Plant } from './plants.ts'
import { EVERY, names, Pump, START } from './world.ts'

const TICKS = 250                    // instants in a batch

/** One device of a plant and the steps that its readings go through, from START on. */
export class Rig {
  ticks = 0                          // instants so far
  private readonly seed: number
  private readonly plant: Plant
  private readonly steps: readonly Operator[]
  private readonly pump: Pump
  private readonly table = new SeriesTable(names.length)
  private readonly marks: Watermarks
  private readonly stages
  private readonly last = new Float64Array(names.length)
  constructor (seed: number, steps: readonly Operator[], plant: Plant = 'always', pump = new Pump(seed)) {
    this.seed = seed
    this.plant = plant
    this.steps = steps
    this.pump = pump
    for (const name of names) this.table.id('bench', 'pump', name)
    this.marks = new Watermarks(this.table, { lateness: 0, idle: Infinity, forget: Infinity })
    this.stages = steps.map(step => step.open({ series: this.table, late () {}, aggregated () {} }))
  }

  /** The same with all that it has learned, to be taken on by itself. */
  copy (): Rig {
    const other = new Rig(this.seed, this.steps, this.plant, this.pump.copy())
    other.ticks = this.ticks
    other.last.set(this.last)
    this.stages.forEach((stage, k) => { other.stages[k].load(structuredClone(stage.save())) })
    return other
  }

  /** On to `end`, with its cause, if any; calls `take` with what comes out. */
  to (end: number, cause: Cause | undefined, take: (batch: Batch<any>) => void): void {
    const { seed, plant, pump, last } = this, width = names.length, count = Math.round((end - START) / EVERY)
    for (; this.ticks < count; this.ticks = Math.min(this.ticks + TICKS, count)) {
      const from = this.ticks, n = Math.min(TICKS, count - from) * width, position = new Float64Array(n), time = new Float64Array(n), series = new Int32Array(n), value = new Float64Array(n)
      for (let i = 0; i < n; i++) {
        const m = i % width, t = time[i] = START + (from + (i - m) / width) * EVERY, on = cause !== undefined && t >= cause.from && t < cause.to
        if (m === 0) pump.at(t, on ? cause.regime : pump.usual, on && cause.verdict === 'device' ? { [cause.kind]: cause.size * (cause.ramp > 0 ? Math.min(1, (t - cause.from) / cause.ramp) : 1) } : {}, runs(plant, seed, t))
        position[i] = from + (i - m) / width + 1
        series[i] = m
        value[i] = last[m] = on && cause.metric === m ? distorted(cause, seed, t, pump.values[m], last[m]) : pump.values[m]
      }
      take(this.stages.reduce((batch, stage) => stage.process(batch), this.marks.arrive({ time, series, value, position, ingest: time }) as Batch<any>))
    }
  }
}

/** One device from START until `end` through the steps, with its cause, if any; calls `take` with what comes out. */
export function run (seed: number, cause: Cause | undefined, end: number, steps: readonly Operator[], take: (batch: Batch<any>) => void): void {
  new Rig(seed, steps).to(end, cause, take)
}
