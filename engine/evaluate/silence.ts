import type { Pipeline } from '../pipeline.ts'
import type { SeriesTable } from '../series.ts'
import type { Delivery } from '../source.ts'
import { lookEvery, slice, type Readings } from '../watermark.ts'

/** Cuts deliveries where, by the ingest clock of their rows, the engine would find that a device has gone silent, is silent for twice as long as it was told, or is to be forgotten: see Watermarks.gone. */
export class Silence {
  private readonly time: Pipeline['time']
  private readonly every: number     // ms
  private readonly series: SeriesTable
  private readonly heard: number[] = []      // by device: ingest clock of its newest reading, ms
  private readonly told: number[] = []       // by device: its silence as last told, ms
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
        for (; this.due <= ingest[i]; this.due = this.next(this.due)) {
          tick(this.due)
          this.tell(this.due)
        }
      }
      const device = this.series.deviceOf[series[i]]
      this.heard[device] = ingest[i]
      this.told[device] = 0
      this.due = Math.min(this.due, this.seen(ingest[i] + this.time.idle))
    }
    readings({ ...delivery, rows: slice(rows, from, ingest.length), received: delivery.received - from })
  }

  /** When something that happens at `time` is noticed. */
  private seen (time: number): number { return Math.ceil(time / this.every) * this.every }

  /** When the engine tells next of a device from which nothing is heard, and when for the last time, as it is forgotten. */
  private tells (device: number): number { return this.seen(this.heard[device] + Math.max(this.time.idle, 2 * this.told[device])) }
  private forgets (device: number): number { return this.seen(this.heard[device] + this.time.forget) }

  private tell (now: number): void {
    this.heard.forEach((heard, device) => { if (this.tells(device) <= now && now <= this.forgets(device)) this.told[device] = now - heard })
  }

  /** When the next device is to be told of, if nothing is heard; `now` has been looked at. */
  private next (now: number): number {
    let next = Infinity
    this.heard.forEach((_, device) => {
      const forgotten = this.forgets(device)
      if (forgotten > now) next = Math.min(next, this.tells(device), forgotten)
    })
    return next
  }
}

/** The part of a delivery up to a position. What became no reading stays with the rest. */
const part = (delivery: Delivery, rows: Readings, upTo: number): Delivery => ({ ...delivery, rows, dead: [], received: rows.time.length, messages: 0, bytes: 0, upTo, ended: false })
