import { createInbox, nanos, type Msg, type NatsConnection } from '@nats-io/transport-node'

/** Where a message stands in its stream. */
export interface Place {
  readonly seq: number               // in the stream
  readonly delivery: number          // how-manieth message that its consumer delivered
  readonly time: number              // the server's, when it stored the message: ms, exact to the microsecond
  readonly pending: number           // messages that are there after it
}

/** From `$JS.ACK.<stream>.<consumer>.<deliveries>.<seq>.<delivery>.<time>.<pending>`; with domain and account two tokens more before it. */
export function placeOf (reply: string): Place {
  let n = 0
  for (let i = 0; i < reply.length && n < dots.length; i++) if (reply.charCodeAt(i) === DOT) dots[n++] = i
  const before = n > 8 ? 6 : 4       // the dot before the sequence
  const number = (from: number, to: number) => {
    let x = 0
    for (let i = from; i < to; i++) x = x * 10 + reply.charCodeAt(i) - ZERO
    return x
  }
  const token = (k: number, less = 0) => number(dots[k] + 1, (k + 1 < n ? dots[k + 1] : reply.length) - less)
  return { seq: token(before), delivery: token(before + 1), time: token(before + 2, 3) / 1000, pending: token(before + 3) }
}
const DOT = 0x2e, ZERO = 0x30, dots = new Int32Array(12)

const HEARTBEAT = 4000               // ms between signs of life of the server while it has nothing to deliver
const EXPIRES = 30_000               // ms that one request stands

/**
 * Reads from a pull consumer, one request at a time, so that never more is on its way than was asked for. Rejects when the
 * consumer is gone, does not answer (for two heartbeats, 9 s) or has lost a message on the way: it must be made anew then.
 */
export class Puller {
  private readonly connection: NatsConnection
  private readonly subject: string
  private readonly inbox = createInbox()
  private readonly take: (message: Msg, place: Place) => void
  private readonly idle: () => void
  private delivered = 0
  private requests = 0
  private request: { messages: number, bytes: number, readonly watch: NodeJS.Timeout, readonly done: (lost?: string) => void } | undefined
  private closed = false

  /** `take` gets each message, in the order of the stream; `idle` is called while there is none. */
  constructor (connection: NatsConnection, stream: string, consumer: string, take: (message: Msg, place: Place) => void, idle: () => void) {
    this.connection = connection
    this.subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`
    this.take = take
    this.idle = idle
    connection.subscribe(`${this.inbox}.*`, { callback: (error, message) => { if (error === null) this.receive(message); else this.request?.done(error.message) } })
    void connection.closed().then(() => this.request?.done('the connection is closed'))
  }

  /** Asks for so much and resolves when it is there, or 30 s have passed. A message larger than `bytes` is never delivered. */
  pull (messages: number, bytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.closed) return resolve()
      if (this.connection.isClosed()) return reject(new Error('the connection is closed'))
      const watch = setTimeout(() => this.request?.done(`nothing was heard of the server for ${2 * HEARTBEAT + 1000} ms`), 2 * HEARTBEAT + 1000)
      const done = (lost?: string) => {
        clearTimeout(watch)
        this.request = undefined
        if (lost === undefined) resolve()
        else reject(new Error(lost))
      }
      this.request = { messages, bytes, watch, done }
      const wanted = { batch: messages, max_bytes: bytes, expires: nanos(EXPIRES), idle_heartbeat: nanos(HEARTBEAT) }
      this.connection.publish(this.subject, JSON.stringify(wanted), { reply: `${this.inbox}.${++this.requests}` })
    })
  }

  /** Takes nothing more; a request under way is over. */
  close (): void {
    this.closed = true
    this.request?.done()
  }

  private receive (message: Msg): void {
    const { request } = this
    if (this.closed || request === undefined) return
    request.watch.refresh()
    if (message.subject.startsWith(this.inbox)) return this.status(message, request.done)
    const place = placeOf(message.reply!)
    if (place.delivery !== this.delivered + 1) return request.done(`message ${this.delivered + 1} of the consumer is missing, ${place.delivery} came`)
    this.delivered++
    request.messages--
    request.bytes -= message.subject.length + message.reply!.length + message.data.length        // headers aside: the server says when bytes are used up, but for the very last one
    this.take(message, place)
    if (request.messages === 0 || request.bytes === 0) request.done()
  }

  /** What the server says of a request: a heartbeat, that it is over, or that the consumer is. */
  private status (message: Msg, done: (lost?: string) => void): void {
    const { code = 503, description = '' } = message.headers ?? {}
    if (code === 100) return this.idle()
    if (message.subject !== `${this.inbox}.${this.requests}`) return
    if (code === 404 || code === 408 || /exceeds maxbytes/i.test(description)) done()
    else done(code === 503 ? 'the consumer is gone' : `the server says ${code} ${description}`)
  }
}
