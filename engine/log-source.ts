import type { Credits } from './credits.ts'
import { MillraceError } from './errors.ts'
import { Intake } from './intake.ts'
import type { Journal } from './journal.ts'
import type { Decode } from './listener.ts'
import { readMessage } from './message.ts'
import { readRelearn } from './relearn.ts'
import type { SeriesTable } from './series.ts'
import { LEAVE, type Delivery, type Mark, type Position, type Source, type SourceHost } from './source.ts'
import { Observable } from './stream.ts'
import { kinds, type Kind } from './wal-segment.ts'
import type { Each, WalReader } from './wal-reader.ts'

const ROWS = 4000                    // of a delivery, about
/** From one delivery that is not full to the next, at least, ms. */
export const APART = 40
const LAST = 1000                    // ms after a stop in which what is still in the log is read

/**
 * The log of a source as one pipeline reads it, from any position: messages become columns, ticks and pauses become marks. While
 * the engine has no slot free deliveries grow up to 4,000 rows or the bytes that it may have in memory, and then nothing is read: what waits, waits on disk.
 */
export class LogSource implements Source {
  readonly marks = true
  private readonly journal: Journal
  private readonly host: SourceHost
  private position: Position = 0     // read up to here
  private reader: WalReader | undefined
  private placeless = false          // it has lost its place, and has committed nothing since

  constructor (journal: Journal, host: SourceHost) {
    this.journal = journal
    this.host = host
  }

  now (): number { return this.journal.now() }
  origin (): string { return this.journal.origin }
  trouble (): string | undefined { return this.journal.trouble() }
  address (): string | undefined { return this.journal.address() }
  behind (): number { return this.journal.wal.durable - this.position }
  crowded (): boolean { return this.journal.crowdedAt(this.position) }
  events (): Readonly<Record<string, number>> { return this.journal.events }
  async commit (): Promise<void> {}
  done (upTo: Position): void {
    this.placeless = false
    this.journal.move(this.host.pipeline, upTo)
  }
  async close (): Promise<void> {
    this.journal.detach(this.host.pipeline)
    await this.reader?.close()
  }

  open (from: Position | undefined, credits: Credits, signal: AbortSignal): Observable<Delivery> {
    this.position = from ?? this.journal.wal.first - 1
    return new Observable(subscriber => {
      const { journal, host: { series, ahead, pipeline } } = this
      const intake = new Intake(series, credits, { ahead, after: this.position })
      const decode = journal.spec.definition.decode!(journal.spec.options, series, intake)
      const queue: Delivery[] = []
      let timer: (() => void) | undefined, giveUp: (() => void) | undefined      // stop it
      let reading = false            // for good, when nothing will follow
      let asked = false, over = false, last = Infinity

      let newest = 0                 // arrival of the newest record that was read: it never goes back from one delivery to the next
      const each: Each = (position, kind, ingest, bytes, start, end) => {
        this.position = position
        newest = ingest
        if (kind === kinds.message) take(series, intake, decode, position, ingest, bytes, start, end, journal.counts ? journal : undefined)
        const mark = markOf(position, kind, ingest, bytes, start)
        if (mark !== undefined) {
          if (intake.waiting > 0) queue.push(intake.take(ingest))
          queue.push({ ...intake.take(ingest), upTo: position, mark })
        } else if (intake.readings >= ROWS) queue.push(intake.take(ingest))
        else if (intake.waiting > 0) timer ??= journal.clock.timeout(() => { timer = undefined; ripe = true; step() }, Math.max(0, before + APART - journal.clock.monotonic()))
      }
      let ripe = false               // what has gathered has waited long enough
      let before = -Infinity         // the last delivery of what had, on the monotonic clock

      const step = (): void => {
        while (!over && credits.slot) {
          const ending = this.position >= last
          if (queue.length === 0 && intake.waiting > 0 && (ripe || ending)) {
            ripe = false
            before = journal.clock.monotonic()
            queue.push(intake.take(newest))
          }
          const delivery = queue.shift()
          if (delivery === undefined) {
            if (ending) finish()
            break
          }
          credits.deliver()
          subscriber.next(delivery)
        }
        if (over) return
        if (!(credits.slot && credits.open) && !asked) {
          asked = true
          credits.next(() => { asked = false; step() })
        }
        if (!reading && credits.open && queue.length === 0 && intake.readings < ROWS && this.position < last) {
          reading = true
          this.read(each).then(more => { reading = !more; step() }, error => { over = true; subscriber.error(error) })
        }
      }
      const finish = () => {
        over = true
        timer?.()
        giveUp?.()
        subscriber.complete()
      }
      const stop = () => {
        void (signal.reason === LEAVE ? Promise.resolve() : journal.stop()).then(() => { last = journal.wal.durable; step() })
        giveUp = journal.clock.timeout(() => { if (!over) finish() }, LAST)
      }
      signal.addEventListener('abort', stop, { once: true })
      journal.attach(pipeline, () => {
        this.placeless = true
        this.leave()
      })
      if (signal.aborted) stop()
      step()
      return () => { over = true; timer?.(); giveUp?.(); signal.removeEventListener('abort', stop) }
    })
  }

  /** The next records; false when the log is closed and none will follow. After a full disk, and when it has lost its place, it goes on where the log goes on. */
  private async read (each: Each): Promise<boolean> {
    const { journal } = this
    try {
      this.reader ??= this.enter()
      const { reader } = this
      const more = await reader.read(each)
      if (journal.failure !== undefined && !more) throw journal.failure
      if (this.placeless) this.leave()
      return more || this.reader !== reader
    } catch (error) {
      if (journal.failure !== undefined) throw journal.failure
      if (!(error instanceof MillraceError) || error.code !== 'log/full') throw error
      await this.reader?.close()
      this.reader = undefined
      await journal.reopened()
      if (journal.failure !== undefined) throw journal.failure
      return true
    }
  }

  /** Keeps nothing from being dropped between two reads: a place that it could lose for that it has not. */
  private leave (): void {
    void this.reader?.close()
    this.reader = undefined
    this.journal.passed()
  }

  private enter (): WalReader {
    const { journal: { wal }, host: { log } } = this
    const gap = wal.first - 1 - this.position
    if (gap > 0) {
      this.journal.lost += gap
      log.error({ from: this.position + 1, to: wal.first - 1, records: gap }, 'log: these records are gone, this pipeline came too late for them')
      this.position = wal.first - 1
    }
    return wal.reader(this.position)
  }
}

/** What a record that is no message decides. @throws log/newer for one of a kind that there is not yet */
function markOf (position: Position, kind: Kind, time: number, bytes: Buffer, start: number): Mark | undefined {
  switch (kind) {
    case kinds.tick: return { kind: 'tick', time }
    case kinds.start: return { kind: 'listen', time }
    case kinds.relearn: return { kind: 'relearn', time, of: readRelearn(bytes, start) }
    case kinds.message: case kinds.barrier: case kinds.senders: return undefined
    default: throw new MillraceError('log/newer', `log: the record at position ${position} is of kind ${String(kind)}, which this program does not know`, { help: 'run the newer program that wrote it' })
  }
}

/** One message into an intake. `journal`: that is to hear how many readings it had. */
export function take (series: SeriesTable, intake: Intake, decode: Decode, position: Position, ingest: number, bytes: Buffer, start: number, end: number, journal: Journal | undefined): void {
  const { topic, stamp, rejected, reading, request, payload } = readMessage(bytes, start)
  const body = bytes.subarray(payload, end)
  if (rejected === undefined && reading === undefined) {
    const before = intake.readings
    decode(topic, body, ingest, stamp, position)
    journal?.wasRead(position, topic, request, intake.readings - before, ingest)
    return
  }
  intake.message(topic, body, ingest, position)
  if (rejected !== undefined) intake.reject(rejected.reason, rejected.detail)
  if (reading !== undefined) intake.reading(series.id(reading.tenant, reading.device, reading.metric), reading.time, reading.value)
}
