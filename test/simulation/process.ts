import type { Clock } from '../../engine/clock.ts'
import type { Logger } from '../../engine/log.ts'
import { EPOCH, type World } from './world.ts'

export class Killed extends Error {}
const never = new Promise<never>(() => {})

/**
 * A process: it has time, chance and answers from the world only as long as it lives. Killed, nothing of it ever goes on: its timers
 * are gone, answers to it are lost, what it asks for is not done. Paused, all that waits for it until it goes on.
 */
export class Process {
  readonly name: string
  readonly host: string
  readonly pid: number
  readonly world: World
  alive = true
  paused = false
  /** Calls and answers until it is killed. */
  fuse = Infinity
  /** With the next answer to this it is paused. */
  freezes = ''
  frozen: () => void = () => {}
  /** Asks it to stop. */
  stop: () => void = () => {}
  died: ((why: string) => void)[] = []
  private readonly skew: number
  private readonly waiting: (() => void)[] = []

  constructor (world: World, { pid, host, skew = 0 }: { readonly pid: number, readonly host: string, readonly skew?: number }) {
    this.world = world
    this.pid = pid
    this.host = host
    this.name = `${host}${pid}`
    this.skew = skew
  }

  readonly clock: Clock = {
    now: () => EPOCH + this.world.now + this.skew + this.step,
    monotonic: () => this.world.now + this.pid * 1e6,
    timeout: (act, after) => this.world.at(after, () => this.give(act)),
    interval: (act, every) => {
      let stop = () => {}
      const again = () => { stop = this.world.at(every, () => { if (this.alive) { again(); this.give(act) } }) }
      again()
      return () => stop()
    },
    soon: act => { this.world.at(0, () => this.give(act)) },
    random: () => this.world.random.next(),
    id: () => `id${Math.floor(this.world.random.next() * 2 ** 32).toString(36)}`
  }

  /** By how much its wall clock was set, ms. */
  step = 0

  /**
   * Asks the world for something: `effect` is done half-way, whatever becomes of the process meanwhile when it is `remote`; the answer
   * arrives after `delay` ms.
   */
  ask<T> (what: string, delay: number, effect: () => T, remote = false): Promise<T> {
    if (!this.alive) return never
    this.burn(what)
    if (!this.alive) return never
    return new Promise((resolve, reject) => {
      this.world.at(delay / 2, () => {
        if (!this.alive && !remote) return
        let answer: T, failure: unknown
        try { answer = effect() } catch (error) { failure = error }
        this.world.note(`${this.name} ${what}${failure === undefined ? '' : ` failed: ${(failure as Error).message}`}`)
        this.world.at(delay / 2, () => this.give(() => {
          if (failure === undefined) resolve(answer)
          else reject(failure as Error)
        }, what))
      })
    })
  }

  /** Lets it go on with something, now or when it is not paused any more. */
  give (act: () => void, what = ''): void {
    if (!this.alive) return
    if (this.paused) { this.waiting.push(() => this.give(act, what)); return }
    if (what !== '') this.burn(what)
    if (what !== '' && what === this.freezes) {
      this.freezes = ''
      this.world.note(`${this.name} is frozen at ${what}`)
      this.pause()
      this.frozen()
      return this.give(act, what)
    }
    if (this.alive) act()
  }

  pause (): void { this.paused = true }

  resume (): void {
    this.paused = false
    for (const go of this.waiting.splice(0)) this.world.at(0, go)
  }

  kill (why: string): void {
    if (!this.alive) return
    this.world.note(`${this.name} is gone: ${why}`)
    this.alive = false
    for (const tell of this.died) tell(why)
  }

  readonly log: Logger = logger((level, text) => { if (this.alive) this.world.note(`${this.name} ${level}: ${text}`) })

  private burn (what: string): void {
    if (--this.fuse > 0) return
    this.world.count('crash at a call')
    this.kill(`killed at ${what}`)
  }
}

function logger (write: (level: string, text: string) => void): Logger {
  const log: any = { child: () => log }
  for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal']) log[level] = (a: any, b?: string) => write(level, `${b ?? String(a)}${a?.err === undefined ? '' : ` (${a.err.message ?? a.err})`}`)
  return log
}
