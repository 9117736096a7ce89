/** From the store's outbox to people: leases alerts that are due, sends them, records what came of it. By wall clock. */
import { setMaxListeners } from 'node:events'
import { clock as real, sleep, type Clock } from './clock.ts'
import { Transient } from './errors.ts'
import type { Logger } from './log.ts'
import type { Receiver } from './sink.ts'
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
  readonly store: Pick<Store, 'due' | 'settle'>
  readonly receivers: ReadonlyMap<string, Receiver>
  readonly log: Logger
  readonly clock?: Clock
  readonly now?: () => number        // wall clock, ms
  readonly random?: () => number
  readonly poll?: number             // ms between looks at the outbox
  readonly concurrency?: number      // sends under way per receiver
}

/** What became of tries to send, of this process. */
export interface Tries { delivered: number, retried: number, dead: number }

/**
 * Sends each alert at least once: a crash between the receiver's answer and its record repeats it with the same id.
 * Receivers do not wait for each other: one that is slow or down has at most `concurrency` sends under way and no more leased.
 * What fails is tried again for 24 h.
 */
export class Dispatcher {
  readonly counts: Tries = { delivered: 0, retried: 0, dead: 0 }
  readonly byReceiver: ReadonlyMap<string, Tries>
  private readonly options: Required<DispatcherOptions>
  private readonly busy = new Map<string, number>()          // receiver -> what it has to do
  private readonly recording = new Set<Promise<void>>()    // being told to the store
  private readonly held = new Map<string, Promise<void>>()   // delivery -> under way; a lease that ends meanwhile changes nothing
  private readonly lanes = new Map<string, Lane>()
  private readonly stopping = new AbortController()          // no more is leased
  private readonly giveUp = new AbortController()            // what is under way is left
  private woken = new AbortController()
  private loop: Promise<void> | undefined

  constructor (options: DispatcherOptions) {
    const { clock = real } = options
    this.options = { clock, now: () => clock.now(), random: () => clock.random(), poll: 1000, concurrency: 4, ...options }
    setMaxListeners(0, this.giveUp.signal)     // one per send under way
    this.byReceiver = new Map([...options.receivers.keys()].map(key => [key, { delivered: 0, retried: 0, dead: 0 }]))
  }

  start (): void { this.loop ??= this.run() }

  /** There may be something to do. */
  wake (): void { this.woken.abort() }

  /** Leases nothing more; waits `within` ms for what is under way, then leaves it to the next start. Closes the receivers. */
  async stop (within = 5000): Promise<void> {
    this.stopping.abort()
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
        if (await this.lease() > 0) continue
      } catch (error) {
        log.warn({ err: error }, 'the outbox cannot be read, trying again')
      }
      await sleep(poll, this.woken.signal, clock)
    }
  }

  /** Takes what is due into work, as much as there is room for. Returns how much that was. */
  private async lease (): Promise<number> {
    const { store, receivers, now, concurrency } = this.options
    const room = [...receivers.keys()].map(key => Math.max(0, concurrency - (this.busy.get(key) ?? 0)))
    const limit = room.reduce((n, r) => n + r, 0)
    if (limit === 0) return 0
    const full = [...receivers.keys()].filter((_, i) => room[i] === 0)
    let taken = 0
    await Promise.allSettled(this.recording)         // one that is due again at once must not be met while still in hand: it would be leased for nothing
    for (const entry of await store.due(limit, now(), full)) {
      const key = keyOf(entry)
      if (this.held.has(key) || this.stopping.signal.aborted) continue
      taken++
      const work: Promise<void> = this.work(entry).finally(() => { if (this.held.get(key) === work) this.held.delete(key); this.wake() })
      this.held.set(key, work)
    }
    return taken
  }

  private async work (entry: OutboxEntry): Promise<void> {
    const { receiver } = entry
    const lane = this.lane(receiver)
    this.busy.set(receiver, (this.busy.get(receiver) ?? 0) + 1)
    try {
      await lane(async () => {
        if (this.stopping.signal.aborted) return
        const how = await this.send(entry)
        if (how !== undefined) await this.settle(entry, how)
      })
    } finally {
      this.busy.set(receiver, this.busy.get(receiver)! - 1)
    }
  }

  /** One try. Nothing when it was cut short by a stop. */
  private async send ({ event, receiver, attempts }: OutboxEntry): Promise<Settled | undefined> {
    const { receivers, log, now, random, clock } = this.options
    const to = receivers.get(receiver)
    if (to === undefined) {
      log.error({ receiver, alert: event.id }, 'an alert is for a receiver that the pipeline no longer has, giving up')
      return { state: 'dead', error: 'the pipeline has no such receiver any more' }
    }
    try {
      await bounded(signal => to.send(event, signal), this.giveUp.signal, clock)
      return { state: 'delivered' }
    } catch (error) {
      if (this.giveUp.signal.aborted) return undefined
      const { message } = error as Error
      const over = isOver(attempts + 1)
      if (error instanceof Transient && !over) {
        const wait = Math.max(waitAfter(attempts, random()), Math.min(LONGEST, error.after ?? 0))
        log.warn({ receiver, alert: event.id, attempts: attempts + 1, wait: Math.round(wait), err: message }, 'an alert could not be delivered, trying again')
        return { state: 'retry', after: now() + wait, error: message }
      }
      log.error({ receiver, alert: event.id, attempts: attempts + 1, err: message }, over ? 'an alert could not be delivered for 24 h, giving up' : 'an alert was refused by its receiver, giving up')
      return { state: 'dead', error: message }
    }
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
        log.warn({ err: error, receiver: entry.receiver, alert: entry.event.id, state: how.state }, 'what became of an alert cannot be recorded, trying again')
        await sleep(poll, this.giveUp.signal, clock)
      } finally {
        this.recording.delete(recorded)
      }
    }
  }

  private lane (receiver: string): Lane {
    let lane = this.lanes.get(receiver)
    if (lane === undefined) this.lanes.set(receiver, lane = lanes(this.options.concurrency))
    return lane
  }
}

const keyOf = ({ event, receiver }: OutboxEntry): string => `${event.id}\0${receiver}`

type Lane = (act: () => Promise<void>) => Promise<void>

/** Runs at most `width` at a time, the others in their order. */
function lanes (width: number): Lane {
  const waiting: (() => void)[] = []
  let running = 0
  return async act => {
    if (running === width) await new Promise<void>(resolve => waiting.push(resolve))
    else running++
    try {
      await act()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running--
      else next()
    }
  }
}

/** What `act` gives, or Transient after LIMIT or when told to stop: also when it does not listen to its signal. */
function bounded (act: (signal: AbortSignal) => Promise<void>, stop: AbortSignal, clock: Clock): Promise<void> {
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
