import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { serve } from '../api/server.ts'
import type { Parts } from '../components.ts'
import { MillraceError } from '../errors.ts'
import { Journal } from '../journal.ts'
import { logFolder } from '../journal-identity.ts'
import type { Logger } from '../log.ts'
import type { Pipeline } from '../pipeline.ts'
import { Run } from '../run.ts'
import type { SourceSpec } from '../source.ts'
import { lookEvery } from '../watermark.ts'

export interface WorkOptions {
  readonly parts: Parts
  readonly log: Logger
  readonly folder: string
  readonly database: string | undefined
  readonly http: { readonly host: string, readonly port: number } | undefined
  readonly maxSeries?: number
  readonly egress?: readonly string[]        // see SinkHost
  readonly links?: string | undefined        // where people reach the API
  readonly logBudget?: number | undefined    // bytes of each write-ahead log
  readonly retain?: number | undefined       // ms, see Journal
  readonly acceptLoss?: boolean | undefined
  readonly maxPoison?: number | undefined
  readonly source?: SourceSpec
  readonly signal: AbortSignal
  readonly started?: (runs: readonly Run[], url: string | undefined) => void
}

/**
 * Runs pipelines side by side with the HTTP plane until they end or `signal`: what `run`, `replay` and `demo` have in common.
 * One that fails does not stop the others; the first failure is thrown when all have ended. A log that fails stops all.
 */
export async function work (pipelines: readonly Pipeline[], { parts, log, folder, database, http, maxSeries, egress, links, logBudget, retain, acceptLoss = false, maxPoison, source, signal, started }: WorkOptions): Promise<readonly Run[]> {
  mkdirSync(folder, { recursive: true })
  const stop = new AbortController()
  const forward = () => stop.abort()
  signal.addEventListener('abort', forward, { once: true })
  if (signal.aborted) forward()
  let failure: unknown
  const journals = source === undefined ? await openJournals(pipelines, { log, folder, budget: logBudget, retain, failed: error => { failure ??= error; stop.abort() } }, signal) : new Map<string, Journal>()
  const logs = new Set(journals.values())
  const open = (pipeline: Pipeline, careful = false) => new Run(pipeline, {
    log, folder, database, egress, links, fallback: parts.fileStore, acceptLoss, careful, journal: journals.get(pipeline.name), journals: logs,
    ...maxSeries === undefined ? {} : { maxSeries },
    ...maxPoison === undefined ? {} : { maxPoison },
    ...source === undefined ? {} : { source }
  })
  const runs = pipelines.map(pipeline => open(pipeline))
  /** After an operator has thrown, the pipeline recovers as after a crash and goes on carefully. */
  const run = async (k: number): Promise<void> => {
    try {
      await runs[k].run(stop.signal)
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'engine/operator' || runs[k].isCareful || stop.signal.aborted) throw error
      log.error({ pipeline: pipelines[k].name, err: error.message }, 'an operator threw: going back to the last commit, to find the readings on which it does')
      runs[k] = open(pipelines[k], true)
      await run(k)
    }
  }
  const keys = http === undefined || database === undefined ? undefined : parts.openKeys(database)
  const query = http === undefined || database === undefined ? undefined : parts.openQuery(database)
  const actions = http === undefined || database === undefined ? undefined : parts.openActions(database)
  const plane = http === undefined ? undefined : await serve({ runs: () => runs, stopping: () => stop.signal.aborted, components: parts, keys, query, actions }, { ...http, log })
  try {
    started?.(runs, plane?.url)
    for (const journal of logs) journal.listen()
    const results = await Promise.allSettled(runs.map((_, k) => run(k).catch(error => { log.error({ pipeline: pipelines[k].name, err: (error as Error).message }, 'this pipeline has stopped'); throw error })))
    if (failure !== undefined) throw failure
    const failed = results.find(r => r.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    return runs
  } finally {
    signal.removeEventListener('abort', forward)
    for (const journal of logs) await journal.close()
    await plane?.close()
    await keys?.close()
    await query?.close()
    await actions?.close()
  }
}

interface LogOptions { readonly log: Logger, readonly folder: string, readonly budget: number | undefined, readonly retain: number | undefined, readonly failed: (error: unknown) => void }

/** The logs of the sources that cannot be read again, by pipeline: pipelines with an equal source share one. */
async function openJournals (pipelines: readonly Pipeline[], { log, folder, budget, retain, failed }: LogOptions, signal: AbortSignal): Promise<Map<string, Journal>> {
  const groups = new Map<string, Pipeline[]>()
  for (const pipeline of pipelines.toSorted((a, b) => a.name < b.name ? -1 : 1)) {
    if (!pipeline.source!.listens) continue
    const key = logFolder(pipeline.source!)
    groups.set(key, [...groups.get(key) ?? [], pipeline])
  }
  const journals = new Map<string, Journal>()
  try {
    for (const [key, members] of groups) {
      const journal = await Journal.open(members[0].source!, {
        folder: join(folder, 'log', key), log, client: `millrace-${members[0].name}`, pipelines: members.map(p => p.name),
        failed, tick: lookEvery(Math.min(...members.map(p => p.time.idle))),
        ...budget === undefined ? {} : { budget }, ...retain === undefined ? {} : { retain }
      }, signal)
      for (const { name } of members) journals.set(name, journal)
    }
  } catch (error) {
    for (const journal of new Set(journals.values())) await journal.close()
    throw error
  }
  return journals
}

/** A signal that SIGINT and SIGTERM abort; a second one ends the process at once. `code` is then the exit code for a drained stop. */
export function stopSignal (log: Logger): { signal: AbortSignal, code: () => number } {
  const stop = new AbortController()
  let code = 0
  for (const [name, number] of [['SIGINT', 2], ['SIGTERM', 15]] as const) {
    process.on(name, () => {
      code = 128 + number
      if (stop.signal.aborted) process.exit(code)
      log.info(`${name}: committing what is under way, then stopping; again to stop at once`)
      stop.abort()
    })
  }
  return { signal: stop.signal, code: () => code }
}
