import type { StreamInfo } from '@nats-io/jetstream'
import type { Logger } from '#engine'

const AFTER = 200                    // ms from a jump to the question what was skipped
const LISTED = 100_000               // deleted messages that are asked for one by one

/**
 * Messages that were gone before they were read. The sequences that a consumer leaves out either have another subject or are
 * no longer there: which of the two, the stream says. Exact for a stream whose messages are all read; where there are others
 * too, at most so many were ours.
 */
export class Gaps {
  messages = 0                       // sequences that nobody can read any more
  private readonly stream: string
  private readonly log: Logger
  private ask: ((details: boolean) => Promise<StreamInfo>) | undefined
  private jumps: (readonly [after: number, before: number])[] = []
  private timer: NodeJS.Timeout | undefined

  constructor (stream: string, log: Logger) {
    this.stream = stream
    this.log = log
  }

  /** Where to ask from now on. */
  by (ask: (details: boolean) => Promise<StreamInfo>): void { this.ask = ask }

  /** Jumps that nobody has asked about yet. */
  get open (): number { return this.jumps.length }

  /** The consumer went from `after` to `before`. Asked about soon, in the background. */
  jump (after: number, before: number): void {
    this.jumps.push([after, before])
    this.timer ??= setTimeout(() => { this.explain().catch(error => this.log.warn(`jetstream: what is missing in ${this.stream} could not be asked: ${error.message}`)) }, AFTER).unref()
  }

  /** What was skipped is of no interest any more: the stream is another one. */
  forget (): void { this.jumps = [] }

  /** Counts and tells what is not there any more. Two requests at most. */
  async explain (): Promise<void> {
    clearTimeout(this.timer)
    this.timer = undefined
    const { jumps } = this
    if (jumps.length === 0 || this.ask === undefined) return
    this.jumps = []
    try {
      const { state } = await this.ask(false)
      const { first_seq } = state, num_deleted = (state.num_deleted as number | undefined) ?? 0        // left out when there are none
      const deleted = num_deleted > 0 && num_deleted <= LISTED ? ((await this.ask(true)).state.deleted ?? []).sort((a, b) => a - b) : []
      let missing = 0, d = 0
      for (const [after, before] of jumps) {
        if (num_deleted > LISTED) missing += before - after - 1
        else {
          missing += Math.max(0, Math.min(first_seq, before) - after - 1)
          while (deleted[d] <= after || deleted[d] < first_seq) d++
          while (deleted[d] < before) { d++; missing++ }
        }
      }
      if (missing > 0) this.lost(missing, jumps[0][0], jumps[jumps.length - 1][1])
    } catch (error) {
      this.jumps = [...jumps, ...this.jumps]
      throw error
    }
  }

  lost (messages: number, after: number, before: number): void {
    this.messages += messages
    this.log.error({ stream: this.stream, messages, after, before }, `jetstream: ${messages} messages of ${this.stream} between ${after} and ${before} were deleted before they were read`)
  }
}
