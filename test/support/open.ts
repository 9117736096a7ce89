import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Observable, type Source, type SourceHost, type SourceSpec } from '#engine'
import { clock } from '../../engine/clock.ts'
import { Journal, type JournalOptions } from '../../engine/journal.ts'

export interface Opened { readonly source: Source, readonly journal: Promise<Journal> | undefined }

/** A source as the engine opens it: one that listens behind a log of its own, in `folder`, or in one that goes with it. */
export function openSource (spec: SourceSpec, host: Omit<SourceHost, 'origin'>, { folder, ...options }: Partial<JournalOptions> = {}): Opened {
  const asked: SourceHost = { ...host, origin: undefined }
  if (!spec.listens) return { source: spec.definition.open!(spec.options, asked), journal: undefined }
  const place = folder ?? join(mkdtempSync(join(tmpdir(), 'millrace-log-')), 'log')
  const stop = new AbortController()
  let journal: Journal | undefined, source: Source | undefined
  let failed: (error: unknown) => void = error => { failure ??= error }
  let failure: unknown
  const opened = Journal.open(spec, { folder: place, log: host.log, client: `millrace-${host.pipeline}`, pipelines: [host.pipeline], tick: 3_600_000, clock: { ...clock, now: host.now }, failed: error => failed(error), ...options }, stop.signal).then(j => {
    journal = j
    source = j.source(asked)
    j.listen()
    return j
  })
  return {
    journal: opened,
    source: {
      marks: true,
      open: (from, credits, signal) => new Observable(subscriber => {
        void opened.then(() => {
          failed = error => subscriber.error(error)
          if (failure !== undefined) failed(failure)
          else if (signal.aborted) subscriber.complete()
          else source!.open(from, credits, signal).subscribe(subscriber)
        }, error => subscriber.error(error))
      }),
      commit: async upTo => { await source?.commit(upTo) },
      done: upTo => { source?.done?.(upTo) },
      trouble: () => journal === undefined ? 'the log is being opened' : journal.trouble(),
      address: () => journal?.address(),
      async close () {
        await opened.catch(() => {})
        await source?.close?.()
        await journal?.close()
        if (folder === undefined) rmSync(dirname(place), { recursive: true, force: true })
      }
    }
  }
}
