/**
 * npm run faults -- [--tier commit|nightly|release] [--row K2,D3] [--seed S] [--rounds N] [--stretch X] [--json] [--save]: the rows of the fault
 * matrix, one after the other, one line of JSON each. Ends with 1 when one fails, or when CI=true and one cannot run.
 */
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { commitOf, keep } from '../keep.ts'
import { brokers } from './brokers.ts'
import { dataRows } from './data.ts'
import { damages } from './damage.ts'
import { database } from './database.ts'
import { disk } from './disk.ts'
import { inside } from './inside.ts'
import { kills } from './kills.ts'
import { load } from './load.ts'
import { network } from './network.ts'
import { Skipped, tiers, type Bench, type Row, type Tier, type Value } from './row.ts'
import { Server } from './server.ts'
import { sharedKeys } from './shared-keys.ts'
import { security } from './security.ts'
import { streams } from './streams.ts'
import { twinRows } from './twins.ts'
import { webhook } from './webhook.ts'

const rows: readonly Row[] = [...kills, ...inside, ...sharedKeys, ...brokers, ...database, ...twinRows, ...disk, ...damages, ...streams, ...network, ...load, ...webhook, ...security, ...dataRows]

interface Asked { readonly tier: Tier, readonly rows: readonly Row[], readonly seed: number, readonly rounds: number | undefined, readonly stretch: number, readonly json: boolean, readonly save: boolean }
interface Outcome { readonly verdict: 'pass' | 'fail' | 'skipped', readonly wrong?: readonly string[] }
type Line = Outcome & { readonly row: string, readonly name: string, readonly tier: Tier, readonly commit: string } & Readonly<Record<string, Value | readonly string[]>>

const asked = read()
if (asked !== undefined) await run(asked)

function read (): Asked | undefined {
  try {
    const text = (preset: string) => ({ type: 'string', default: preset }) as const, flag = { type: 'boolean', default: false } as const
    const { values } = parseArgs({ options: { tier: text('commit'), row: text(''), seed: text('1'), rounds: text(''), stretch: text('1'), json: flag, save: flag } })
    const whole = (name: string, given: string, least: number, most: number): number => {
      if (!/^\d+$/.test(given) || Number(given) < least || Number(given) > most) throw new Error(`--${name} is a whole number from ${least} to ${most}, not ${given}`)
      return Number(given)
    }
    const tier = tiers.find(t => t === values.tier)
    if (tier === undefined) throw new Error(`--tier is one of ${tiers.join(', ')}, not ${values.tier}`)
    const ids = values.row === '' ? rows.filter(row => row.tiers[tier] !== undefined).map(row => row.id) : values.row.split(',')
    const chosen = ids.map(id => {
      const row = rows.find(r => r.id === id)
      if (row === undefined) throw new Error(`there is no row "${id}"; there are: ${rows.map(r => r.id).join(', ')}`)
      return row
    })
    return {
      tier, rows: chosen, seed: whole('seed', values.seed, 0, 2 ** 31 - 1), rounds: values.rounds === '' ? undefined : whole('rounds', values.rounds, 1, 100_000),
      stretch: whole('stretch', values.stretch, 1, 20), json: values.json, save: values.save
    }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    process.exitCode = 2
    return undefined
  }
}

async function run ({ tier, rows, seed, rounds, stretch, json, save }: Asked): Promise<void> {
  const stop = new AbortController(), interrupt = () => stop.abort(new Error('interrupted'))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, interrupt)
  let server: Promise<Server> | undefined
  const lines: Line[] = [], commit = commitOf()
  try {
    for (const row of rows) {
      if (stop.signal.aborted) break
      const closing: (() => unknown)[] = []
      const bench: Bench = {
        rounds: rounds ?? row.tiers[tier] ?? Object.values(row.tiers)[0], seed, stretch, signal: stop.signal, closing,
        say: line => { process.stderr.write(`${row.id}: ${line}\n`) },
        server: () => server ??= Server.open()
      }
      const line = { row: row.id, name: row.name, tier, seed, ...stretch === 1 ? {} : { stretch }, commit, ...await attempt(row, bench) }
      lines.push(line)
      process.stdout.write(json ? `${JSON.stringify(line)}\n` : shown(line))
      if (line.verdict === 'fail' || line.verdict === 'skipped' && process.env.CI === 'true') process.exitCode = 1
    }
  } finally {
    await (await server?.catch(() => undefined))?.stop()
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupt)
  }
  if (save) keep('faults', lines)
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

function shown ({ row, name, verdict, wrong, ...figures }: Line): string {
  const text = Object.entries(figures).filter(([key]) => key !== 'tier' && key !== 'commit').map(([key, value]) => `${key} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`).join(', ')
  return `${verdict.padEnd(8)} ${(row as string).padEnd(5)} ${name as string}\n${wrong === undefined ? '' : `         ${(wrong as readonly string[]).join('; ')}\n`}         ${text}\n`
}
