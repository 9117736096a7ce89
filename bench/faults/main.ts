/**
 * npm run faults -- [--tier commit|nightly|release] [--row K2,D3] [--alone yes|no] [--seed S] [--rounds N] [--stretch X] [--jobs N]
 * [--json] [--save]: the rows of the fault matrix, N at a time, one line of JSON each; of a tier only those that run alone, or only
 * the others. Ends with 1 when one fails, or when CI=true and one cannot run.
 */
import { fork } from 'node:child_process'
import { on, once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { keep } from '../keep.ts'
import { brokers } from './brokers.ts'
import { dataRows } from './data.ts'
import { damages } from './damage.ts'
import { database } from './database.ts'
import { disk } from './disk.ts'
import { inside } from './inside.ts'
import { kills } from './kills.ts'
import { Lane, type How, type Line } from './lane.ts'
import { load } from './load.ts'
import { network } from './network.ts'
import { tiers, type Row } from './row.ts'
import { sharedKeys } from './shared-keys.ts'
import { security } from './security.ts'
import { streams } from './streams.ts'
import { twinRows } from './twins.ts'
import { webhook } from './webhook.ts'

const rows: readonly Row[] = [...kills, ...inside, ...sharedKeys, ...brokers, ...database, ...twinRows, ...disk, ...damages, ...streams, ...network, ...load, ...webhook, ...security, ...dataRows]

interface Asked extends How { readonly rows: readonly Row[], readonly jobs: number, readonly json: boolean, readonly save: boolean }

const asked = read()
if (asked !== undefined) await (process.send === undefined ? run : serve)(asked)

function read (): Asked | undefined {
  try {
    const text = (preset: string) => ({ type: 'string', default: preset }) as const, flag = { type: 'boolean', default: false } as const
    const { values } = parseArgs({ options: { tier: text('commit'), row: text(''), alone: text(''), seed: text('1'), rounds: text(''), stretch: text('1'), jobs: text('1'), json: flag, save: flag } })
    const whole = (name: string, given: string, least: number, most: number): number => {
      if (!/^\d+$/.test(given) || Number(given) < least || Number(given) > most) throw new Error(`--${name} is a whole number from ${least} to ${most}, not ${given}`)
      return Number(given)
    }
    const tier = tiers.find(t => t === values.tier)
    if (tier === undefined) throw new Error(`--tier is one of ${tiers.join(', ')}, not ${values.tier}`)
    if (!['', 'yes', 'no'].includes(values.alone)) throw new Error(`--alone is yes or no, not ${values.alone}`)
    const ids = values.row === '' ? rows.filter(row => row.tiers[tier] !== undefined && values.alone !== (row.alone ? 'no' : 'yes')).map(row => row.id) : values.row.split(',')
    const chosen = ids.map(id => {
      const row = rows.find(r => r.id === id)
      if (row === undefined) throw new Error(`there is no row "${id}"; there are: ${rows.map(r => r.id).join(', ')}`)
      return row
    })
    return {
      tier, rows: chosen, seed: whole('seed', values.seed, 0, 2 ** 31 - 1), rounds: values.rounds === '' ? undefined : whole('rounds', values.rounds, 1, 100_000),
      stretch: whole('stretch', values.stretch, 1, 20), jobs: whole('jobs', values.jobs, 1, 8), json: values.json, save: values.save
    }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    process.exitCode = 2
    return undefined
  }
}

/** `jobs` rows at a time, then those that run alone, with what is left if lanes have ended before their time. */
async function run (asked: Asked): Promise<void> {
  const { rows, jobs, json, save } = asked, here = new Lane(asked), lines: Line[] = []
  const say = (line: Line): void => {
    lines.push(line)
    process.stdout.write(json ? `${JSON.stringify(line)}\n` : shown(line))
    if (line.verdict === 'fail' || line.verdict === 'skipped' && process.env.CI === 'true') process.exitCode = 1
  }
  const waiting = jobs === 1 ? [] : rows.filter(row => !row.alone), after = rows.filter(row => !waiting.includes(row))
  try {
    await Promise.all(Array.from({ length: Math.min(jobs, waiting.length) }, async () => {
      const lane = fork(fileURLToPath(import.meta.url), process.argv.slice(2)), ended = once(lane, 'exit')
      const interrupt = () => { lane.kill('SIGTERM') }
      here.signal.addEventListener('abort', interrupt)
      for (let row; lane.connected && !here.signal.aborted && (row = waiting.shift()) !== undefined;) {
        lane.send(row.id)
        const [line] = await Promise.race([once(lane, 'message'), ended]) as [Line | number | null]
        say(typeof line === 'object' && line !== null ? line : { ...here.head(row), verdict: 'fail', wrong: [`its process ended with ${line ?? lane.signalCode}`] })
      }
      if (lane.connected) lane.disconnect()
      await ended
      here.signal.removeEventListener('abort', interrupt)
    }))
    for (const row of [...waiting, ...after]) if (!here.signal.aborted) say(await here.run(row))
  } finally { await here.close() }
  if (save) keep('faults', 'faults', lines)
}

/** A lane in a process of its own, with a server of its own: what a row does to them is not seen by others. Runs what it is told until it is told no more. */
async function serve (asked: Asked): Promise<void> {
  const lane = new Lane(asked)
  try {
    for await (const [id] of on(process, 'message', { close: ['disconnect'] })) process.send!(await lane.run(rows.find(row => row.id === id)!))
  } finally { await lane.close() }
}

function shown ({ row, name, verdict, wrong, ...figures }: Line): string {
  const text = Object.entries(figures).filter(([key]) => key !== 'tier' && key !== 'commit').map(([key, value]) => `${key} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`).join(', ')
  return `${verdict.padEnd(8)} ${(row as string).padEnd(5)} ${name as string}\n${wrong === undefined ? '' : `         ${(wrong as readonly string[]).join('; ')}\n`}         ${text}\n`
}
