/** A flow that is driven by hand, and what comes out of it with names in place of ids. */
import { Credits, Intake, pipeline, SeriesTable, type Delivery, type Mark, type Pipeline } from '#engine'
import { Flow } from '../../engine/flow.ts'
import type { Outputs } from '../../engine/outputs.ts'
import { normalise } from '../../engine/lint.ts'
import { apply } from '../../engine/recovery.ts'
import { partitionOf } from '../../engine/partition.ts'
import * as components from '../../index.ts'
import { rowsOf, type Row } from '../laws/stream.ts'
import { given } from './source.ts'
const { dedupe, ewma, file, tumbling, zscore } = components

export const START = Date.UTC(2026, 0, 5)
/** Twelve devices each of two partitions: more than fit on one page. */
export const DEVICES: readonly string[] = (() => {
  const found = new Map<number, string[]>([[3, []], [40, []]])
  for (let i = 0; [...found.values()].some(names => names.length < 12); i++) {
    const names = found.get(partitionOf('default', `d${i}`))
    if (names !== undefined && names.length < 12) names.push(`d${i}`)
  }
  return [...found.values()].flat()
})()

export type Step =
  | { readonly do: 'readings', readonly of: readonly (readonly [device: number, metric: number, time: number, value: number])[], readonly ingest: number }
  | { readonly do: 'tick' | 'listen', readonly time: number }
  | { readonly do: 'relearn', readonly time: number, readonly device: number, readonly end: number }

/** What is no message, as the log has it. */
export const markOf = (step: Exclude<Step, { do: 'readings' }>): Mark =>
  step.do === 'relearn' ? { kind: 'relearn', time: step.time, of: { tenant: 'default', device: DEVICES[step.device], end: step.end } } : { kind: step.do, time: step.time }

/** All kinds of memory: by series and by device, numbers, rings, lists, windows, alerts, in a trunk and a branch. */
export const remembering = ({ alpha = 0.5, samples = 3 } = {}): Pipeline => normalise(pipeline('p')
  .from(given([]).spec, { lateness: '2s', idle: '30s', forget: '5m' })
  .pipe(dedupe({ within: '20s' }), ewma({ alpha }), zscore({ over: '1m', samples }))
  .alert('high', { when: { value: { above: 6 } }, for: '2s' })
  .branch('tens', b => b.pipe(tumbling({ every: '10s', features: ['mean', 'count', 'last'] })).to(file({ table: 'w' })))
  .to(file({ table: 'r' })), components as any)

export class Driven {
  readonly series: SeriesTable
  readonly flow: Flow
  private readonly intake: Intake

  constructor (p: Pipeline = remembering(), position = 0) {
    this.series = new SeriesTable(200)
    this.flow = new Flow(p, this.series, position)
    this.intake = new Intake(this.series, new Credits({ bytes: Infinity, deliveries: Infinity }), { ahead: 1e9, after: position })
  }

  delivery (of: Extract<Step, { do: 'readings' }>['of'], ingest: number): Delivery {
    for (const [device, metric, time, value] of of) {
      this.intake.message('test', new Uint8Array(0), ingest)
      this.intake.reading(this.series.id('default', DEVICES[device], `m${metric}`), time, value)
    }
    return this.intake.take(ingest)
  }

  /** The readings as one message. */
  message (of: Extract<Step, { do: 'readings' }>['of'], ingest: number): Delivery {
    this.intake.message('test', new Uint8Array(0), ingest)
    for (const [device, metric, time, value] of of) this.intake.reading(this.series.id('default', DEVICES[device], `m${metric}`), time, value)
    return this.intake.take(ingest)
  }

  feed (step: Step): unknown {
    if (step.do === 'readings') return this.plain(this.flow.process(this.delivery(step.of, step.ingest)))
    return this.plain(apply(this.flow, markOf(step)))
  }

  plain (outputs: Outputs | undefined): unknown {
    return outputs && {
      rows: outputs.writes.map(({ table, batch }) => [table, bySeries(rowsOf(batch, this.series)), batch.provisional && bySeries(rowsOf(batch.provisional, this.series, 'provisional'))]),
      alerts: outputs.alerts.map(a => a.event).toSorted((a, b) => a.id < b.id ? -1 : 1), late: outputs.late.map(l => bySeries(rowsOf(l.batch, this.series, 'late'))),
      position: outputs.position, counts: outputs.counts(outputs.writes.map(w => ({ written: w.batch.length, duplicates: 0, refused: 0 })))
    }
  }

  /** Its pages as they are now, beside any snapshot. */
  get pages () { return this.flow.snapshots.keep(Int32Array.from({ length: this.series.devices }, (_, d) => d)) }
}

/** A tick goes through devices by their ids, which another process gives in another order: of a series the order counts. */
const bySeries = (rows: readonly Row[]): Row[] => rows.toSorted(([a], [b]) => a < b ? -1 : a > b ? 1 : 0)
