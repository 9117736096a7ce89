import { MillraceError } from './errors.ts'
import type { Batch } from './batch.ts'
import type { Flow } from './flow.ts'
import type { DeadLetter } from './intake.ts'
import { merged, type Outputs } from './outputs.ts'
import { apply } from './recovery.ts'
import type { SeriesTable } from './series.ts'
import type { Delivery, Mark } from './source.ts'
import { StepError, type Spared, type StepStatus } from './spare.ts'
import { slice } from './watermark.ts'

const BEHIND = 1000                  // parts
const CALM = 1000                    // deliveries without a throw after which nothing is kept any more

/**
 * What to do about operators that throw. The memory of the devices of each delivery is kept before it; when a step throws it is put
 * back and the rows are tried again in halves, until the rows that throw stand alone: only those become dead letters. When a step
 * behind a window throws, the reading that closes the window is not to blame: the row of the window becomes the dead letter, and the
 * window is closed. Costs a copy of what is remembered about those devices per delivery, so it is used only after something has thrown.
 */
export class Poison {
  isolated = 0
  private readonly most: number
  private inARow = 0
  private readonly windows = new Map<StepStatus, { inARow: number, passed: number }>()     // `passed`: rows that the step had taken when it last threw
  private calm = 0

  /** `most`: rows in a row, or rows of windows that one step throws on in a row, that may throw; one more stops the pipeline. */
  constructor (most: number) { this.most = most }

  /** Nothing has thrown for so long that it is not worth its cost any more. */
  get over (): boolean { return this.calm >= CALM }

  feed (flow: Flow, delivery: Delivery, series: SeriesTable): Outputs | undefined {
    this.calm++
    if (delivery.mark !== undefined) {
      flow.position = delivery.upTo
      return this.apply(flow, delivery.mark, series)
    }
    const { rows } = delivery
    const all = this.attempt(flow, delivery, series, 0, rows.time.length)
    return numbered(merged(all), delivery)
  }

  /** What a mark does to a flow. */
  apply (flow: Flow, mark: Mark, series: SeriesTable): Outputs | undefined {
    if (mark.kind !== 'tick') return apply(flow, mark)
    return this.sparing(flow, flow.gone(mark.time), series, mark.time, spared => apply(flow, mark, spared))
  }

  end (flow: Flow, ingest: number, series: SeriesTable): Outputs {
    return this.sparing(flow, Int32Array.from({ length: series.devices }, (_, d) => d), series, ingest, spared => flow.end(ingest, spared))!
  }

  /** Without readings, and about these devices. Rows of windows can be told apart only by steps without memory: another one stops the pipeline. */
  private sparing (flow: Flow, devices: Int32Array, series: SeriesTable, ingest: number, act: (spared?: Spared) => Outputs | undefined, spared?: Spared): Outputs | undefined {
    const kept = flow.snapshots.keep(devices)
    try {
      const outputs = act(spared)
      return outputs === undefined ? undefined : numbered(outputs, undefined, BEHIND)
    } catch (error) {
      if (!(error instanceof StepError) || !error.windows || error.remembers || spared?.has(error.step) === true) throw error
      this.calm = 0
      for (const page of kept) flow.snapshots.load(page)
      return this.sparing(flow, devices, series, ingest, act, this.spare(error, series, ingest, spared))
    }
  }

  private attempt (flow: Flow, delivery: Delivery, series: SeriesTable, from: number, to: number, spared?: Spared): Outputs[] {
    const part = rowsOf(delivery, from, to)
    const kept = flow.snapshots.keep(Int32Array.from(part.rows.series, s => series.deviceOf[s]))
    try {
      const outputs = flow.process(part, spared, delivery.rows)
      if (to > from) this.inARow = 0
      return [outputs]
    } catch (error) {
      if (!(error instanceof StepError)) throw error
      this.calm = 0
      for (const page of kept) flow.snapshots.load(page)
      if (to - from > 1) {
        const middle = (from + to) >> 1
        return [...this.attempt(flow, delivery, series, from, middle), ...this.attempt(flow, delivery, series, middle, to)]
      }
      if (error.windows && spared?.has(error.step) !== true) {
        return this.attempt(flow, delivery, series, from, to, this.spare(error, series, delivery.ingest, spared))
      }
      if (to === from || ++this.inARow > this.most) throw this.enough(error, 'readings')
      this.isolated++
      error.step.errors++
      return [flow.process({ ...part, rows: slice(delivery.rows, from, from), dead: [...part.dead, letterOf(delivery, from, series, error)] }, undefined, delivery.rows)]
    }
  }

  /** A step has thrown on rows of windows, and is to be spared them; unless it has taken none for too often. */
  private spare (error: StepError, series: SeriesTable, ingest: number, spared: Spared = new Map()): Spared {
    const { step } = error, { inARow, passed } = this.windows.get(step) ?? { inARow: 0, passed: -1 }
    const now = { inARow: step.in > passed && passed >= 0 ? 1 : inARow + 1, passed: step.in }
    if (now.inARow > this.most) throw this.enough(error, 'windows')
    this.windows.set(step, now)
    this.isolated++
    step.errors++
    return new Map([...spared, [step, (batch, row) => windowLetter(batch, row, series, error, ingest)]])
  }

  private enough (error: MillraceError, what: string): MillraceError {
    return new MillraceError('engine/poison', `${error.message}; so it did on the ${this.most} ${what} before`, { help: 'mend the operator or its options; what was read stays where it is', cause: error })
  }
}

/** Letters of one position, one after the other, behind those that the message had; those of a tick or an end behind all that it may have. */
function numbered (outputs: Outputs, { dead }: Pick<Delivery, 'dead'> = { dead: [] }, first = 0): Outputs {
  const parts = new Map<number, number>(), had = new Set(dead)
  for (const { position, part } of dead) parts.set(position, Math.max(parts.get(position) ?? 0, part + 1))
  return {
    ...outputs, counts: outcomes => outputs.counts(outcomes), deadLetters: outputs.deadLetters.map(letter => {
      if (had.has(letter)) return letter
      const part = parts.get(letter.position) ?? first
      parts.set(letter.position, part + 1)
      return { ...letter, part }
    })
  }
}

/** Some rows of a delivery; what it has besides goes with the first of them. */
function rowsOf (delivery: Delivery, from: number, to: number): Delivery {
  const { rows } = delivery
  const part = slice(rows, from, to)
  if (from === 0) return { ...delivery, rows: part, received: delivery.received - (rows.time.length - to) }
  return { ...delivery, rows: part, dead: [], received: to - from }
}

function letterOf ({ rows }: Delivery, row: number, series: SeriesTable, error: MillraceError): DeadLetter {
  const name = series.name(rows.series[row])
  return {
    position: rows.position[row], part: 0, reason: 'operator_failed', detail: error.message, topic: `${name.tenant}/${name.device}/${name.metric}`,
    payload: Buffer.from(JSON.stringify({ ...name, time: rows.time[row], value: Number.isNaN(rows.value[row]) ? null : rows.value[row] })), ingest: rows.ingest[row]
  }
}

/** A row of a window. It has a revision, by which it is told from a reading. */
function windowLetter ({ time, series: ids, value, position, columns }: Batch<any>, row: number, series: SeriesTable, error: MillraceError, ingest: number): DeadLetter {
  const name = series.name(ids[row]), orNull = (x: number) => Number.isNaN(x) ? null : x
  return {
    position: position[row], part: 0, reason: 'operator_failed', detail: error.message, topic: `${name.tenant}/${name.device}/${name.metric}`,
    payload: Buffer.from(JSON.stringify({ ...name, time: time[row], value: orNull(value[row]), ...Object.fromEntries(Object.entries<any>(columns).map(([column, cells]) => [column, orNull(cells[row])])) })), ingest
  }
}
