import { Batch, MillraceError, noCounts, Transient, type Commit, type Counts, type DeadLetter, type LateRows, type Outcome } from '#engine'
import type { Refusals } from './postgres-admit.ts'
import type { CopyEncoder } from './postgres-copy.ts'
import { postAlerts } from './postgres-outbox.ts'
import { copyInto, isFirst, writeRows, type Care } from './postgres-rows.ts'
import { clean, type DurableSeries, type Named } from './postgres-series.ts'
import { literal, type Session } from './postgres-session.ts'
import { advance, movedBy, putMarks, putSnapshot } from './postgres-snapshots.ts'
import type { Table } from './postgres-tables.ts'
import { micros, moment } from './postgres-time.ts'

/** A commit as it is sent: `batch` without the rows that were refused before, `refused` of them. */
export interface Content {
  readonly commit: Commit
  readonly writes: readonly { readonly table: Table, readonly batch: Batch<any>, readonly refused: number }[]
  readonly late: readonly LateRows[]
  readonly refusals: Refusals
}
/** `versions`: of the partitions of the checkpoint, as known. */
export interface Parts { readonly pipeline: string, readonly encoder: CopyEncoder, readonly series: DurableSeries, readonly versions: Readonly<Float64Array> }
/** `known`: committed. Otherwise the connection was lost while it was to be. */
export interface Written { readonly outcomes: readonly Outcome[], readonly named: Named, readonly known: boolean }

/** One transaction. When it throws, nothing of it is left, here or in the database. */
export async function commitOnce (session: Session, parts: Parts, content: Content, care: Care): Promise<Written> {
  return care === 'none' && isPlain(content, parts.series) ? await commitPlain(session, parts, content) : await commitAny(session, parts, content, care)
}

/** Rows of series that are known, and nothing else. */
function isPlain ({ commit, writes, late, refusals }: Content, series: DurableSeries): boolean {
  const { alerts, deadLetters, marks, snapshot, replace } = commit
  return replace === undefined && snapshot === undefined && alerts.length + deadLetters.length + marks.length + late.length + refusals.letters.length === 0 &&
    writes.some(({ batch }) => batch.length > 0) && writes.every(({ table, batch }) => batch.provisional === undefined && isFirst(table, batch)) && isKnown(series.unknown(writes.map(w => w.batch)))
}
const isKnown = ({ series, devices }: ReturnType<DurableSeries['unknown']>): boolean => series.size + devices.size === 0

/** The common commit, in one round trip: the server has all statements at once, and gets the rows when it has said that the checkpoint is still ours. */
async function commitPlain (session: Session, { pipeline, encoder, series, versions }: Parts, { commit, writes }: Content): Promise<Written> {
  const { partitions, ingest } = commit, named: Named = { series: [], devices: [] }
  const outcomes = writes.map(({ batch }): Outcome => ({ written: batch.length, duplicates: 0, refused: 0 })), filled = writes.filter(({ batch }) => batch.length > 0)
  const advanced = `UPDATE ${movedBy(partitions).length}`
  try {
    const ours = await session.copyScript(
      `BEGIN; ${advance(pipeline, commit, versions, moment(String(micros(ingest))))}; ${filled.map(({ table, batch }) => copyInto(table, batch)).join('; ')}; ${keepCounts(pipeline, commit, outcomes)} COMMIT`,
      filled.map(({ table, batch }) => () => encoder.slices(table, batch, series.ids, ingest)), tags => tags.at(-1) === advanced)
    if (!ours) throw fenced(pipeline)
    return { outcomes, named, known: true }
  } catch (error) {
    if (error instanceof Transient) {
      session.destroy()
      return { outcomes, named, known: false }
    }
    await session.rollback()
    throw error
  }
}

async function commitAny (session: Session, { pipeline, encoder, series, versions }: Parts, { commit, writes, late, refusals }: Content, care: Care): Promise<Written> {
  const { position, ingest } = commit
  const ingested = moment(String(micros(ingest)))
  let named: Named = { series: [], devices: [] }
  const outcomes: Outcome[] = []
  let end: string
  try {
    const [, advanced] = await session.script(`BEGIN; ${advance(pipeline, commit, versions, ingested)}`)
    if (advanced.rowCount !== movedBy(commit.partitions).length) throw fenced(pipeline)
    const batches = [...writes.flatMap(({ batch }) => batch.provisional === undefined ? [batch] : [batch, batch.provisional]), ...late.map(l => l.batch)]
    named = await series.name(session, batches, position, ingest)
    const writer = { session, encoder, ids: series.ids, ingest, care, replace: commit.replace !== undefined, used: new Set<string>() }
    for (const { table, batch, refused } of writes) {
      const asked = commit.replace === undefined ? batch : within(batch, commit.replace)
      const outcome = await writeRows(writer, table, asked, (row, why) => refusals.add(table.name, row, 0, 'rejected_by_store', why, position))
      outcomes.push({ ...outcome, duplicates: outcome.duplicates + batch.length - asked.length, refused: outcome.refused + refused })
    }
    await postAlerts(session, pipeline, commit.alerts, ingest, commit.origin ?? '')
    await putLate(session, pipeline, commit.origin ?? '', late, series.ids, ingest)
    await putDeadLetters(session, pipeline, commit.origin ?? '', [...commit.deadLetters, ...refusals.letters])
    await putMarks(session, pipeline, commit)
    if (commit.snapshot !== undefined) await putSnapshot(session, pipeline, commit.snapshot, ingested)
    end = `${keepCounts(pipeline, commit, outcomes)} COMMIT`
  } catch (error) {
    series.forget(named)
    await session.rollback()
    throw error
  }
  try {
    await session.script(end)
    return { outcomes, named, known: true }
  } catch (error) {
    if (error instanceof Transient) {
      session.destroy()
      return { outcomes, named, known: false }
    }
    series.forget(named)
    await session.rollback()
    throw error
  }
}

const within = (batch: Batch<any>, { from = -Infinity, to = Infinity }: NonNullable<Commit['replace']>): Batch<any> => {
  const { provisional } = batch, part = (rows: Batch<any>) => rows.filter(i => rows.time[i] >= from && rows.time[i] < to)
  return provisional === undefined ? part(batch) : new Batch<any>({ ...part(batch), provisional: part(provisional) })
}

export const fenced = (pipeline: string): MillraceError => new MillraceError('store/fenced', `another process has taken over the pipeline "${pipeline}"`, { help: 'stop one of them' })

async function putLate (session: Session, pipeline: string, origin: string, late: Commit['late'], ids: Readonly<Int32Array>, ingest: number): Promise<void> {
  for (const { branch, step, batch } of late) {
    if (batch.length === 0) continue
    await session.query(LATE, [pipeline, branch, step, Array.from(batch.time, micros), Array.from(batch.series, s => ids[s]), Array.from(batch.value, v => Number.isNaN(v) ? null : v), [...batch.position], micros(ingest), origin])
  }
}

async function putDeadLetters (session: Session, pipeline: string, origin: string, letters: readonly DeadLetter[]): Promise<void> {
  for (let from = 0, to = 0; from < letters.length; from = to) {
    for (let bytes = 0; to < letters.length && (to === from || bytes < SLICE); to++) bytes += letters[to].payload.length + letters[to].detail.length + 256
    await putSlice(session, pipeline, origin, letters.slice(from, to))
  }
}

const SLICE = 4 * 2 ** 20            // bytes of one statement, about: hex in text doubles them, and a string has its limit

async function putSlice (session: Session, pipeline: string, origin: string, letters: readonly DeadLetter[]): Promise<void> {
  const column = <T>(of: (letter: DeadLetter) => T) => letters.map(of)
  await session.query(DEAD, [pipeline, column(l => l.position), column(l => l.part), column(l => l.reason), column(l => clean(l.detail)), column(l => clean(l.topic)), column(l => Buffer.from(l.payload)), column(l => micros(l.ingest)), origin])
}

function keepCounts (pipeline: string, { counts, position, ingest }: Commit, outcomes: readonly Outcome[]): string {
  const rows = Object.entries(counts(outcomes)).map(([branch, count]) => `(${[literal(pipeline), literal(branch), ...TERMS.map(term => count[term]), position, moment(String(micros(ingest)))].join(', ')})`)
  return rows.length === 0 ? '' : `INSERT INTO counts (pipeline, branch, ${TERMS.join(', ')}, position, ingested_at) VALUES ${rows.join(', ')}
    ON CONFLICT (pipeline, branch) DO UPDATE SET ${[...TERMS, 'position', 'ingested_at'].map(t => `${t} = excluded.${t}`).join(', ')};`
}

const LATE = `INSERT INTO late_readings (pipeline, branch, step, time, series, value, position, ingested_at, origin)
  SELECT $1, $2, $3, ${moment('us')}, series, value, position, ${moment('$8')}, $9 FROM unnest($4::bigint[], $5::int[], $6::float8[], $7::bigint[]) AS r (us, series, value, position)`
/** A part that is taken, by a letter of an earlier commit at the same position (a tick that came after it), is numbered on. */
const DEAD = `WITH given AS (SELECT *, row_number() OVER (PARTITION BY position, part ORDER BY nth) AS times
      FROM unnest($2::bigint[], $3::int[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::bigint[]) WITH ORDINALITY AS g (position, part, reason, detail, topic, payload, us, nth)),
    there AS (SELECT position, part FROM dead_letters WHERE pipeline = $1 AND origin = $9 AND position = ANY ($2::bigint[])),
    last AS (SELECT position, max(part) AS part FROM (TABLE there UNION ALL SELECT position, part FROM given) AS parts GROUP BY position)
  INSERT INTO dead_letters (pipeline, position, part, reason, detail, topic, payload, ingested_at, origin)
  SELECT $1, position, CASE WHEN times > 1 OR EXISTS (SELECT FROM there WHERE there.position = given.position AND there.part = given.part) THEN last.part + row_number() OVER (PARTITION BY position ORDER BY nth) ELSE given.part END,
    reason, detail, topic, payload, ${moment('us')}, $9 FROM given JOIN last USING (position)`
const TERMS = Object.keys(noCounts()) as (keyof Counts)[]
