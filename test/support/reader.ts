import { pino } from 'pino'
import { Credits, SeriesTable, type DeadLetter, type Delivery, type Source, type SourceSpec } from '#engine'
import type { Journal, JournalOptions } from '../../engine/journal.ts'
import { openSource } from './open.ts'

export interface Reading { readonly position: number, readonly name: string, readonly time: number, readonly value: number }

/** A source at work: what it delivered, committed by hand or at once. Plays the part of the loop. */
export interface Reader {
  readonly source: Source
  readonly journal: Promise<Journal> | undefined     // of a source that listens
  readonly series: SeriesTable
  readonly credits: Credits
  readonly readings: Reading[]
  readonly dead: DeadLetter[]
  readonly lines: Record<string, unknown>[]          // of its log
  error: unknown
  received: number
  upTo: number
  /** Everything delivered so far is stored and will not be read again. */
  commit (): Promise<void>
  /** Resolves when the condition holds; rejects after `ms`, saying what there is instead. */
  until (holds: () => boolean, ms?: number): Promise<void>
  stop (): Promise<void>
}

export function read (spec: SourceSpec, { from, commit = true, bytes = 32 * 2 ** 20, pipeline = 'test', maxSeries = 1000, now = Date.now, log: options }: { from?: number, commit?: boolean, bytes?: number, pipeline?: string, maxSeries?: number, now?: () => number, log?: Partial<JournalOptions> } = {}): Reader {
  const series = new SeriesTable(maxSeries)
  const credits = new Credits({ bytes, deliveries: commit ? 2 : Infinity })
  const stop = new AbortController()
  const lines: Record<string, unknown>[] = []
  const log = pino({ level: 'debug' }, { write: line => { lines.push(JSON.parse(line) as Record<string, unknown>) } })
  const { source, journal } = openSource(spec, { pipeline, series, ahead: 60_000, log, now }, options)
  let open: Delivery[] = []
  let end!: () => void
  const ended = new Promise<void>(resolve => { end = resolve })
  const reader: Reader = {
    source, journal, series, credits, lines, readings: [], dead: [], error: undefined, received: 0, upTo: from ?? 0,
    async commit () {
      const deliveries = open
      open = []
      for (const { upTo, bytes } of deliveries) {
        await source.commit(upTo)
        source.done?.(upTo)
        credits.give(bytes)
      }
    },
    async until (holds, ms = 60_000) {
      const deadline = Date.now() + ms
      while (!holds()) {
        if (Date.now() > deadline) throw new Error(`not within ${ms} ms; ${reader.readings.length} readings, ${reader.dead.length} dead letters, trouble: ${source.trouble()}, error: ${String(reader.error)}`)
        await new Promise(resolve => { setTimeout(resolve, 5) })
      }
    },
    async stop () {
      stop.abort()
      await ended
      await source.close?.()
    }
  }
  source.open(from, credits, stop.signal).subscribe({
    next (delivery) {
      const { rows, dead, received, upTo } = delivery
      for (let i = 0; i < rows.time.length; i++) {
        const { tenant, device, metric } = series.name(rows.series[i])
        reader.readings.push({ position: rows.position[i], name: `${tenant}/${device}/${metric}`, time: rows.time[i], value: rows.value[i] })
      }
      reader.dead.push(...dead)
      reader.received += received
      reader.upTo = upTo
      open.push(delivery)
      if (commit) void reader.commit()
    },
    error (error) { reader.error = error; end() },
    complete: end
  })
  return reader
}

/** Positions of a log grow; records that are no messages stand between them. */
export const grow = (records: readonly { readonly position: number }[]): boolean => records.every(({ position }, i) => i === 0 || position > records[i - 1].position)
