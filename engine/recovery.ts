import { MillraceError } from './errors.ts'
import type { Flow } from './flow.ts'
import type { Outputs } from './outputs.ts'
import type { Delivery, Mark, Position } from './source.ts'
import type { Spared } from './spare.ts'
import type { Recovered } from './store.ts'
import { slice } from './watermark.ts'

/**
 * The way from a snapshot to the last commit: what was committed after the snapshot is processed again, with the marks where they
 * were, and its outputs are left out, because the store has them.
 */
export class Recovery {
  private readonly upTo: Position
  private readonly marks: Recovered['marks'][number][]

  /** `version`: of the snapshot. */
  constructor (upTo: Position, marks: Recovered['marks'], version: number) {
    this.upTo = upTo
    this.marks = marks.filter(mark => mark.version > version)
  }

  /** Has `flow` come to where the store is? Applies the marks that stand where it is. */
  caughtUp (flow: Flow): boolean {
    while (this.marks.length > 0 && (this.marks[0].position <= flow.position || flow.position >= this.upTo)) apply(flow, this.marks.shift()!)
    return flow.position >= this.upTo
  }

  /** Processes what of a delivery the store has already; returns the rest, if any. */
  replay (flow: Flow, delivery: Delivery, process: typeof feed = feed): Delivery | undefined {
    let rest: Delivery | undefined = delivery
    while (rest !== undefined && !this.caughtUp(flow)) {
      const [now, later] = split(rest, Math.min(this.upTo, this.marks[0]?.position ?? Infinity))
      process(flow, now)
      rest = later
    }
    this.caughtUp(flow)
    flow.snapshots.partitions()
    return rest
  }
}

/** What a delivery does to a flow. */
export function feed (flow: Flow, delivery: Delivery): Outputs | undefined {
  if (delivery.mark === undefined) return flow.process(delivery)
  flow.position = delivery.upTo
  return apply(flow, delivery.mark)
}

/** What a mark does to a flow. */
export function apply (flow: Flow, mark: Mark, spared?: Spared): Outputs | undefined {
  switch (mark.kind) {
    case 'tick': return flow.tick(mark.time, spared)
    case 'listen': flow.listen(mark.time); return undefined
    case 'relearn': flow.relearn(mark.of, mark.time); return undefined
    default: throw new MillraceError('log/newer', `the store has a mark of kind "${(mark as Mark).kind}", which this program does not know`, { help: 'run the newer program that wrote it' })
  }
}

/** A delivery in pieces of about so many rows, cut between messages. */
export function* pieces (delivery: Delivery, rows: number): Generator<Delivery> {
  let rest: Delivery | undefined = delivery
  while (rest !== undefined) {
    const { position }: Delivery['rows'] = rest.rows, last = position.length > rows ? position[rows - 1] : rest.upTo
    const [piece, after]: [Delivery, Delivery | undefined] = split(rest, last)
    yield piece
    rest = after
  }
}

/** A delivery cut behind a position. All that is counted by messages stays with the second part. */
export function split (delivery: Delivery, at: Position): [before: Delivery, after: Delivery | undefined] {
  if (delivery.upTo <= at) return [delivery, undefined]
  const { rows, dead } = delivery
  let n = 0
  while (n < rows.position.length && rows.position[n] <= at) n++
  const letters = dead.filter(d => d.position <= at)
  const received = n + letters.reduce((sum, { count = 1 }) => sum + count, 0)
  return [
    { ...delivery, rows: slice(rows, 0, n), dead: letters, received, messages: 0, bytes: 0, upTo: at, ended: false },
    { ...delivery, rows: slice(rows, n, rows.position.length), dead: dead.filter(d => d.position > at), received: delivery.received - received }
  ]
}
