import { Credits } from './credits.ts'
import { recordsIn } from './csv-records.ts'
import type { PastRecord } from './history.ts'
import { Intake } from './intake.ts'
import type { Journal } from './journal.ts'
import { take } from './log-source.ts'
import { SeriesTable } from './series.ts'
import type { Position } from './source.ts'
import { kinds } from './wal-segment.ts'

/**
 * Readings of a log, from its oldest record up to `upTo`, as they came, of event time from `from` on, ms. What of it can be none is a dead
 * letter already, and stays out. Nothing that is still to be read of it is dropped meanwhile.
 */
export async function* readingsOf ({ wal, spec }: Journal, upTo: Position, { ahead, from = -Infinity, maxSeries }: { readonly ahead: number, readonly from?: number | undefined, readonly maxSeries: number | undefined }): AsyncGenerator<readonly PastRecord[]> {
  const reader = wal.reader(wal.first - 1), series = new SeriesTable(maxSeries), intake = new Intake(series, new Credits(), { ahead, after: reader.position })
  const decode = spec.definition.decode!(spec.options, series, intake)
  let more = true
  try {
    while (more && reader.position < upTo) {
      more = await reader.read((position, kind, ingest, bytes, start, end) => {
        if (kind === kinds.message && position <= upTo) take(series, intake, decode, position, ingest, bytes, start, end, undefined)
      })
      const some: PastRecord[] = []
      for (const { at, readings = [] } of recordsIn(intake.take(0), series)) {
        const kept = readings.filter(({ time }) => time >= from)
        if (kept.length > 0) some.push({ at, readings: kept })
      }
      yield some
    }
  } finally { await reader.close() }
}
