import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { setPriority } from 'node:os'
import { dirname, extname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline as pump } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { uploadOf } from './backfill.ts'
import { csvLine } from './csv.ts'
import { MillraceError } from './errors.ts'
import { Stopped, type Asked, type JobHost, type JobKind, type JobState } from './jobs.ts'
import type { PastRecords } from './history.ts'
import { isoMicros } from './iso.ts'
import type { Query } from './query.ts'
import type { Registry } from './registry.ts'

/** A label as it is sent. Without `to` it is a moment; without a metric it is about the whole device. */
export interface SentLabel { readonly device: string, readonly metric?: string, readonly from: string, readonly to?: string, readonly kind?: string }
/** The history: a CSV that was uploaded under the id of the job, as the source replay reads it by `options`; or readings of a table in [from, to), ms, of one tenant. */
export interface EvaluateAsked {
  readonly pipeline: string, readonly version: number
  readonly table?: { readonly table: string, readonly writer: string, readonly from: number, readonly to: number, readonly tenant: string }
  readonly options?: Asked
  readonly labels?: number, readonly labelColumn?: string        // how many there are, see keepLabels; neither: nothing was wrong
  readonly tolerance?: string, readonly probation?: string, readonly by?: string, readonly alerts?: readonly string[]
}

const FORMATS = { json: 'evaluation.json', html: 'evaluation.html' } as const
export type EvaluationFormat = keyof typeof FORMATS
const folderOf = (folder: string, id: string): string => join(folder, 'evaluations', id)
/** Where the result of an evaluation is, or would be. */
export const evaluationFile = (folder: string, id: string, format: EvaluationFormat): string => join(folderOf(folder, id), FORMATS[format])

/** Labels of a job that is to be: not part of what is shown of it, as there may be many. */
export async function keepLabels (folder: string, id: string, labels: readonly SentLabel[]): Promise<void> {
  await mkdir(folderOf(folder, id), { recursive: true, mode: 0o700 })
  await writeFile(join(folderOf(folder, id), LABELS), JSON.stringify(labels), { mode: 0o600 })
}
/** There is to be no such job. */
export async function dropEvaluation (folder: string, id: string): Promise<void> { await rm(folderOf(folder, id), { recursive: true, force: true }) }

const DATA = 'data.csv', DEFINITION = 'pipeline.yaml', LABELS = 'labels.json'
const MAIN = fileURLToPath(new URL(`./main${extname(import.meta.url)}`, import.meta.url))
const MEMORY = 1024                  // MiB of heap of the process that evaluates
const LONGEST = 3_600_000            // ms
const TOLD = 2000                    // characters of what it says when it fails
const NICE = 10

/**
 * `millrace evaluate` of a version of a pipeline, as a process of its own with low priority: ingestion and requests have their turn whatever
 * the pipeline does, and its memory is not theirs. It is given the definition as it was sent, and sees neither environment nor files.
 */
export class Evaluate implements JobKind {
  private readonly options: { readonly folder: string, readonly query: Query, readonly registry: Pick<Registry, 'definition'> }
  constructor (options: Evaluate['options']) { this.options = options }

  async run ({ id, asked }: { readonly id: string, readonly asked: Asked }, { signal, progress }: JobHost): Promise<string> {
    const { folder, registry } = this.options, { pipeline: name, version, table, options = {}, labels, labelColumn, tolerance, probation, by, alerts } = asked as unknown as EvaluateAsked
    const place = folderOf(folder, id), data = join(place, DATA), file = join(place, DEFINITION)
    const definition = await registry.definition(name, version)
    if (definition === undefined) throw new MillraceError('api/not-found', `the pipeline "${name}" has no version ${version}`)
    await mkdir(place, { recursive: true, mode: 0o700 })
    await writeFile(file, definition, { mode: 0o600 })
    if (table === undefined) await rename(uploadOf(folder, id), data)
    else await this.gather(table, data, signal)
    if (signal.aborted) throw new Stopped('cancelled')
    const said = (flag: string, value: string | undefined) => value === undefined ? [] : [`--${flag}=${value}`]       // one word each, whatever stands in it
    await evaluate([
      'evaluate', file, '--sent', `--data=${data}`, `--to=${place}`, '--json', ...labels !== undefined ? said('labels', join(place, LABELS)) : labelColumn !== undefined ? said('label-column', labelColumn) : ['--healthy'],
      ...Object.entries(table === undefined ? options : { tenant: table.tenant }).map(([key, value]) => `--option=${key}=${JSON.stringify(value)}`), ...said('tolerance', tolerance), ...said('probation', probation), ...said('by', by), ...(alerts ?? []).map(name => `--alert=${name}`)
    ], place, signal, progress)
    return 'the result is there, as JSON and as a page'
  }

  async clear ({ id }: { readonly id: string }, state: JobState): Promise<void> {
    const { folder } = this.options
    await rm(uploadOf(folder, id), { force: true })
    if (state !== 'done') return await dropEvaluation(folder, id)
    for (const name of [DATA, DEFINITION, LABELS]) await rm(join(folderOf(folder, id), name), { force: true })
  }

  async remove ({ id }: { readonly id: string }): Promise<void> { await dropEvaluation(this.options.folder, id) }

  /** Labels that the process before has made no job of. */
  async sweep (left: ReadonlySet<string>): Promise<void> {
    const { folder } = this.options
    for (const id of await readdir(dirname(folderOf(folder, 'x'))).catch(() => [])) {
      const unused = await stat(join(folderOf(folder, id), LABELS)).catch(() => undefined)
      if (unused !== undefined && !left.has(id) && unused.mtimeMs < performance.timeOrigin) await dropEvaluation(folder, id)
    }
  }
  /** Readings in the order of their arrival, as a CSV. */
  private async gather ({ table, writer, from, to, tenant }: NonNullable<EvaluateAsked['table']>, file: string, signal: AbortSignal): Promise<void> {
    const { records, close } = await this.options.query.as({ tenant }).past({ table, writer, from, to, tenant })
    try { await pump(Readable.from(linesOf(records, signal)), createWriteStream(file, { mode: 0o600 })) } finally { await close() }
  }
}

async function* linesOf (records: PastRecords, signal: AbortSignal): AsyncGenerator<string> {
  yield csvLine(['time', 'device', 'metric', 'value'])
  for await (const some of records) {
    if (signal.aborted) throw new Stopped('cancelled')
    const readings = some.flatMap(({ readings = [] }) => readings).filter(r => r.value !== null)
    yield readings.map(r => csvLine([isoMicros(r.time), r.device, r.metric, r.value])).join('')
  }
}

/** The program as a process of its own, until it is done. @throws what it said */
async function evaluate (args: readonly string[], place: string, signal: AbortSignal, progress: JobHost['progress']): Promise<void> {
  const child = fork(MAIN, args, { execArgv: [...process.execArgv, `--max-old-space-size=${MEMORY}`], env: {}, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] }), stop = () => { child.kill('SIGKILL') }
  let said = '', late = false
  child.stderr!.setEncoding('utf8').on('data', (text: string) => { said = (said + text).slice(-TOLD) })
  child.on('message', (readings: { readonly done: number, readonly total?: number }) => { progress(readings) })
  const timer = setTimeout(() => { late = true; stop() }, LONGEST)
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  try {
    if (child.pid !== undefined) try { setPriority(child.pid, NICE) } catch { /* it has ended already, and says why */ }
    const [code] = await once(child, 'close') as [number | null]
    if (signal.aborted) throw new Stopped('cancelled')
    if (late) throw new MillraceError('api/too-long', `it was not over within ${LONGEST / 60_000} minutes`, { help: 'a shorter history' })
    if (code !== 0) throw new MillraceError('api/failed', said.replaceAll(`${place}/`, '').trim() || `the process that evaluates ended with ${code ?? 'a signal: it may have had too little memory'}`)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}
