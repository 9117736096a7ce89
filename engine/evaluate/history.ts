/** History through a pipeline in virtual time: the flow of a live run, without store, receivers or clock. */
import type { AlertEvent } from '../alert.ts'
import type { Batch } from '../batch.ts'
import { Credits } from '../credits.ts'
import { openFlow } from '../flow.ts'
import type { Outputs } from '../outputs.ts'
import type { Logger } from '../log.ts'
import type { Pipeline } from '../pipeline.ts'
import { SeriesTable } from '../series.ts'
import type { Delivery, SourceSpec } from '../source.ts'
import { addCounts, noCounts, type Counts } from '../tally.ts'
import { probed } from '../trial.ts'
import { Silence } from './silence.ts'

/** A transition of an alert, and when a live run would have said it, see playHistory. */
export interface Said { readonly event: AlertEvent, readonly at: number }
/** What is known of a device: its first and its newest reading, event time in ms, and how many there are. */
export interface Extent { first: number, last: number, readings: number }

export interface History {
  readonly extents: ReadonlyMap<string, Extent>        // by device, in the order of appearance
  readonly said: readonly Said[]                       // in the order in which they were said
  readonly series: SeriesTable
  readonly counts: Counts                              // of the trunk
  readonly dead: ReadonlyMap<string, { count: number, readonly first: string }>      // by reason, with one detail
}

/** Rows at the end of a route ('' is the trunk), as its sinks would get them. */
export type TakeRows = (branch: string, batch: Batch<any>, series: SeriesTable) => void

/**
 * Plays a source of history to its end. Silence is judged as in a live run, which looks every second at the most, but by
 * the clock of the source and between the same two readings each time, so that the same files give the same alerts.
 *
 * An alert is said when the reading that made it, or that closed its window, arrives: at the newest time of its own device
 * so far, whatever the clocks of others say; one that silence made, when that was noticed.
 */
export async function playHistory (pipeline: Pipeline, source: SourceSpec, { log, maxSeries, rows = () => {}, progress }: { readonly log: Logger, readonly maxSeries?: number, readonly rows?: TakeRows, readonly progress?: (readings: number) => void }): Promise<History> {
  const series = new SeriesTable(maxSeries), credits = new Credits()
  const flow = openFlow(probed(pipeline), series)
  const extents = new Map<string, Extent>(), byId: Extent[] = []
  const said: Said[] = [], counts = noCounts(), dead = new Map<string, { count: number, readonly first: string }>()
  const take = (outputs: Outputs | undefined, at: (event: AlertEvent) => number): void => {
    if (outputs === undefined) return
    for (const { branch, batch } of outputs.follow) rows(branch, batch, series)
    for (const { event } of outputs.alerts.toSorted((a, b) => a.event.position - b.event.position)) said.push({ event, at: at(event) })
    for (const { reason, detail, count = 1 } of outputs.deadLetters) {
      const known = dead.get(reason)
      if (known === undefined) dead.set(reason, { count, first: detail })
      else known.count += count
    }
    for (const [branch, tally] of Object.entries(outputs.counts([]))) if (branch === '') addCounts(counts, tally)
  }
  const newest = (event: AlertEvent): number => Math.max(event.time, extents.get(event.device)?.last ?? -Infinity)
  const clock = new Silence(pipeline, series)
  const readings = (delivery: Delivery): void => {
    const outputs = flow.process(delivery), { rows: { time, position, series: ids } } = delivery
    let i = 0
    const listen = (until: number) => { for (; i < time.length && position[i] <= until; i++) hear(byId[series.deviceOf[ids[i]]], time[i]) }
    const meet = () => { for (let d = extents.size; d < series.devices; d++) extents.set(series.deviceName(d).device, byId[d] ??= { first: Infinity, last: -Infinity, readings: 0 }) }
    meet()
    take(outputs, event => { listen(event.position); return newest(event) })
    listen(Infinity)
  }
  let ingest = -Infinity
  const opened = source.definition.open!(source.options, { pipeline: pipeline.name, series, ahead: pipeline.time.ahead, log, now: () => 0, origin: undefined })
  await opened.open(undefined, credits, new AbortController().signal).forEach(delivery => {
    clock.cut(delivery, { readings, tick: at => { take(flow.tick(at), () => at) } })
    ingest = delivery.ingest
    credits.give(delivery.bytes)
    progress?.(counts.received)
  })
  await opened.close?.()
  take(flow.end(ingest), newest)
  for (const [device, { readings }] of extents) if (readings === 0) extents.delete(device)
  return { extents, said, series, counts, dead }
}

function hear (extent: Extent, time: number): void {
  extent.first = Math.min(extent.first, time)
  extent.last = Math.max(extent.last, time)
  extent.readings++
}
