import { Checkpoints, intactOf } from './checkpoint.ts'
import type { Clock } from './clock.ts'
import { Flow } from './flow.ts'
import type { History } from './history.ts'
import { historySource } from './history-source.ts'
import { pastOf } from './past.ts'
import type { Pipeline } from './pipeline.ts'
import { Recovery } from './recovery.ts'
import { checkChanged, checkMoved } from './resume.ts'
import type { RunOptions } from './run-options.ts'
import type { SinkHost } from './sink.ts'
import type { Source, SourceHost } from './source.ts'
import type { Recovered } from './store.ts'

/** What a run goes on with. */
export interface Restored {
  readonly source: Source
  readonly from: number | undefined          // the position after which it is to be read
  readonly origin: string | undefined        // of what is to be recovered
  readonly flow: Flow                        // that remembers what the snapshot has
  readonly checkpoints: Checkpoints
  readonly recovery: Recovery | undefined    // when the store has more than the snapshot
  readonly history: History | undefined      // what is to be worked through before its own source
  readonly joined: History | undefined       // that has been worked through, until a commit says so
  readonly renewed: boolean                  // its steps are not those of the snapshot, and nothing is to be recovered: the first thing it has to leave is a snapshot
}

/**
 * Takes up what the store has kept of a pipeline, and makes its source, which is not open yet. `now`: the ingest clock, ms; `whole`: the
 * store keeps no pages. @throws log/missing and engine/changed, see resume.ts, and what a source throws that cannot be opened.
 */
export async function restore (pipeline: Pipeline, options: RunOptions, { series, log }: SinkHost, recovered: Recovered, { now, clock, whole }: { readonly now: () => number, readonly clock: Clock, readonly whole: boolean }): Promise<Restored> {
  const { journal } = options
  const found = await intactOf(recovered, log)
  const { history, joined, join } = await pastOf(options, pipeline.name, log, recovered, found?.header)
  const sourceHost: SourceHost = { pipeline: pipeline.name, series, ahead: pipeline.time.ahead, log, now, origin: recovered.origin, committed: recovered.position, committedAt: recovered.ingest, ...join }
  const spec = options.source ?? pipeline.source!
  const source = history !== undefined ? historySource(history, sourceHost) : journal === undefined ? spec.definition.open!(spec.options, sourceHost) : journal.source(sourceHost)
  try {
    const origin = source.origin?.()         // a stream goes by the one that it had before, until it has connected
    const moved = recovered.position !== undefined && recovered.origin !== origin
    const resume = { ...options, pipeline: pipeline.name, log }
    if (join !== undefined) { if (join.origin !== origin) await checkMoved(resume, { ...recovered, ...join, position: join.committed }, { ...found!.header, ...join, position: join.committed ?? 0 }, origin ?? spec.name) }
    else if (moved) await checkMoved(resume, recovered, found?.header, origin ?? spec.name)
    const sameLog = found !== undefined && !moved && found.header.origin === recovered.origin
    if (recovered.position === undefined || join !== undefined && join.committed === undefined) journal?.begin(pipeline.name)
    const from = sameLog ? found.header.position : join !== undefined && join.origin === origin && join.committed !== undefined ? join.committed : found !== undefined || moved ? journal?.placeOf(pipeline.name) : undefined     // it may have read some of this log before, and remembers that
    const flow = new Flow(pipeline, series, from ?? 0, clock)
    flow.past = history?.past.asked
    let different = false
    if (found !== undefined) {
      for (const page of found.content) flow.snapshots.load(page, found.header.layout)
      const { fresh, tuned, changed } = flow.snapshots.loaded(found.header.layout)
      if (fresh.length > 0) log.info({ steps: fresh }, 'new since the last stop: these start without memory')
      different = fresh.length + tuned.length > 0
      if (changed.length > 0) checkChanged(resume, changed, 'what it remembers does not fit', 'give back the former options; or an id of its own, to begin without that memory')
      if (sameLog && found.header.position < (recovered.position ?? 0) && different) checkChanged(resume, [...fresh, ...tuned], `what came after the last snapshot (${recovered.position! - found.header.position} messages) is to be worked out again as it was then`, 'start it once as it was and stop it')
    }
    const checkpoints = new Checkpoints(flow, recovered, { whole, renew: found?.older === true, ...options.snapshots })
    if (found !== undefined && !sameLog) checkpoints.hurry()
    if (options.seriesOf !== undefined) series.most = options.seriesOf       // what is remembered stays
    const recovery = new Recovery(moved ? 0 : recovered.position ?? 0, recovered.marks, found?.header.version ?? 0)
    const isCaughtUp = recovery.caughtUp(flow)
    return { source, from, origin: moved ? origin : recovered.origin, flow, checkpoints, recovery: isCaughtUp ? undefined : recovery, history, joined, renewed: different && sameLog && isCaughtUp && history === undefined }
  } catch (error) {
    await source.close?.()
    throw error
  }
}
