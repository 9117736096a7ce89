/** From the store's outbox to people: leases alerts that are due, sends them, records what came of it. By wall clock. */
import { setMaxListeners } from 'node:events'
import { Breaker } from './breaker.ts'
import { clock as real, sleep, type Clock } from './clock.ts'
import { Gone, MillraceError, Transient } from './errors.ts'
import { lanes, type Lane } from './lanes.ts'
import type { Logger } from './log.ts'
import type { Policy } from './policy.ts'
import type { Notice, Receiver } from './sink.ts'
import type { OutboxEntry, Settled, Store } from './store.ts'

const FIRST = 1000, LONGEST = 3_600_000, GIVE_UP = 24 * 3_600_000, LIMIT = 60_000      // ms

/** How long to wait after the how-manieth try (from 0): 1 s, doubling up to 1 h, a fifth more or less by `chance` in [0, 1). */
export const waitAfter = (tries: number, chance: number): number => Math.min(LONGEST, FIRST * 2 ** tries * (0.8 + 0.4 * chance))

/** Whether the waits after so many tries have come to 24 h. */
export function isOver (tries: number): boolean {
  let waited = 0
  for (let i = 0; i < tries && waited < GIVE_UP; i++) waited += waitAfter(i, 0.5)
  return waited >= GIVE_UP
}

export interface DispatcherOptions {
  readonly store: Pick<Store, 'due' | 'settle' | 'endpoints' | 'waiting'>
  readonly receivers: ReadonlyMap<string, Receiver>
  readonly policies?: ReadonlyMap<string, Policy>
  readonly links?: string | undefined        // where people reach the API
  readonly log: Logger
  readonly clock?: Clock
  readonly now?: () => number        // wall clock, ms
  readonly random?: () => number
  readonly poll?: number             // ms between looks at the outbox
  readonly concurrency?: number      // sends under way per endpoint
}

/** What became of tries to send, of this process. */
export interface Tries { delivered: number, retried: number, dead: number }

/** Receivers that send to the same place. */
interface Endpoint { readonly id: string, readonly name: string, readonly receivers: string[], readonly lane: Lane, readonly breaker: Breaker, busy: number, sending: number }

/**
 * Sends each alert at least once: a crash between the receiver's answer and its record repeats it with the same id.
 * Endpoints do not wait for each other: one that is slow or down has at most `concurrency` sends under way and no more leased, and
 * after some failures a breaker that lets only single tries through. What fails is tried again for 24 h, and so is what is for a receiver that
 * there is not: it may come back with another version. To an endpoint that says that it is gone nothing is sent until somebody enables it again.
 * Once another process has opened the store nothing is sent from here.
 */
export class Dispatcher {
  readonly counts: Tries = { delivered: 0, retried: 0, dead: 0 }
  readonly byReceiver: ReadonlyMap<string, Tries>
  isQuiet = false                    // all that was due at the last look has been tried
  private readonly options: Required<Omit<DispatcherOptions, 'links'>> & Pick<DispatcherOptions, 'links'>
  private readonly endpoints = new Map<string, Endpoint>()   // by receiver
  private gone = new Set<string>()                           // endpoints, as of `asked`, and those that this process has met since
  private asked = -Infinity
  private readonly recording = new Set<Promise<void>>()    // being told to the store
  private readonly held = new Map<string, Promise<void>>()   // delivery -> under way; a lease that ends meanwhile changes nothing
  private readonly stopping = new AbortController()          // no more is leased
  private readonly giveUp = new AbortController()            // what is under way is left
  private woken = new AbortController()
  private loop: Promise<void> | undefined

  constructor (options: DispatcherOptions) {
    const { clock = real } = options
    this.options = { clock, now: () => clock.now(), random: () => clock.random(), poll: 1000, concurrency: 4, ...options, policies: new Map([...options.receivers.keys()].map(key => [key, options.policies?.get(key) ?? {}])) }
    const byId = new Map<string, Endpoint>()
    for (const [key, { endpoint: { id, name } = { id: key, name: key } }] of options.receivers) {
      const endpoint = byId.get(id) ?? { id, name, receivers: [], lane: lanes(this.options.concurrency), breaker: new Breaker(), busy: 0, sending: 0 }
      byId.set(id, endpoint)
      endpoint.receivers.push(key)
      this.endpoints.set(key, endpoint)
    }
    setMaxListeners(0, this.giveUp.signal)     // one per send under way
    this.byReceiver = new Map([...options.receivers.keys()].map(key => [key, { delivered: 0, retried: 0, dead: 0 }]))
  }

  start (): void { this.loop ??= this.run() }

  /** How each receiver stands: its tries, and whether its endpoint's breaker lets alerts through. */
  get receivers (): (Tries & { readonly receiver: string, readonly breaker: 'closed' | 'open' })[] {
    return [...this.endpoints].map(([receiver, { breaker }]) => ({ receiver, ...this.byReceiver.get(receiver)!, breaker: breaker.state }))
  }

  /** As of the store; undefined: nobody can say. */
  async waiting (until?: number): Promise<number | undefined> { return await this.options.store.waiting?.(until).catch(() => undefined) }

  /** There may be something to do. */
  wake (): void { this.woken.abort() }

  /** Leases nothing more; waits `within` ms for what is under way, then leaves it to the next start. Closes the receivers. */
  async stop (within = 5000): Promise<void> {
    this.stopping.abort()
    this.isQuiet = false
    this.wake()
    const bound = new AbortController()
    void Promise.all([this.loop, ...this.held.values()]).then(() => bound.abort())
    await sleep(within, bound.signal, this.options.clock)
    this.giveUp.abort()
    await sleep(1000, bound.signal, this.options.clock)
    await Promise.all([...this.options.receivers.values()].map(r => r.close()))
  }

  private async run (): Promise<void> {
    const { poll, log, clock } = this.options
    while (!this.stopping.signal.aborted) {
      this.woken = new AbortController()
      try {
        const idle = this.held.size === 0, taken = await this.lease()
        this.isQuiet = idle && taken === 0 && !this.stopping.signal.aborted
        if (taken > 0) continue
      } catch (error) {
        if (error instanceof MillraceError && error.code === 'store/fenced') return log.error({ err: error.message }, 'nothing more is sent from here')
        log.warn({ err: error }, 'the outbox cannot be read, trying again')
      }
      await sleep(poll, this.woken.signal, clock)
    }
  }

  /** Takes what is due into work, as much as there is room for. Returns how much that was. */
  private async lease (): Promise<number> {
    const { store, now, concurrency, policies, poll } = this.options
    const at = now(), endpoints = [...new Set(this.endpoints.values())]
    const room = endpoints.map(({ breaker, busy }) => Math.max(0, breaker.room(at, concurrency) - busy))
    const limit = room.reduce((n, r) => n + r, 0)
    if (limit === 0) return 0
    const full = endpoints.flatMap(({ receivers }, i) => room[i] === 0 ? receivers : [])
    let taken = 0
    await Promise.allSettled(this.recording)         // one that is due again at once must not be met while still in hand: it would be leased for nothing
    await this.disabled(poll)
    for (const entry of await store.due(limit, at, full, policies)) {
      const key = keyOf(entry)
      if (this.held.has(key) || this.stopping.signal.aborted) continue
      taken++
      const work: Promise<void> = this.work(entry).finally(() => { if (this.held.get(key) === work) this.held.delete(key); this.wake() })
      this.held.set(key, work)
    }
    return taken
  }

  /** Endpoints that are gone, as of at most `within` ms ago: somebody may have enabled one again. */
  private async disabled (within: number): Promise<ReadonlySet<string>> {
    const { store, clock } = this.options
    if (store.endpoints === undefined || clock.monotonic() - this.asked < within) return this.gone
    this.gone = new Set(await store.endpoints.disabled())
    this.asked = clock.monotonic()
    return this.gone
  }

  private async work (entry: OutboxEntry): Promise<void> {
    const endpoint = this.endpoints.get(entry.receiver)
    if (endpoint === undefined) return await this.settle(entry, this.failed(entry, new Transient('the pipeline has no such receiver')))
    const still = this.gone.has(endpoint.id) ? await this.disabled(0).catch(() => undefined) : this.gone
    if (still === undefined) return              // nobody can say: the lease ends, and it is due again
    if (still.has(endpoint.id)) return await this.settle(entry, { state: 'dead', error: `${endpoint.name} said that it is gone: it is disabled` })
    endpoint.busy++
    try {
      await endpoint.lane(async () => {
        if (this.stopping.signal.aborted) return
        if (endpoint.breaker.room(this.options.now(), this.options.concurrency) <= endpoint.sending) return       // it opened while this waited: the lease ends, and it is due again
        endpoint.sending++
        const how = await this.send(entry, endpoint).finally(() => { endpoint.sending-- })
        if (how !== undefined) await this.settle(entry, how)
      })
    } finally {
      endpoint.busy--
    }
  }

  /** One try. Nothing when it was cut short by a stop. */
  private async send (entry: OutboxEntry, { id, name, breaker }: Endpoint): Promise<Settled | undefined> {
    const { receivers, store, log, now, clock, links } = this.options, { receiver } = entry
    try {
      await bounded(signal => receivers.get(receiver)!.send({ ...entry, ...linksOf(entry, links) }, signal), this.giveUp.signal, clock)
      breaker.succeeded()
      return { state: 'delivered' }
    } catch (error) {
      if (this.giveUp.signal.aborted) return undefined
      const { message } = error as Error
      if (error instanceof Gone) {
        this.gone.add(id)
        log.error({ receiver, endpoint: name, err: message }, 'an endpoint said that it is gone: nothing more is sent there until it is enabled again')
        await store.endpoints?.disable({ endpoint: id, name, reason: message }).catch((failure: unknown) => { log.warn({ err: failure, endpoint: name }, 'that an endpoint is gone cannot be recorded: the next alert for it will') })
      }
      if (error instanceof Transient) breaker.failed(now(), error.after)
      return this.failed(entry, error as Error)
    }
  }

  /** What becomes of a try that has failed. */
  private failed ({ id, receiver, attempts, tried }: OutboxEntry, error: Error): Settled {
    const { log, now, random } = this.options, { message } = error, over = isOver(attempts + 1) || (tried !== undefined && now() - tried >= GIVE_UP)
    if (error instanceof Transient && !over) {
      const wait = Math.max(waitAfter(attempts, random()), Math.min(LONGEST, error.after ?? 0))
      log.warn({ receiver, alert: id, attempts: attempts + 1, wait: Math.round(wait), err: message }, 'an alert could not be delivered, trying again')
      return { state: 'retry', after: now() + wait, error: message }
    }
    log.error({ receiver, alert: id, attempts: attempts + 1, err: message }, over ? 'an alert could not be delivered for 24 h, giving up' : 'an alert was refused by its receiver, giving up')
    return { state: 'dead', error: message }
  }

  /** Recorded, however long the store takes: until then the delivery stays in hand and is not sent again. */
  private async settle (entry: OutboxEntry, how: Settled): Promise<void> {
    const { store, log, poll, clock } = this.options
    for (const tries of [this.counts, this.byReceiver.get(entry.receiver)]) if (tries !== undefined) tries[how.state === 'retry' ? 'retried' : how.state]++
    for (;;) {
      const recorded = store.settle(entry, how)
      this.recording.add(recorded)
      try {
        await recorded
        this.held.delete(keyOf(entry))
        return
      } catch (error) {
        if (this.giveUp.signal.aborted) return
        log.warn({ err: error, receiver: entry.receiver, alert: entry.id, state: how.state }, 'what became of an alert cannot be recorded, trying again')
        await sleep(poll, this.giveUp.signal, clock)
      } finally {
        this.recording.delete(recorded)
      }
    }
  }
}

/** Where more stands about it, and where it is acknowledged. */
function linksOf ({ events: [{ incident }] }: OutboxEntry, base: string | undefined): Pick<Notice, 'links'> {
  if (base === undefined) return {}
  const at = `${base.replace(/\/$/, '')}/api/v1/alerts/${incident}`
  return { links: { incident: at, acknowledge: `${at}/acknowledge` } }
}

const keyOf = ({ id, receiver }: OutboxEntry): string => `${id}\0${receiver}`

/** What `act` gives, or Transient after LIMIT or when told to stop: also when it does not listen to its signal. */
function bounded (act: (signal: AbortSignal) => Promise<unknown>, stop: AbortSignal, clock: Clock): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const cut = new AbortController()
    const abort = () => { over(); reject(new Transient(`no answer within ${LIMIT / 1000} s`)); cut.abort() }
    const stopTimer = clock.timeout(abort, LIMIT)
    const over = () => { stopTimer(); stop.removeEventListener('abort', abort) }
    stop.addEventListener('abort', abort)
    const acted = async () => act(cut.signal)      // rejects when act throws at once
    acted().finally(over).then(resolve, reject)
  })
}
