import type { Pipeline } from '../pipeline.ts'
import type { SeriesTable } from '../series.ts'
import type { Delivery } from '../source.ts'
import { lookEvery, slice, type Readings } from '../watermark.ts'

/** Cuts deliveries where, by the ingest clock of their rows, the engine would find that a device has gone silent. */
export class Silence {
  private readonly time: Pipeline['time']
  private readonly every: number     // ms
  private readonly series: SeriesTable
  private readonly heard: number[] = []      // by device: ingest clock of its newest reading, ms
  private due = Infinity             // not before then

  constructor (pipeline: Pipeline, series: SeriesTable) {
    this.time = pipeline.time
    this.every = lookEvery(pipeline.time.idle)
    this.series = series
  }

  cut (delivery: Delivery, { readings, tick }: { readings: (part: Delivery) => void, tick: (at: number) => void }): void {
    const { rows, rows: { ingest, position, series } } = delivery
    let from = 0
    for (let i = 0; i < ingest.length; i++) {
      if (ingest[i] >= this.due && (i === 0 || position[i] !== position[i - 1])) {
        if (i > from) readings(part(delivery, slice(rows, from, i), position[i - 1]))
        from = i
        for (; this.due <= ingest[i]; this.due = this.next(this.due)) tick(this.due)
      }
      this.heard[this.series.deviceOf[series[i]]] = ingest[i]
      this.due = Math.min(this.due, this.seen(ingest[i] + this.time.idle))
    }
    readings({ ...delivery, rows: slice(rows, from, ingest.length), received: delivery.received - from })
  }

  /** When something that happens at `time` is noticed. */
  private seen (time: number): number { return Math.ceil(time / this.every) * this.every }

  /** When the next device goes silent or is forgotten, if nothing is heard; `now` has been looked at. */
  private next (now: number): number {
    let next = Infinity
    for (const heard of this.heard) {
      if (heard === undefined) continue
      const silent = this.seen(heard + this.time.idle), forgotten = this.seen(heard + this.time.forget)
      next = Math.min(next, silent > now ? silent : forgotten > now ? forgotten : Infinity)
    }
    return next
  }
}

/** The part of a delivery up to a position. What became no reading stays with the rest. */
const part = (delivery: Delivery, rows: Readings, upTo: number): Delivery => ({ ...delivery, rows, dead: [], received: rows.time.length, messages: 0, bytes: 0, upTo, ended: false })
