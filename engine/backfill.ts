import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join, parse } from 'node:path'
import { sleep } from './clock.ts'
import { recordsOf } from './csv-records.ts'
import { MillraceError } from './errors.ts'
import { History, merged, readRecords, writeRecords, type PastRecord, type PastRecords, type Span } from './history.ts'
import { CANCEL, Stopped, type Asked, type JobHost, type JobKind } from './jobs.ts'
import type { Logger } from './log.ts'
import { readingsOf } from './log-past.ts'
import type { Pipeline } from './pipeline.ts'
import type { Pipelines } from './pipelines.ts'
import { openStore, planTables, storeSinks } from './plan.ts'
import type { Query } from './query.ts'
import type { RunOptions } from './run-options.ts'
import { SeriesTable } from './series.ts'
import type { SourceSpec } from './source.ts'
import type { Recovered } from './store.ts'

export interface BackfillOptions extends Pick<RunOptions, 'fallback' | 'database' | 'folder'> {
  readonly pipelines: Pipelines
  readonly query: Query
  readonly log: Logger
  readonly replay: (options: object) => SourceSpec       // CSV files as a source
  readonly maxSeries: number | undefined
}
/** `table`: of readings; without it the one that the pipeline itself writes. `log`: what the log of its source still has instead. `csv`: one is uploaded under the id of the job; `options`: how the source replay is to read it. */
export interface BackfillAsked extends Span { readonly pipeline: string, readonly table?: string | undefined, readonly log?: boolean | undefined, readonly csv?: boolean | undefined, readonly options?: Asked | undefined }

/** Where a CSV that is sent for a job is. */
export const uploadOf = (folder: string, id: string): string => join(folder, 'uploads', `${id}.csv`)

const LOOK = 100                     // ms
const NO_ROWS: PastRecords = { async* [Symbol.asyncIterator] () {} }

/**
 * A pipeline works through its past and then goes on with its own source. It stands still while its past is gathered into a file
 * with the place at which it joins its source again (History), then begins anew at the first record. From there on it recovers
 * like from any source, so a process that dies is followed by one that goes on.
 */
export class Backfill implements JobKind {
  private readonly options: BackfillOptions
  constructor (options: BackfillOptions) { this.options = options }

  /** Whose table is to be read: undefined when there is none. @throws what stands against it */
  check ({ pipeline: name, table, log, csv, from, to, options }: BackfillAsked): { readonly table: string, readonly writer: string } | undefined {
    const { pipelines, replay } = this.options, pipeline = pipelines.all.find(p => p.name === name)
    if (pipeline === undefined) throw new MillraceError('api/not-found', `there is no pipeline "${name}"`, { help: pipelines.all.map(p => p.name).join(', ') })
    if (pipelines.runOf(name)?.history !== undefined && pipelines.runOf(name)?.isPast !== true) throw new MillraceError('api/conflict', `the pipeline "${name}" is in the middle of another backfill`, { help: 'wait for it, or cancel it' })
    if (from !== undefined && to !== undefined && from >= to) throw new MillraceError('api/invalid', 'the range is empty: from is not before to')
    if (storeSinks(pipeline)[0]?.name !== 'postgres') throw new MillraceError('api/conflict', `the pipeline "${name}" keeps its rows in local files, where none takes the place of another`, { help: 'to: [ postgres: { table: ... } ]' })
    if (csv === true) replay({ ...options, files: 'x.csv' })
    if (log !== true) return tableOf(pipelines, pipeline, table, csv === true)
    if (table !== undefined || csv === true) throw new MillraceError('api/invalid', `what the log has cannot be read beside ${table === undefined ? 'a CSV' : 'a table'}`, { help: 'log: true, or table' })
    if (pipeline.source?.listens !== true) throw new MillraceError('api/conflict', `the pipeline "${name}" reads no log of this process`, { help: 'pipelines from mqtt, broker, nats and http have one; or a table, or a CSV' })
    return undefined
  }

  async run ({ id, asked: given }: { readonly id: string, readonly asked: Asked }, host: JobHost): Promise<string> {
    const asked = given as unknown as BackfillAsked, { pipelines, folder, replay, log, maxSeries } = this.options, source = this.check(asked), { signal, progress } = host
    const converted = join(folder, 'uploads', `${id}.ndjson`)
    let begun = false
    try {
      if (asked.csv === true) {
        await mkdir(dirname(converted), { recursive: true, mode: 0o700 })
        progress({ done: 0, detail: 'reading the CSV' })
        await writeRecords(converted, until(signal, recordsOf(replay({ ...asked.options, files: uploadOf(folder, id) }), { log, maxSeries })))
      }
      progress({ done: 0, detail: 'gathering the past; the pipeline stands still' })
      await pipelines.exclusive(asked.pipeline, async () => {
        await pipelines.still(asked.pipeline, async pipeline => {
          await this.begin(id, pipeline, asked, source, asked.csv === true ? readRecords(converted) : undefined, signal)
          begun = true
        })
      })
    } catch (error) {
      if (begun) log.error({ pipeline: asked.pipeline, err: (error as Error).message }, 'the backfill waits until the pipeline works again')
      else {
        await (await History.find(folder, id))?.remove()
        if (signal.aborted) throw new Stopped('it was ended before anything was changed')
        throw error
      }
    } finally { await rm(converted, { force: true }) }
    return await this.watch(id, asked.pipeline, host)
  }

  async resume ({ id, asked }: { readonly id: string, readonly asked: Asked }, host: JobHost): Promise<string | undefined> {
    const { folder, pipelines } = this.options, name = (asked as unknown as BackfillAsked).pipeline
    if (await History.find(folder, id) === undefined) return undefined
    for (let run = pipelines.runOf(name); run?.isUp !== true && run?.history?.past.id !== id; run = pipelines.runOf(name)) {
      if (host.signal.aborted && host.signal.reason !== CANCEL) throw new Stopped()
      if (host.signal.aborted) await (await History.find(folder, id))?.cut()
      host.progress({ done: 0, detail: run === undefined ? 'the pipeline is not there yet' : 'the pipeline has not started yet' })
      await sleep(LOOK)
    }
    const history = await History.find(folder, id)
    if (history !== undefined && history.past.over !== true && pipelines.runOf(name)!.history?.past.id !== id) {       // it was gathered, and the pipeline had not begun
      await history.remove()
      return undefined
    }
    return await this.watch(id, name, host)
  }

  async clear ({ id }: { readonly id: string }): Promise<void> {
    await rm(uploadOf(this.options.folder, id), { force: true })
  }

  /** Uploads that the process before has not finished, or made no job of. */
  async sweep (left: ReadonlySet<string>): Promise<void> {
    const place = dirname(uploadOf(this.options.folder, ''))
    for (const name of await readdir(place).catch(() => [])) {
      const file = join(place, name), { mtimeMs } = await stat(file)
      if (!left.has(parse(name).name) && mtimeMs < performance.timeOrigin) await rm(file, { force: true })
    }
  }

  /** While the pipeline stands still: what it is to read, and then that it reads this. */
  private async begin (id: string, pipeline: Pipeline, asked: BackfillAsked, source: ReturnType<Backfill['check']>, csv: PastRecords | undefined, signal: AbortSignal): Promise<void> {
    const { folder, database, fallback, log, query, pipelines, maxSeries } = this.options, { name } = pipeline, host = { pipeline: name, series: new SeriesTable(1), log, database, folder }
    const store = openStore(pipeline, planTables(pipeline), host, fallback)
    try {
      const own = await store.open(signal)
      if (own.origin?.startsWith('history:') === true) throw new MillraceError('api/conflict', `the pipeline "${name}" is in the middle of another backfill`, { help: 'wait for it, or cancel it' })
      await History.sweep(folder, name)
      const found = source === undefined ? undefined : await query.past({ table: source.table, writer: source.writer, from: asked.from })
      try {
        const join = placeOf(own, found?.place)
        const journal = pipelines.runOf(name)?.journal, first = journal?.wal.first
        if (join.origin !== own.origin || first === undefined) log.info({ pipeline: name, join }, 'joins its source there after the backfill')
        else if (join.position !== undefined && join.position < first - 1) throw new MillraceError('log/dropped', `the pipeline "${source!.writer}" stands at position ${join.position} of the log, which begins at ${first}: what lies between is nowhere`, { help: 'try again when it has caught up' })
        else if (join.position !== undefined) await journal!.stay(name, join.position)       // the writer goes on, and what it has passed is to be there
        if (asked.log === true && (journal === undefined || journal.origin !== own.origin || own.position === undefined)) throw new MillraceError('api/conflict', `the pipeline "${name}" has not read anything of its log yet`, { help: 'it begins at the oldest record by itself' })
        const beside = asked.log === true ? readingsOf(journal!, own.position!, { ahead: pipeline.time.ahead, from: asked.from, maxSeries }) : csv ?? NO_ROWS
        const history = await History.write(folder, { id, pipeline: name, asked: Date.now(), from: asked.from, to: asked.to, join }, until(signal, merged(beside, found?.records ?? NO_ROWS)))
        if (signal.aborted) throw new Stopped()
        await store.restart!(history.origin)
      } finally { await found?.close() }
    } finally { await store.close() }
  }

  /** Until it is over, whatever happens to the pipeline meanwhile. */
  private async watch (id: string, name: string, { signal, progress }: JobHost): Promise<string> {
    const { folder, pipelines } = this.options
    let history = await History.find(folder, id), done = 0
    const total = history?.past.records ?? 0, cutAll = async () => { await (pipelines.runOf(name)?.history ?? await History.find(folder, id))?.cut() }
    let cut = false
    while (history !== undefined && history.past.over !== true) {
      if (signal.aborted && signal.reason !== CANCEL) throw new Stopped()
      const run = pipelines.runOf(name)
      if (run === undefined) throw new MillraceError('api/conflict', `the pipeline "${name}" was deleted`)
      if (signal.aborted && !cut) {
        await cutAll()
        cut = true
      }
      if (run.history?.past.id === id) done = Math.min(total, run.position)
      const [trouble] = Object.entries(run.trouble())
      progress({ done, total, detail: pipelines.isWorking(name) ? trouble === undefined ? 'working through the past' : `${trouble[0]}: ${trouble[1]}` : 'the pipeline does not work: resume it' })
      await sleep(LOOK)
      history = await History.find(folder, id)
    }
    if (!signal.aborted) done = total
    progress({ done, total })
    return signal.aborted ? `cancelled after ${done} of ${total} records: the pipeline goes on with its own source, and remembers what it has read` : `${total} records; the pipeline goes on with its own source`
  }
}

/** The table with the readings of a pipeline, or the one that is asked for, and who writes it; `without`: there need be none. @throws what stands against it */
export function tableOf (pipelines: Pipelines, pipeline: Pipeline, table: string | undefined, without = false): { readonly table: string, readonly writer: string } | undefined {
  const { name } = pipeline
  const readings = (p: Pipeline) => planTables({ ...p, branches: {} }).tables.filter(t => t.kind === 'readings' && t.options.url === undefined).map(t => t.name)
  const wanted = table ?? (readings(pipeline).length === 1 && faultOf(pipeline) === undefined ? readings(pipeline)[0] : undefined)
  if (wanted === undefined) {
    if (without) return undefined
    throw new MillraceError('api/invalid', `nothing says what the past of "${name}" is: ${readings(pipeline).length === 0 ? 'it writes no table of readings' : faultOf(pipeline) ?? 'it writes several tables of readings'}`, { help: 'table: one that has the readings as they come; or send a CSV' })
  }
  const writers = pipelines.all.filter(p => planTables(p).tables.some(t => t.name === wanted))
  const [writer] = writers
  if (writer === undefined) throw new MillraceError('api/not-found', `no pipeline here writes a table "${wanted}"`)
  if (writers.length > 1) throw new MillraceError('api/conflict', `several pipelines write the table "${wanted}" (${writers.map(w => w.name).join(', ')}), and how far its rows reach is not known`, { help: 'a table that one pipeline writes' })
  if (!readings(writer).includes(wanted)) throw new MillraceError('api/invalid', `the table "${wanted}" has no readings as they come`, { help: `of "${writer.name}" there are: ${readings(writer).join(', ') || 'none'}` })
  const fault = faultOf(writer)
  if (fault !== undefined) throw new MillraceError('api/invalid', `the readings of the table "${wanted}" are not those that came: ${fault}`, { help: 'a table of a pipeline that stores them as they come; or a CSV' })
  return { table: wanted, writer: writer.name }
}

/** Where it goes on: where the writer of the table stood when the rows were its rows, if that is in what the pipeline reads itself. */
function placeOf (own: Recovered, writer: { readonly origin: string | undefined, readonly position: number | undefined } | undefined): { readonly origin: string | undefined, readonly position: number | undefined } {
  return writer?.origin !== undefined && writer.origin === own.origin ? writer : { origin: own.origin, position: own.position }
}

/** Why the readings that a pipeline stores on its trunk are not those that came. */
function faultOf ({ name, steps }: Pipeline): string | undefined {
  const step = steps.find(({ definition: { windows, changes, derives } }) => windows === true || changes === true || derives === true)
  return step === undefined ? undefined : `the step "${step.id}" of "${name}" ${step.definition.windows ? 'makes windows of them' : step.definition.changes ? 'gives them other values' : 'adds readings of its own'}`
}

async function* until (signal: AbortSignal, records: PastRecords): AsyncGenerator<readonly PastRecord[]> {
  for await (const some of records) {
    if (signal.aborted) throw new Stopped()
    yield some
  }
}
