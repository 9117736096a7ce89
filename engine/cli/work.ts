import { mkdirSync } from 'node:fs'
import type { Address, serve } from '../api/server.ts'
import { Attempts } from '../attempts.ts'
import { Backfill } from '../backfill.ts'
import type { Parts } from '../components.ts'
import { Control } from '../control.ts'
import { MillraceError } from '../errors.ts'
import { Evaluate } from '../evaluate-job.ts'
import { ExportRows } from '../export-job.ts'
import { Jobs } from '../jobs.ts'
import { Limits } from '../limits.ts'
import { Live } from '../live.ts'
import type { Logger } from '../log.ts'
import { isExposed, isLoopback } from '../loopback.ts'
import type { Pipeline } from '../pipeline.ts'
import { Pipelines } from '../pipelines.ts'
import { forget } from '../plan.ts'
import { ReadingQuota } from '../quota.ts'
import { Relearning } from '../relearning.ts'
import { Reach } from '../reach.ts'
import type { Run } from '../run.ts'
import { insistOnSecrets, insistOnServer } from '../secrets.ts'
import type { SharedKeysOptions } from '../shared-keys.ts'
import type { SourceSpec } from '../source.ts'
import type { Tokens } from '../token.ts'
import { keptOf, LOG_KEEP } from './arguments.ts'

export interface WorkOptions {
  readonly parts: Parts
  readonly log: Logger
  readonly folder: string
  readonly database: string | undefined
  readonly http: Address | undefined
  readonly maxSeries?: number
  readonly egress?: readonly string[]        // see SinkHost
  readonly links?: string | undefined        // where people reach the API
  readonly logBudget?: number | undefined    // bytes of each write-ahead log
  readonly retain?: number | undefined       // ms, see Journal
  readonly logKeep?: number | undefined      // bytes, see Wal; LOG_KEEP when absent
  readonly acceptLoss?: boolean | undefined
  readonly maxPoison?: number | undefined
  readonly source?: SourceSpec
  readonly limits?: Limits | undefined
  readonly tokens?: Tokens | undefined       // that do as well as keys
  readonly redis?: { readonly url: string, readonly down: SharedKeysOptions['down'] } | undefined
  readonly signal: AbortSignal
  readonly hosts?: readonly string[]         // that pipelines put over HTTP may connect to, see Reach
  readonly changes?: boolean                 // pipelines that the API puts are brought back, and it may put more
  readonly started?: (runs: readonly Run[], url: string | undefined) => void
}

const DAY = 864e5                    // ms
const TELL = 5000                    // ms in which alerts are sent before it ends by itself

/**
 * Runs pipelines side by side with the HTTP plane until they end or `signal`: what `run`, `replay` and `demo` have in common. With none
 * it waits for those that are put. One that fails does not stop the others; the first failure is thrown when all have ended. A log
 * that fails, and that was there from the start, stops all. Returns the runs of the pipelines that were given.
 */
export async function work (given: readonly Pipeline[], { parts, log, folder, database, http, egress, links, logBudget, logKeep = keptOf(LOG_KEEP), retain, maxSeries, maxPoison, acceptLoss = false, source, limits, tokens, redis, hosts, signal, changes = false, started }: WorkOptions): Promise<readonly Run[]> {
  mkdirSync(folder, { recursive: true })
  const stop = new AbortController()
  const forward = () => stop.abort()
  signal.addEventListener('abort', forward, { once: true })
  if (signal.aborted) forward()
  const unserved = http === undefined && source === undefined ? given.find(p => p.source!.definition.keyed === true) : undefined
  if (unserved !== undefined) throw new MillraceError('usage/command', `the pipeline "${unserved.name}" reads what is posted over HTTP, and there is no HTTP here`, { help: 'without --http off' })
  const exposed = http !== undefined && isExposed(http) || given.some(({ source }) => source?.listens === true && typeof source.options.host === 'string' && !isLoopback(source.options.host))
  if (exposed) {
    if (database !== undefined) insistOnServer('--database', database)
    if (redis !== undefined) insistOnServer('--redis', redis.url)
    given.forEach(insistOnSecrets)
  }
  const shared = redis === undefined ? undefined : { server: await parts.openSharedKeys(redis.url, log), down: redis.down }
  const most = limits ?? new Limits(), attempts = new Attempts(most.process.failures, log)
  let failure: unknown
  const live = http === undefined ? undefined : new Live(), pipelines = new Pipelines({
    log, folder, database, egress, links, fallback: parts.fileStore, acceptLoss, logBudget, logKeep, retain, shared, quota: limits === undefined ? undefined : new ReadingQuota(limits), attempts, failed: error => { failure ??= error; stop.abort() }, live, seriesOf: limits === undefined ? undefined : tenant => limits.ofTenant(tenant).series ?? Infinity,
    ...maxSeries === undefined ? {} : { maxSeries }, ...maxPoison === undefined ? {} : { maxPoison }, ...source === undefined ? {} : { source }
  })
  const keys = http === undefined || database === undefined ? undefined : parts.openKeys(database)
  const query = database === undefined ? undefined : parts.openQuery(database)         // for jobs too, which go on without HTTP
  const actions = database === undefined ? undefined : parts.openActions(database)
  const relearning = actions === undefined || source !== undefined ? undefined : new Relearning({ maintenance: actions, pipelines, log })
  const registry = !changes || database === undefined ? undefined : parts.openRegistry(database)
  const control = registry === undefined ? undefined : new Control({
    pipelines, registry, components: parts, log, folder, reach: new Reach(hosts), exposed, files: new Map(given.map(({ name, file }) => [name, file ?? 'the command line'])),
    forget: pipeline => forget(pipeline, { log, folder, database }, parts.fileStore)
  })
  const kept = (tenant: string | null) => { const { jobs, jobDays } = most.ofTenant(tenant); return { most: jobs, age: jobDays * DAY } }
  const backfill = control === undefined || query === undefined ? undefined : new Backfill({ pipelines, query, log, folder, database, fallback: parts.fileStore, maxSeries, replay: options => parts.sources.replay(options) })
  const jobs = backfill === undefined ? undefined : { backfill, pipelines, folder, all: new Jobs({ store: parts.openJobs(database!), kinds: { backfill, evaluate: new Evaluate({ folder, query: query!, registry: registry! }), export: new ExportRows(folder, query!) }, instance: () => control!.owner, kept, log }) }
  let plane: Awaited<ReturnType<typeof serve>> | undefined
  try {
    const runs = await pipelines.open(given, signal)
    plane = http === undefined ? undefined : await (await import('../api/server.ts')).serve({ runs: () => pipelines.runs, stopping: () => stop.signal.aborted, components: parts, keys, query, actions, control, live, limits: most, tokens, attempts, inlets: () => pipelines.inlets, pipelines: () => pipelines.all, jobs, plant: parts.plantFault }, { ...http, log })
    started?.(runs, plane?.url)
    if (stop.signal.aborted) return runs
    stop.signal.addEventListener('abort', () => { void pipelines.stop() }, { once: true })
    pipelines.begin()
    control?.open()
    jobs?.all.open()
    relearning?.open()
    if (given.length === 0) await new Promise(resolve => { stop.signal.addEventListener('abort', resolve, { once: true }) })
    await pipelines.idle()
    await pipelines.tell(TELL)
    if (failure !== undefined) throw failure
    if (pipelines.failure !== undefined) throw pipelines.failure
    return given.map(({ name }) => pipelines.runOf(name)!)
  } finally {
    signal.removeEventListener('abort', forward)
    stop.abort()                     // the plane says so too, until it is closed: requests are answered as long as logs are
    await relearning?.close()
    await jobs?.all.close()
    await pipelines.stop()
    await control?.close()
    await pipelines.close()
    await plane?.close()
    shared?.server.close()
    await keys?.close()
    await query?.close()
    await actions?.close()
  }
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
