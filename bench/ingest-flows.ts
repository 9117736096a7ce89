/** The flows of `ingest` and what must come out of each: worked out from the numbers of the readings, not from what the engine says. */
import { deviceOf, HIGH, isHigh, METRICS, SERIES, STEP, timeOf, valueOf } from './messages.ts'
import { mustEqual, mustLie } from './measure.ts'
import { EVERY, STEPS } from './pred.ts'
import { query } from './services.ts'

/** PASS: rows only. STATS: validate, dedupe, windows of 10 s with 8 features, an alert. PRED: the same with `anomaly` and `ewma`. FEATURES: windows only. */
export const flows = ['PASS', 'STATS', 'PRED', 'FEATURES'] as const
export type Flow = typeof flows[number]
export const TABLE = 'readings', WINDOWS = 'features'
const EVERY_US = EVERY * 1000, LATENESS = 2_000_000      // us
/** Columns that PRED adds to a row, those that have a value and those that have none before an hour has been seen twice. */
export const ADDED = { filled: 8, empty: 1 } as const

/** `name`: of the pipeline, and first level of its topics. */
export function pipelineOf (flow: Flow, name: string, url: string, qos: 0 | 1): object {
  const checks = [{ validate: STEPS.validate }, { dedupe: STEPS.dedupe }]
  const windows = { windows: { pipe: [{ tumbling: STEPS.tumbling }], to: [{ postgres: { table: WINDOWS } }] } }
  const high = { high: { when: { value: { above: HIGH } }, to: ['stdout'] } }
  return {
    name, from: { mqtt: { url, qos, topic: `${name}/{device}/{metric}` } }, time: { lateness: `${LATENESS / 1e6}s`, ahead: '1h', idle: '1h' },
    ...flow === 'PASS' ? {} : { branches: windows },
    ...flow === 'STATS' || flow === 'PRED' ? { pipe: flow === 'STATS' ? checks : [...checks, { anomaly: STEPS.anomaly }, { ewma: STEPS.ewma }], alerts: high } : {},
    ...flow === 'FEATURES' ? { pipe: checks } : { to: [{ postgres: { table: TABLE } }] }
  }
}

/** Where a contestant has its rows and windows, with the names of their series: FROM clauses. */
export interface Tables { readonly rows: string, readonly windows: string }
const own: Tables = { rows: `${TABLE} JOIN series_named USING (series)`, windows: `${WINDOWS} JOIN series_named USING (series)` }

export interface Outcome { readonly lost: number, readonly duplicated: number }
interface Row { readonly s: number, readonly us: number, readonly value: number, readonly ewma?: number, readonly p?: number | null }
interface Window { readonly s: number, readonly us: number, readonly count: number, readonly mean: number }

const named = `substr(device, 8)::int * ${METRICS} + substr(metric, 8)::int AS s`, us = '(extract(epoch FROM time) * 1000000)::float8 AS us'

/** Every row, window and alert of a flow that was given the readings 0 to `count`; throws when one is wrong. */
export async function check (flow: Flow, database: string, start: number, count: number, tables = own): Promise<Outcome> {
  const windows: Window[] = flow === 'PASS' ? [] : await query(database, `SELECT ${named}, ${us}, count, mean FROM ${tables.windows}`)
  if (flow === 'FEATURES') return checkWindows(windows, start, Array.from({ length: count }, (_, n) => n), count)
  const rows: Row[] = await query(database, `SELECT ${named}, ${us}, value${flow === 'PRED' ? ', ewma, anomaly_p AS p' : ''} FROM ${tables.rows}`)
  const { seen, ...outcome } = checkRows(flow, rows, start, count)
  if (flow === 'PRED') checkScores(rows, start)
  if (flow !== 'PASS') {
    const { lost } = checkWindows(windows, start, seen, count)
    mustEqual(`readings missing in the windows of ${flow}`, lost, 0)
    const after = new Set(seen), firing = seen.filter(isHigh)
    const found: { state: string, n: number }[] = await query(database, 'SELECT state, count(*)::int AS n FROM alerts GROUP BY state')
    const of = (state: string) => found.find(row => row.state === state)?.n ?? 0
    mustEqual(`alerts of ${flow}`, of('firing'), firing.length)
    if (outcome.lost === 0) mustEqual(`ends of alerts of ${flow}`, of('resolved'), firing.filter(n => after.has(n + SERIES)).length)
  }
  return outcome
}

/** Rows of a table without names: series are numbered by appearance, from 1. */
export async function checkFloor (database: string, start: number, count: number): Promise<Outcome> {
  const rows: Row[] = await query(database, `SELECT series - 1 AS s, ${us}, value FROM floor`)
  const { lost, duplicated } = checkRows('floor', rows, start, count)
  return { lost, duplicated }
}

const numberOf = ({ s, us }: Row, start: number): number => (us - timeOf(start, s)) / STEP + s

function checkRows (who: string, rows: readonly Row[], start: number, count: number): Outcome & { readonly seen: number[] } {
  const seen = new Set<number>()
  for (const row of rows) {
    const n = numberOf(row, start)
    if (!Number.isInteger(n) || n < 0 || n >= count || n % SERIES !== row.s) throw new Error(`the answer is wrong: ${who} has a row of series ${row.s} at ${row.us} us, and there was no such reading`)
    mustEqual(`the value of reading ${n} of ${who}`, row.value, valueOf(n))
    seen.add(n)
  }
  return { lost: count - seen.size, duplicated: rows.length - seen.size, seen: [...seen] }
}

function checkScores (rows: readonly Row[], start: number): void {
  const mean = new Float64Array(SERIES).fill(NaN), learned = new Int32Array(SERIES), scores: number[] = []
  for (const row of rows.toSorted((a, b) => a.us - b.us)) {
    const { s, value } = row
    mean[s] = Number.isNaN(mean[s]) ? value : mean[s] + STEPS.ewma.alpha * (value - mean[s])
    mustEqual(`ewma of reading ${numberOf(row, start)}`, row.ewma!, mean[s], 1e-12)
    if (learned[s]++ >= STEPS.anomaly.samples) scores.push(row.p ?? NaN)
    else if (row.p !== null) throw new Error(`the answer is wrong: series ${s} has a p-value after ${learned[s] - 1} readings`)
  }
  mustLie('p-values', scores, scores.length, 0, 1)
}

/** The windows that the devices' own time has closed, from the readings that came. */
function checkWindows (windows: readonly Window[], start: number, readings: readonly number[], count: number): Outcome {
  const reached = new Map<number, number>(), expected = new Map<string, { count: number, sum: number, end: number, device: number }>()
  for (const n of readings) {
    const time = timeOf(start, n), device = deviceOf(n), begin = Math.floor(time / EVERY_US) * EVERY_US, key = `${n % SERIES} ${begin}`
    reached.set(device, Math.max(reached.get(device) ?? 0, time))
    const window = expected.get(key) ?? { count: 0, sum: 0, end: begin + EVERY_US, device }
    window.count++
    window.sum += valueOf(n)
    expected.set(key, window)
  }
  for (const [key, { end, device }] of expected) if (reached.get(device)! - LATENESS < end) expected.delete(key)
  mustEqual('the number of windows', windows.length, expected.size)
  let lost = 0, duplicated = 0
  for (const { s, us, count, mean } of windows) {
    const window = expected.get(`${s} ${us}`)
    if (window === undefined) throw new Error(`the answer is wrong: there is a window of series ${s} at ${us} us, and none was closed`)
    lost += Math.max(0, window.count - count)
    duplicated += Math.max(0, count - window.count)
    if (count === window.count) mustEqual(`the mean of series ${s} at ${us} us`, mean, window.sum / count, 1e-9)
  }
  if (count > 4 * SERIES * EVERY_US / STEP / SERIES && windows.length === 0) throw new Error('the answer is wrong: no window was closed')
  return { lost, duplicated }
}
