import { noCounts } from '#engine'
import { kinds } from '../../engine/wal-segment.ts'
import type { Window } from './database.ts'
import { contentOf, work } from './oracle.ts'
import type { Life } from './simulate.ts'
import { Violation } from './world.ts'

/** Holds that the store, the follower and the receiver have what the log says, and the log what was acknowledged. Throws when not. */
export function checkAll ({ ledger, database, sent, follower, receipts, scenario }: Life): void {
  const entries = ledger.entries()
  const messages = entries.filter(e => e.kind === kinds.message)
  const times = new Map<string, number>()
  for (const { topic, body } of messages) times.set(`${topic} ${body}`, (times.get(`${topic} ${body}`) ?? 0) + 1)
  const mayRepeat = scenario.faults.some(f => f.kind === 'session')
  for (const { id, topic, payload, acked, lost } of sent) {
    const found = times.get(`${topic} ${payload}`) ?? 0
    if (acked && found === 0) fail(`message ${id} was acknowledged, and is not in the log`)
    if (!acked && !lost) fail(`message ${id} was never acknowledged`)
    if (found > 1 && !mayRepeat) fail(`message ${id} is in the log ${found} times`)
  }
  const last = messages.at(-1)?.position ?? 0
  if ((database.position ?? 0) < last) fail(`the store stands at ${database.position}, the last message is ${last}`)
  const truth = work(entries.filter(e => e.position <= database.position!), scenario.dedupe)
  same('row', truth.rows, database.rows, (a, b) => Object.is(a.value, b.value) && Object.is(a.ewma, b.ewma))
  same('window', truth.windows, database.windows, sameWindow)
  same('dead letter', truth.dead, database.dead, (a, b) => a === b)
  same('late row', bag(truth.late), bag(database.late), (a, b) => a === b)
  same('alert', truth.alerts, new Map([...database.alerts].map(([id, event]) => [id, contentOf(event)])), (a, b) => a === b)
  same('row of the follower', new Map([...truth.rows].map(([key, { value, ewma }]) => [key, `${value} ${ewma}`])), follower.rows, (a, b) => a === b)
  same('alert sent', truth.alerts, receipts.sent, (a, b) => a === b)
  const { received, filtered, deduplicated, dead_lettered, aggregated, final } = truth
  counts('', { ...noCounts(), received, filtered, deduplicated, dead_lettered, written: truth.rows.size }, database.counts[''])
  counts('windows', { ...noCounts(), received: truth.rows.size, aggregated, late: truth.late.length, rows: final }, database.counts.windows)
}

function same<A, B> (what: string, expected: ReadonlyMap<string, A>, found: ReadonlyMap<string, B>, equal: (a: A, b: B) => boolean): void {
  for (const [key, a] of expected) {
    const b = found.get(key)
    if (b === undefined) fail(`the ${what} ${key} is missing: ${JSON.stringify(a)}`)
    if (!equal(a, b!)) fail(`the ${what} ${key} is ${JSON.stringify(b)}, it must be ${JSON.stringify(a)}`)
  }
  for (const key of found.keys()) if (!expected.has(key)) fail(`the ${what} ${key} must not be there`)
}

function counts (branch: string, expected: ReturnType<typeof noCounts>, found = noCounts()): void {
  for (const key of Object.keys(expected) as (keyof typeof expected)[]) if (expected[key] !== found[key]) fail(`${key} of "${branch}" is ${found[key]}, it must be ${expected[key]}`)
}

const sameWindow = (a: Window, b: Window): boolean => a.revision === b.revision && a.provisional === b.provisional && a.values.every((x, i) => Math.abs(x - b.values[i]) <= 1e-9 * Math.abs(x))
const bag = (of: readonly string[]): Map<string, number> => { const n = new Map<string, number>(); for (const s of of) n.set(s, (n.get(s) ?? 0) + 1); return n }
function fail (what: string): never { throw new Violation(what) }
