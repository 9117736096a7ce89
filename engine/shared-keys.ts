import { MillraceError, Transient } from './errors.ts'
import { nameOf, type IdempotencyKeys } from './idempotency.ts'
import type { Logger } from './log.ts'
import type { Position } from './source.ts'

/** What is known of a key: a request under it is under way at its owner, or was taken into the owner's log. `hash`: of its message, hex. */
export interface Claim { readonly taken: boolean, readonly hash: string, readonly owner: string, readonly position: Position }
/** `key`: see nameOf; `left`: ms that it is still to be known. */
export interface Taken { readonly key: string, readonly hash: string, readonly position: Position, readonly left: number }

/**
 * Where instances say to each other which keys they have. What belongs together has one `space`; `owner` is the log of an instance. All
 * reject with Transient when it cannot be asked, or does not answer soon. Each call is done whole or not at all, in the order of the calls.
 */
export interface KeyServer {
  /** Calls back whenever it can be asked anew, now too if it can. What it returns ends that. */
  watch (reached: () => void): () => void
  /**
   * `memory` changes when the server has forgotten what it knew; `pending`: keys that the owner has reserved. `last`: the memory that the
   * owner knew. When it is gone, or there is none and the owner `has` keys of its own, nobody reserves anything for ten seconds, in which all tell theirs.
   */
  join (space: string, owner: string, last: string | undefined, has: boolean): Promise<{ readonly memory: string, readonly pending: readonly string[] }>
  /** The owner's, for 24 h, unless it is taken or another's. 'forgotten': the server has another memory. 'waiting': it is new. */
  reserve (space: string, owner: string, memory: string, key: string, hash: string): Promise<Claim | 'reserved' | 'forgotten' | 'waiting'>
  /** They stand in the owner's log. Returns how many of them stand in another one too. */
  take (space: string, owner: string, taken: readonly Taken[]): Promise<number>
  /** They do not, and nobody needs to wait for the owner. */
  release (space: string, owner: string, keys: readonly string[]): Promise<void>
  close (): void
}

/** What becomes of requests with keys while the server cannot be asked: they are refused, or taken by what this instance knows alone. */
export const whenDown = ['refuse', 'local'] as const
export interface SharedKeysOptions { readonly server: KeyServer, readonly down: typeof whenDown[number] }

/** A key that was reserved: exactly one of these is called. */
export interface Reserved {
  /** It stands in our log. Never rejects: who does not hear of it now is told later. */
  taken (position: Position): Promise<void>
  /** Nothing of it does. */
  refused (): void
  /** Nobody knows, until the log is opened again. */
  left (): void
}

const CHUNK = 500                    // keys told at once
const AGAIN = 1000                   // ms until what failed is tried again
const LOOK = 3000                    // ms between looks whether the server still knows what it was told: well within the time in which a new one reserves nothing
const DAY = 24 * 3_600_000

/**
 * The keys of a log, shared with other instances that are fed the same requests: a key is reserved, its message appended, and when that is
 * durable the key is taken. Until then a repetition is put off, wherever it comes: also while the instance that has reserved it is dead,
 * as only its log tells whether it has the message. When that starts again it says so first.
 */
export class SharedKeys {
  private readonly options: SharedKeysOptions & { readonly space: string, readonly owner: string, readonly keys: IdempotencyKeys, readonly now: () => number, readonly durable: () => Position, readonly log: Pick<Logger, 'error' | 'warn'>, readonly later: (act: () => void, ms: number) => () => void }
  private readonly unwatch: () => void
  private readonly flying = new Set<string>()              // reserved, or about to be, and not appended yet
  private readonly untold = new Set<string>()              // ours, and the server does not know
  private last: string | undefined                         // memory of the server that knows all that is not untold
  private settling: Promise<void> | undefined
  private again = false
  private stop = () => {}
  private closed = false
  private refusals = 0
  private alone = 0
  private doubles = 0

  constructor (options: SharedKeys['options']) {
    this.options = options
    this.unwatch = options.server.watch(() => { this.settle() })
  }

  get events (): Record<string, number> { return { key_refused: this.refusals, key_alone: this.alone, key_twice: this.doubles } }

  /** Of a message that is not known here. A number: the place where another instance has it. Throws api/key-pending, api/key-used, api/busy. */
  async reserve (key: string, hash: bigint): Promise<Reserved | Position> {
    const { server, space, owner, down } = this.options, name = nameOf(key)
    if (this.flying.has(name)) throw underWay('another request under this Idempotency-Key is being taken')
    this.flying.add(name)
    try {
      if (this.last === undefined) await this.settling
      const answer = this.last === undefined ? undefined : await server.reserve(space, owner, this.last, name, hex(hash)).catch(() => undefined)
      if (answer === 'reserved') return this.reserved(name, true)
      if (answer === 'forgotten') this.settle()
      if (answer === undefined && down === 'local') {
        this.alone++
        return this.reserved(name, false)
      }
      if (answer === undefined || typeof answer === 'string') {
        this.refusals++
        throw new MillraceError('api/busy', answer === undefined ? 'whether another instance has this Idempotency-Key cannot be found out now' : 'the instances are telling each other their Idempotency-Keys anew', { help: 'send it again when Retry-After says, under the same Idempotency-Key' })
      }
      if (!answer.taken) throw underWay('a request under this Idempotency-Key was begun at another instance, and it is not known yet whether that has taken it')
      if (answer.hash !== hex(hash)) throw new MillraceError('api/key-used', 'another request came under this Idempotency-Key within the last 24 h, and this one is not the same', { help: 'a new key for each request; the same one only to send the same bytes to the same place again' })
      this.flying.delete(name)
      return answer.position
    } catch (error) {
      this.flying.delete(name)
      throw error
    }
  }

  /** Tells what is not told yet, and gives back what is reserved and does not stand in the log. Also to be called when the log was opened again. */
  settle (): void {
    if (this.closed) return
    this.again = true
    this.settling ??= this.settled().catch(error => {
      this.again = true
      if (!(error instanceof Transient)) this.options.log.warn({ err: (error as Error).message }, 'log: its keys could not be told to the other instances yet')
    }).finally(() => {
      this.settling = undefined
      this.stop()
      if (!this.closed) this.stop = this.options.later(() => { this.settle() }, this.again ? AGAIN : LOOK)
    })
  }

  async close (): Promise<void> {
    this.closed = true
    this.stop()
    this.unwatch()
    await this.settling
  }

  private async settled (): Promise<void> {
    const { server, space, owner, keys } = this.options
    this.again = false
    const { memory, pending } = await server.join(space, owner, this.last, keys.size > 0)
    const names = new Set([...memory === this.last ? this.untold : keys.names, ...pending.filter(name => keys.at(name) !== undefined)]), list = [...names]
    for (let i = 0; i < list.length; i += CHUNK) await this.tell(list.slice(i, i + CHUNK))
    const needless = pending.filter(name => keys.at(name) === undefined && !this.flying.has(name))
    if (needless.length > 0) await server.release(space, owner, needless)
    this.last = memory
  }

  /** Those of them that are durable; the others are told by whoever appended them, or not at all. */
  private async tell (names: readonly string[]): Promise<void> {
    const { server, space, owner, keys, now, durable, log } = this.options, taken: Taken[] = []
    for (const key of names) {
      const known = keys.at(key)
      if (known === undefined || known.at + DAY <= now()) this.untold.delete(key)
      else if (known.position <= durable()) taken.push({ key, hash: hex(known.hash), position: known.position, left: Math.ceil(known.at + DAY - now()) })
    }
    if (taken.length === 0) return
    const doubles = await server.take(space, owner, taken)
    for (const { key } of taken) this.untold.delete(key)
    if (doubles === 0) return
    this.doubles += doubles
    log.error({ requests: doubles }, 'log: requests under Idempotency-Keys stand in the log of another instance too: they were taken while the instances could not ask each other')
  }

  private reserved (name: string, atServer: boolean): Reserved {
    const { server, space, owner, keys } = this.options
    return {
      taken: async () => {
        this.flying.delete(name)
        this.untold.add(name)
        if (atServer) await this.tell([name]).catch(() => { this.settle() })
        else this.settle()
      },
      refused: () => {
        this.flying.delete(name)
        if (atServer && keys.at(name) === undefined) void server.release(space, owner, [name]).catch(() => {})
      },
      left: () => { this.flying.delete(name) }
    }
  }
}

const hex = (hash: bigint): string => hash.toString(16).padStart(16, '0')
const underWay = (why: string) => new MillraceError('api/key-pending', why, { help: 'send it again when Retry-After says, under the same Idempotency-Key' })
