import { MillraceError } from './errors.ts'
import type { Flow, Outputs } from './flow.ts'
import type { DeadLetter } from './intake.ts'
import { feed } from './recovery.ts'
import type { SeriesTable } from './series.ts'
import type { Delivery } from './source.ts'
import { addCounts, type Counts } from './tally.ts'
import { slice } from './watermark.ts'

const CALM = 1000                    // deliveries without a throw after which nothing is kept any more

/**
 * What to do about operators that throw. The memory of the devices of each delivery is kept before it; when a step throws it is put
 * back and the rows are tried again in halves, until the rows that throw stand alone: only those become dead letters. Costs a copy
 * of what is remembered about those devices per delivery, so it is used only after something has thrown.
 */
export class Poison {
  isolated = 0
  private readonly most: number
  private inARow = 0
  private calm = 0

  /** `most`: rows in a row that may throw; one more stops the pipeline. */
  constructor (most: number) { this.most = most }

  /** Nothing has thrown for so long that it is not worth its cost any more. */
  get over (): boolean { return this.calm >= CALM }

  feed (flow: Flow, delivery: Delivery, series: SeriesTable): Outputs | undefined {
    this.calm++
    if (delivery.mark !== undefined) return feed(flow, delivery)
    const { rows } = delivery
    const all = this.attempt(flow, delivery, series, 0, rows.time.length)
    return merge(all)
  }

  private attempt (flow: Flow, delivery: Delivery, series: SeriesTable, from: number, to: number): Outputs[] {
    const part = rowsOf(delivery, from, to)
    const kept = flow.snapshots.keep(Int32Array.from(part.rows.series, s => series.deviceOf[s]))
    try {
      const outputs = flow.process(part)
      if (to > from) this.inARow = 0
      return [outputs]
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'engine/operator') throw error
      this.calm = 0
      for (const page of kept) flow.snapshots.load(page)
      if (to - from > 1) {
        const middle = (from + to) >> 1
        return [...this.attempt(flow, delivery, series, from, middle), ...this.attempt(flow, delivery, series, middle, to)]
      }
      if (to === from || ++this.inARow > this.most) throw new MillraceError('engine/poison', `${error.message}; so it did on the ${this.most} readings before`, { help: 'mend the operator or its options; what was read stays where it is', cause: error })
      this.isolated++
      return [flow.process({ ...part, rows: slice(delivery.rows, from, from), dead: [...part.dead, letterOf(delivery, from, series, error)] })]
    }
  }
}

/** Some rows of a delivery; what it has besides goes with the first of them. */
function rowsOf (delivery: Delivery, from: number, to: number): Delivery {
  const { rows } = delivery
  const part = slice(rows, from, to)
  if (from === 0) return { ...delivery, rows: part, received: delivery.received - (rows.time.length - to) }
  return { ...delivery, rows: part, dead: [], received: to - from }
}

function letterOf ({ rows, dead }: Delivery, row: number, series: SeriesTable, error: MillraceError): DeadLetter {
  const position = rows.position[row]
  const taken = dead.reduce((n, d) => d.position === position ? Math.max(n, d.part + 1) : n, 0)
  const name = series.name(rows.series[row])
  let before = 0
  while (rows.position[row - before - 1] === position) before++
  return {
    position, part: taken + before, reason: 'operator_failed', detail: error.message, topic: `${name.tenant}/${name.device}/${name.metric}`,
    payload: Buffer.from(JSON.stringify({ ...name, time: rows.time[row], value: Number.isNaN(rows.value[row]) ? null : rows.value[row] })), ingest: rows.ingest[row]
  }
}

/** As if it had been one. */
function merge (parts: readonly Outputs[]): Outputs {
  if (parts.length === 1) return parts[0]
  const last = parts[parts.length - 1]
  return {
    writes: parts.flatMap(p => p.writes), alerts: parts.flatMap(p => p.alerts), late: parts.flatMap(p => p.late), deadLetters: parts.flatMap(p => p.deadLetters), follow: parts.flatMap(p => p.follow),
    position: last.position, ingest: last.ingest, received: parts.reduce((n, p) => n + p.received, 0),
    counts (outcomes) {
      const sum: Record<string, Counts> = {}
      let at = 0
      for (const part of parts) {
        for (const [branch, counts] of Object.entries(part.counts(outcomes.slice(at, at += part.writes.length)))) sum[branch] = sum[branch] === undefined ? counts : addCounts(sum[branch], counts)
      }
      return sum
    }
  }
}
