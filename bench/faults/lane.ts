import { loadavg } from 'node:os'
import { commitOf } from '../keep.ts'
import { Skipped, type Bench, type Row, type Tier, type Value } from './row.ts'
import { Server } from './server.ts'

const PROGRESS = 10_000               // ms

/** How rows are run: see Bench. Without `rounds` those of the tier. */
export interface How { readonly tier: Tier, readonly seed: number, readonly rounds: number | undefined, readonly stretch: number }
interface Head { readonly row: string, readonly name: string, readonly tier: Tier, readonly seed: number, readonly stretch?: number, readonly commit: string }
interface Outcome { readonly verdict: 'pass' | 'fail' | 'skipped', readonly wrong?: readonly string[] }
/** What is said of a row that has run. */
export type Line = Head & Outcome & Readonly<Record<string, Value | readonly string[]>>

/** Rows one after the other, with a server that they share, until SIGINT or SIGTERM. */
export class Lane {
  private readonly how: How
  private readonly commit = commitOf()
  private readonly stop = new AbortController()
  private readonly interrupt = () => this.stop.abort(new Error('interrupted'))
  private server: Promise<Server> | undefined

  constructor (how: How) {
    this.how = how
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, this.interrupt)
  }

  get signal (): AbortSignal { return this.stop.signal }

  head ({ id, name }: Row): Head {
    const { tier, seed, stretch } = this.how
    return { row: id, name, tier, seed, ...stretch === 1 ? {} : { stretch }, commit: this.commit }
  }

  async run (row: Row): Promise<Line> {
    const { tier, seed, rounds, stretch } = this.how, say = (line: string): void => { process.stderr.write(`${row.id}: ${line}\n`) }
    let said = performance.now()
    return {
      ...this.head(row), ...await attempt(row, {
        rounds: rounds ?? row.tiers[tier] ?? Object.values(row.tiers)[0], seed, stretch, signal: this.signal, closing: [],
        say,
        progress: line => {
          if (performance.now() - said < PROGRESS) return
          said = performance.now()
          say(line)
        },
        server: () => this.server ??= Server.open()
      })
    }
  }

  async close (): Promise<void> {
    await (await this.server?.catch(() => undefined))?.stop()
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, this.interrupt)
  }
}

/** Runs a row; what it has not expected is a failure too. */
async function attempt (row: Row, bench: Bench): Promise<Outcome> {
  const began = performance.now(), rest = () => ({ seconds: Math.round((performance.now() - began) / 100) / 10, load: Math.round(loadavg()[0] * 10) / 10 })
  try {
    try {
      const { figures, wrong } = await row.run(bench)
      return { verdict: wrong.length === 0 ? 'pass' : 'fail', ...wrong.length === 0 ? {} : { wrong }, ...figures, ...rest() }
    } finally {
      for (const close of bench.closing.toReversed()) await Promise.resolve().then(close).catch((error: Error) => bench.say(`not cleaned up: ${error.message}`))
    }
  } catch (error) {
    return error instanceof Skipped ? { verdict: 'skipped', wrong: [error.message] } : { verdict: 'fail', wrong: [(error as Error).stack ?? String(error)], ...rest() }
  }
}
