import { mkdirSync } from 'node:fs'
import { serve } from '../api/server.ts'
import type { Parts } from '../components.ts'
import { MillraceError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Pipeline } from '../pipeline.ts'
import { Run } from '../run.ts'
import type { SourceSpec } from '../source.ts'

export interface WorkOptions {
  readonly parts: Parts
  readonly log: Logger
  readonly folder: string
  readonly database: string | undefined
  readonly http: { readonly host: string, readonly port: number } | undefined
  readonly maxSeries?: number
  readonly source?: SourceSpec
  readonly signal: AbortSignal
  readonly started?: (runs: readonly Run[], url: string | undefined) => void
}

/**
 * Runs pipelines side by side with the HTTP plane until they end or `signal`: what `run`, `replay` and `demo` have in common.
 * One that fails stops the others after their last commit; the first failure is thrown.
 */
export async function work (pipelines: readonly Pipeline[], { parts, log, folder, database, http, maxSeries, source, signal, started }: WorkOptions): Promise<readonly Run[]> {
  mkdirSync(folder, { recursive: true })
  const stop = new AbortController()
  const forward = () => stop.abort()
  signal.addEventListener('abort', forward, { once: true })
  if (signal.aborted) forward()
  const runs = pipelines.map(pipeline => new Run(pipeline, {
    log, folder, database, fallback: parts.fileStore,
    ...maxSeries === undefined ? {} : { maxSeries },
    ...source === undefined ? {} : { source }
  }))
  const plane = http === undefined ? undefined : await serve({ runs: () => runs, stopping: () => stop.signal.aborted }, { ...http, log })
  try {
    started?.(runs, plane?.url)
    const results = await Promise.allSettled(runs.map(run => run.run(stop.signal).catch(error => { stop.abort(); throw error })))
    const failed = results.find(r => r.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    return runs
  } finally {
    signal.removeEventListener('abort', forward)
    await plane?.close()
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

/** How many series memory is reserved for: 1 to 2^24. */
export function seriesOf (text: string): number {
  const n = Number(text)
  if (!(Number.isInteger(n) && n >= 1 && n <= 2 ** 24)) throw new MillraceError('usage/command', `--max-series ${text} is not a number of series`, { help: `an integer from 1 to ${2 ** 24}` })
  return n
}

/** '127.0.0.1:8080' -> host and port. */
export function address (text: string): { host: string, port: number } {
  const [, host, port] = /^(?:(.*):)?(\d+)$/.exec(text) ?? []
  if (port === undefined || Number(port) > 65535) throw new MillraceError('usage/command', `"${text}" is not an address`, { help: 'write host:port or port, such as 127.0.0.1:8080' })
  return { host: host ?? '127.0.0.1', port: Number(port) }
}
