import { Batch, noProgress } from './batch.ts'
import { MillraceError } from './errors.ts'
import type { DeadLetter } from './intake.ts'
import type { Stage } from './operator.ts'

/**
 * `errors`: rows that it threw on and that became dead letters. `bytes`: of what it remembers now.
 * `slow`: batches whose rows took longer than BUDGET each, but for the first, for which code is compiled.
 * `watermark`: of its last batch, with rows or without: of devices that are not silent it is given no older reading any more, and behind
 * a window no window that ended before. `newest`: event time of the rows it was given, as far as the last one of each batch tells it; the
 * start of a window. Both in ms, -Infinity before the first.
 */
export interface StepStatus { readonly branch: string, readonly id: string, in: number, out: number, ns: number, slow: number, errors: number, watermark: number, newest: number, readonly bytes: () => number }
export const BUDGET = 5_000_000      // ns that a row may take in a step

/** A step threw. `windows`: on rows of windows, so that it goes on throwing as long as those windows are not closed. */
export class StepError extends MillraceError {
  readonly step: StepStatus
  readonly windows: boolean
  readonly remembers: boolean
  constructor (step: StepStatus, { windows, remembers }: { readonly windows: boolean, readonly remembers: boolean }, cause: Error) {
    super('engine/operator', `step "${step.id}"${step.branch === '' ? '' : ` of branch "${step.branch}"`} threw: ${cause.message}`, { cause })
    this.step = step
    this.windows = windows
    this.remembers = remembers
  }
}

/** Steps that are not given the rows of windows on which they throw: those become dead letters, by this function. */
export type Spared = ReadonlyMap<StepStatus, (batch: Batch<any>, row: number) => DeadLetter>

/**
 * Rows without those on which this step throws, which are refused. One that remembers cannot be tried out: it has none of them.
 * Provisional rows on which it throws are left out, since final ones will come.
 */
export function spare (stage: Stage, batch: Batch<any>, refuse: (row: number) => void): Batch<any> {
  const { remembers } = stage.operator
  const throws = (rows: Batch<any>) => {
    try { stage.process(new Batch({ ...rows, progress: noProgress, provisional: undefined })) } catch { return true }
    return false
  }
  const alone = (rows: Batch<any>, row: number) => throws(rows.take(Int32Array.of(row)))
  const good = batch.filter(row => {
    const bad = remembers || alone(batch, row)
    if (bad) refuse(row)
    return !bad
  })
  const { provisional } = good
  return provisional === undefined || remembers ? good : new Batch({ ...good, provisional: provisional.filter(row => !alone(provisional, row)) })
}
