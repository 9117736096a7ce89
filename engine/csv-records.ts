import { Credits } from './credits.ts'
import type { PastRecord } from './history.ts'
import type { Logger } from './log.ts'
import { SeriesTable } from './series.ts'
import type { Delivery, SourceSpec } from './source.ts'

/** What a source that comes to an end has, record by record. At most a few MiB of it are in memory. */
export async function* recordsOf (spec: SourceSpec, { log, maxSeries }: { readonly log: Logger, readonly maxSeries: number | undefined }): AsyncGenerator<readonly PastRecord[]> {
  const series = new SeriesTable(maxSeries), credits = new Credits({ bytes: 4 * 2 ** 20, deliveries: 1 }), waiting: Delivery[] = []
  const source = spec.definition.open!(spec.options, { pipeline: '', series, ahead: Infinity, log, now: Date.now, origin: undefined })
  let wake = () => {}, over = false, failure: unknown
  const told = () => { wake() }
  const reading = source.open(undefined, credits, new AbortController().signal).subscribe({
    next: delivery => { waiting.push(delivery); told() }, error: error => { failure = error; told() }, complete: () => { over = true; told() }
  })
  try {
    for (;;) {
      const delivery = waiting.shift()
      if (delivery !== undefined) {
        yield [...recordsIn(delivery, series)]
        credits.give(delivery.bytes)
      } else if (failure !== undefined) throw failure
      else if (over) return
      else await new Promise<void>(resolve => { wake = resolve })
    }
  } finally {
    reading.unsubscribe()
    await source.close?.()
  }
}

/** What a delivery has, message by message. */
export function* recordsIn ({ rows, dead }: Delivery, series: SeriesTable): Generator<PastRecord> {
  const letters = grouped(dead), n = rows.time.length
  const positions = [...new Set([...rows.position, ...dead.map(d => d.position)])].sort((a, b) => a - b)
  let i = 0
  for (const position of positions) {
    const readings: NonNullable<PastRecord['readings']>[number][] = [], rejected = letters.get(position)
    const at = rejected?.[0].ingest ?? rows.ingest[i]
    for (; i < n && rows.position[i] === position; i++) readings.push({ ...series.name(rows.series[i]), time: rows.time[i], value: Number.isNaN(rows.value[i]) ? null : rows.value[i] })
    yield {
      at, ...readings.length === 0 ? {} : { readings },
      ...rejected === undefined ? {} : { topic: rejected[0].topic, payload: Buffer.from(rejected[0].payload).toString('base64'), rejected: rejected.map(({ reason, detail }) => [reason, detail] as const) }
    }
  }
}

function grouped (dead: Delivery['dead']): Map<number, Delivery['dead'][number][]> {
  const all = new Map<number, Delivery['dead'][number][]>()
  for (const letter of dead) all.set(letter.position, [...all.get(letter.position) ?? [], letter])
  return all
}
