import { defineSource, MillraceError, Type, type Inlet, type Listener, type ListenerHost, type Message, type Position, type Values } from '#engine'
import { codecFault, codecOptions, makeDecoder } from './codec/json.ts'
import { NDJSON, Topics } from './codec/topic.ts'
import { Acks } from './mqtt-acks.ts'

const { timeProperty: _, ...codec } = codecOptions
const options = Type.Object({
  path: Type.String({ description: 'Last part of POST /api/v1/ingest/<path>; empty: POST /api/v1/ingest. Pipelines with equal options share one log.', pattern: '^[A-Za-z0-9_-]{0,64}$', default: '' }),
  ...codec,
  tenant: Type.String({ description: 'Whose readings these are when neither the key nor the request says it.', default: 'default', minLength: 1 }),
  maxPayload: Type.Integer({ description: 'Largest body, bytes, when it is unpacked; a larger one is answered 413.', minimum: 1, maximum: 1_048_576, default: 1_048_576 })
})
type Options = Values<typeof options.properties>

/** What a request may say of its readings: see topicOf in the API. Names stand percent-encoded in their level. */
const TEMPLATES = ['{tenant}', '{tenant}/{device}', '{tenant}/{device}/{metric}'].flatMap(t => [`${NDJSON}${t}`, t])
const PATIENCE = 1000                // ms that a request waits for room in the log
const WAITING = 64                   // requests that do

/** Readings that are posted to the API of this process: it is answered 202 when they are durable in the log. */
export const http = defineSource({
  name: 'http',
  summary: 'Readings posted to the HTTP API of Millrace itself, with keys.',
  options,
  keyed: true,
  check: codecFault,
  listen: (o, host) => new HttpListener(o, host),
  decode: (o, series, intake) => {
    const topics = new Topics(TEMPLATES, series, { encoded: true })
    const whole = makeDecoder(o, topics, series, intake), lines = makeDecoder(o, topics, series, intake, { lines: true })
    return (topic, ...rest) => (topic.startsWith(NDJSON) ? lines : whole)(topic, ...rest)
  }
})

interface Held { readonly at: Position, readonly go: () => void, readonly fail: (error: unknown) => void }

class HttpListener implements Listener, Inlet {
  readonly path: string
  readonly tenant: string
  readonly events: Record<string, number> = { request_repeated: 0, request_put_off: 0 }
  private readonly host: ListenerHost
  private readonly most: number
  private readonly acks: Acks<Held>
  private readonly held = new Set<Held>()
  private readonly waiting = new Set<() => void>()       // for room
  private asked = false              // to be told of it
  private stopped = false

  constructor ({ path, tenant, maxPayload }: Options, host: ListenerHost) {
    this.path = path
    this.tenant = tenant
    this.most = maxPayload
    this.host = host
    this.acks = new Acks(host.durableUpTo, held => { this.held.delete(held); held.go() })
    host.listening(true)
  }

  get inlet (): Inlet { return this }
  get largest (): number { return Math.min(this.most, this.host.largest) }
  wait (tenant: string): number { return this.host.wait?.(tenant) ?? 0 }

  trouble (): string | undefined { return this.stopped ? 'closed' : undefined }
  durable (upTo: Position): void { this.acks.commit(upTo) }

  async take (message: Message): Promise<{ position: Position, again: boolean }> {
    const asked = this.host.reserve(message), reserved = asked === undefined ? undefined : await asked
    if (typeof reserved === 'number') {
      this.events.request_repeated++
      return { position: reserved, again: true }
    }
    let taken
    try {
      taken = this.append(message) ?? await this.later(message)
    } catch (error) {
      reserved?.refused()
      throw error
    }
    try {
      await this.synced(taken.position)
    } catch (error) {
      reserved?.left()
      throw error
    }
    await reserved?.taken(taken.position)
    if (taken.again) this.events.request_repeated++
    return taken
  }

  private synced (position: Position): Promise<void> {
    return new Promise((go, fail) => {
      const held = { at: position, go, fail }
      this.held.add(held)
      this.acks.hold(position, held)
    })
  }

  /** What was not durable is gone, and the key under which it came with it. */
  lost (): void { this.giveUp('the disk of the log is full: nothing of this was taken') }

  stop (): void { this.stopped = true }

  async close (): Promise<void> {
    this.stop()
    this.giveUp('the process is stopping: whether this was taken is not known, send it again under its Idempotency-Key')
  }

  private giveUp (why: string): void {
    this.acks.drop()
    for (const { fail } of this.held) fail(busy(why))
    this.held.clear()
  }

  /** undefined: there is no room. */
  private append (message: Message): { readonly position: Position, readonly again: boolean } | undefined {
    if (this.stopped) throw busy('the process is stopping')
    const known = message.key === undefined ? undefined : this.host.keyed(message.key, message)
    if (known === 'other') throw new MillraceError('api/key-used', 'another request came under this Idempotency-Key within the last 24 h, and this one is not the same', { help: 'a new key for each request; the same one only to send the same bytes to the same place again' })
    if (known !== undefined) return { position: known, again: true }
    const position = this.host.append(message)
    return position === undefined ? undefined : { position, again: false }
  }

  /** As soon as there is room, but soon. */
  private async later (message: Message): Promise<{ readonly position: Position, readonly again: boolean }> {
    const full = () => {
      this.events.request_put_off++
      return busy('the log of this source is full: its pipelines are behind, or their database is away')
    }
    const deadline = performance.now() + PATIENCE
    for (;;) {
      if (this.waiting.size >= WAITING || !await this.room(deadline - performance.now())) throw full()
      const taken = this.append(message)
      if (taken !== undefined) return taken
    }
  }

  /** Whether there may be room before so many ms have passed. Who has waited in vain leaves nothing behind. */
  private room (within: number): Promise<boolean> {
    return new Promise(resolve => {
      const go = () => { clearTimeout(late); resolve(true) }
      const late = setTimeout(() => { this.waiting.delete(go); resolve(false) }, Math.max(0, within))
      this.waiting.add(go)
      if (this.asked) return
      this.asked = true
      this.host.room(() => {
        this.asked = false
        const told = [...this.waiting]
        this.waiting.clear()
        for (const tell of told) tell()
      })
    })
  }
}

const busy = (why: string) => new MillraceError('api/busy', why, { help: 'send it again when Retry-After says, under the same Idempotency-Key' })
