import type { Credits } from './credits.ts'
import type { Reason } from './errors.ts'
import type { SeriesTable } from './series.ts'
import type { Delivery } from './source.ts'

/** Something that could not become a reading: kept with its bytes, its reason and its position. */
export interface DeadLetter {
  readonly position: number
  readonly part: number              // 0 for the whole message, else the how-manieth dead letter of this message
  readonly reason: Reason
  readonly detail: string            // names the field and the value
  readonly topic: string
  readonly payload: Uint8Array       // a copy, on part 0; empty on the others, whose bytes are those of part 0
  readonly ingest: number            // when it arrived, ms
  readonly count?: number            // readings that it stands for; 1 when absent
}

const MAX_TIME = 253402300800000     // the year 10000
const START = 1024
const none = new Uint8Array(0)
const ROW = 36                       // bytes of a row
const DEAD = 256                     // bytes of a dead letter, about, without its payload
const LETTERS = 16                   // dead letters of one message; the last one stands for all that follow

/**
 * Where bytes have become columns: codecs write readings here, one message (= one record, one position) after the
 * other, and the source hands over what has gathered as a Delivery. The only place that judges a single reading.
 */
export class Intake {
  private readonly series: SeriesTable
  private readonly credits: Credits
  private readonly ahead: number
  private position: number           // of the current message
  private time = new Float64Array(START)
  private ids = new Int32Array(START)
  private value = new Float64Array(START)
  private positions = new Float64Array(START)
  private ingests = new Float64Array(START)
  private rows = 0
  private dead: DeadLetter[] = []
  private part = 0
  private bytes = 0
  private messages = 0
  private topic = ''
  private payload: Uint8Array = none
  private lost = 0                   // readings that the dead letters stand for
  private more = 0                   // of them, those of the current message that have no letter of their own yet
  private charged = 0                // rows that the credits know of
  private ingest = 0

  /** `ahead`: ms that a reading may be ahead of its arrival. `after`: the position before the first message. */
  constructor (series: SeriesTable, credits: Credits, { ahead, after }: { ahead: number, after: number }) {
    this.series = series
    this.credits = credits
    this.ahead = ahead
    this.position = after
  }

  get waiting (): number { return this.messages }
  get readings (): number { return this.rows }

  /** Begins a message. `ingest` is its arrival in ms, `position` its place in a log; without one, positions count messages. Returns its position. */
  message (topic: string, payload: Uint8Array, ingest: number, position = this.position + 1): number {
    this.sumUp()
    this.topic = topic
    this.payload = payload
    this.ingest = ingest
    this.part = 0
    this.charge(payload.length + topic.length + 64 + ROW * (this.rows - this.charged))
    this.charged = this.rows
    this.messages++
    return this.position = position
  }

  /** One reading of the current message. `series` from the SeriesTable (-1: table full), `time` in ms, NaN value: no value. */
  reading (series: number, time: number, value: number): void {
    if (series < 0) return this.reject('series_limit', this.series.size < this.series.capacity && this.series.devices < this.series.capacity ? 'its tenant has as many series as it may have (limits)' : `${this.series.capacity} series are known already (maxSeries)`)
    if (!(time >= 0 && time < MAX_TIME)) return this.reject('bad_time', `the timestamp ${time} ms is outside the years 1970 to 9999`)
    if (time > this.ingest + this.ahead) return this.reject('future', `${new Date(time).toISOString()} is ${((time - this.ingest) / 1000).toFixed(1)} s after its arrival, ${this.ahead / 1000} s are allowed (ahead)`)
    if (value === Infinity || value === -Infinity) return this.reject('not_finite', `the value of ${this.series.metric(series)} is too large for a double`)
    if (this.rows === this.time.length) this.grow()
    const i = this.rows++
    this.time[i] = time
    this.ids[i] = series
    this.value[i] = value
    this.positions[i] = this.position
    this.ingests[i] = this.ingest
  }

  /** One reading of the current message, or all of it, cannot be read. Counts as one reading. */
  reject (reason: Reason, detail: string): void {
    this.lost++
    if (this.part === LETTERS) {
      this.more++
      return
    }
    const payload = this.part === 0 ? Uint8Array.from(this.payload) : none
    this.charge(DEAD + payload.length)
    this.dead.push({ position: this.position, part: this.part++, reason, detail, topic: this.topic, payload, ingest: this.ingest })
  }

  /** All that has gathered, as a delivery; the intake is empty again. */
  take (ingest: number, ended = false): Delivery {
    this.sumUp()
    const { rows, dead, bytes, messages } = this
    const delivery: Delivery = {
      rows: { time: this.time.slice(0, rows), series: this.ids.slice(0, rows), value: this.value.slice(0, rows), position: this.positions.slice(0, rows), ingest: this.ingests.slice(0, rows) },
      dead, received: rows + this.lost, messages, upTo: this.position, ingest, bytes, ended
    }
    this.rows = this.charged = this.bytes = this.messages = this.lost = 0
    this.dead = []
    return delivery
  }

  /** The last dead letter of the current message stands for those beyond the limit too. */
  private sumUp (): void {
    if (this.more === 0) return
    const last = this.dead[this.dead.length - 1]
    this.dead[this.dead.length - 1] = { ...last, count: this.more + 1, detail: `${last.detail}; and ${this.more} more readings of this message` }
    this.more = 0
  }

  private charge (bytes: number): void {
    this.bytes += bytes
    this.credits.take(bytes)
  }

  private grow (): void {
    const longer = <T extends Float64Array | Int32Array>(old: T): T => { const a = new (old.constructor as any)(old.length * 2); a.set(old); return a }
    this.time = longer(this.time)
    this.ids = longer(this.ids)
    this.value = longer(this.value)
    this.positions = longer(this.positions)
    this.ingests = longer(this.ingests)
  }
}
