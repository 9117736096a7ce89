import { Credits, SeriesTable, type Delivery, type Logger, type Source, type SourceSpec } from '#engine'

export interface Collected {
  readonly deliveries: readonly Delivery[]
  readonly dead: readonly { readonly reason: string, readonly detail: string, readonly position: number, readonly text: string }[]
  readonly readings: readonly (readonly [series: string, time: number, value: number])[]
  readonly positions: readonly number[]
  readonly series: SeriesTable
  readonly ended: boolean
}

export interface CollectOptions {
  readonly from?: number
  readonly ahead?: number
  readonly now?: () => number
  readonly credits?: Credits
  readonly log?: Logger
  /** Enough seen: stops the source. */
  readonly until?: (seen: { readonly readings: number, readonly deliveries: number }) => boolean
  readonly opened?: (source: Source) => void
}

/** Opens a source as a pipeline does and commits every delivery at once, until the source ends or `until` holds. */
export async function collect (spec: SourceSpec, { from, ahead = 300_000, now = Date.now, credits = new Credits(), log = quiet().log, until, opened }: CollectOptions = {}): Promise<Collected> {
  const series = new SeriesTable()
  const source = spec.open({ pipeline: 'test', series, ahead, log, now, origin: undefined })
  opened?.(source)
  const stop = new AbortController()
  const deliveries: Delivery[] = []
  let seen = 0
  await new Promise<void>((resolve, reject) => {
    source.open(from, credits, stop.signal).subscribe({
      next (delivery) {
        deliveries.push(delivery)
        seen += delivery.rows.time.length
        setImmediate(() => credits.give(delivery.bytes))
        if (until?.({ readings: seen, deliveries: deliveries.length })) stop.abort()
      },
      error: reject,
      complete: resolve
    })
  })
  const name = (s: number) => { const { tenant, device, metric } = series.name(s); return `${tenant === 'default' ? '' : `${tenant}:`}${device}/${metric}` }
  return {
    deliveries, series,
    readings: deliveries.flatMap(({ rows }) => Array.from(rows.time, (time, i) => [name(rows.series[i]), time, rows.value[i]] as const)),
    positions: deliveries.flatMap(({ rows }) => [...rows.position]),
    dead: deliveries.flatMap(d => d.dead.map(({ reason, detail, position, payload }) => ({ reason, detail, position, text: Buffer.from(payload).toString() }))),
    ended: deliveries.at(-1)?.ended ?? false
  }
}

/** A log that remembers its messages. */
export function quiet (): { readonly log: Logger, readonly lines: { readonly level: string, readonly text: string }[] } {
  const lines: { level: string, text: string }[] = []
  const write = (level: string) => (a: unknown, b?: string) => { lines.push({ level, text: b ?? String(a) }) }
  const log = Object.fromEntries(['trace', 'debug', 'info', 'warn', 'error', 'fatal'].map(level => [level, write(level)]))
  return { log: { ...log, child: () => log } as unknown as Logger, lines }
}
