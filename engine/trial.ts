/**
 * Tests of a pipeline in virtual time: no clock, no database, no network. `given` is a text, a line per reading in the
 * order of arrival:
 *
 *   00:00:00      boiler-1/temp        80               time device/metric value; times are of one day, UTC
 *   00:00:01.500  north/boiler-1/temp  900              tenant/device/metric
 *   00:00:00      boiler-1/temp        80               older than the line above: out of order, or late
 *   00:00:02      boiler-1/temp        80  @00:00:09    arrives at 9 s; without @ a reading arrives when it is dated,
 *                                                       or with the line above when that is later
 *   00:00:10      boiler-1/temp        -                no value; true and false are 1 and 0
 *   00:00:11      boiler-1/temp        80  site=north   tags of the device
 *   00:10:00      tick                                  nothing arrives until then: devices go silent
 *   end                                                 the source ends: every window closes
 *
 * Hours may go beyond 23; a full time such as 2024-05-01T12:00:00Z is good everywhere. # begins a comment.
 * `expect` names alerts with their transitions, `rows` by branch (or table, or `trunk`), and how many readings were
 * late, deduplicated, filtered and dead_lettered. Lists are complete and in order; of an entry only what it names (time,
 * series, tenant, device, metric, value, columns, state, ...) is compared, numbers within `tolerance` (relative, and absolute below 1).
 */
import { Credits } from './credits.ts'
import { MillraceError } from './errors.ts'
import { openFlow } from './flow.ts'
import type { Outputs } from './outputs.ts'
import { Intake } from './intake.ts'
import { readOptions, show, suggest, Type } from './options.ts'
import type { Pipeline, Route } from './pipeline.ts'
import type { Finding, Path } from './report.ts'
import { SeriesTable, type SeriesName } from './series.ts'
import type { SinkSpec } from './sink.ts'
import type { Batch } from './batch.ts'
import { addCounts, noCounts } from './tally.ts'
import { compare, type Difference, type Entry } from './trial/compare.ts'
import { clockTime, DEFAULT_TENANT, parseGiven, type Line } from './trial/given.ts'
export type { Difference } from './trial/compare.ts'

/** What a test may expect a number of. */
export const COUNTED: readonly string[] = ['late', 'deduplicated', 'filtered', 'dead_lettered']

const TestSchema = Type.Object({
  name: Type.String({ description: 'What the test says, as a sentence.', minLength: 1 }),
  given: Type.String({ description: 'The readings, a line each: 00:00:00 device/metric 80.' }),
  expect: Type.Record(Type.String(), Type.Unknown(), { description: 'Alerts with their transitions, rows, late, deduplicated, filtered, dead_lettered.' }),
  tolerance: Type.Number({ description: 'How far a number may be off, relative, and absolute below 1.', minimum: 0, default: 1e-6 })
})
interface Trial { readonly name: string, readonly given: string, readonly expect: Readonly<Record<string, unknown>>, readonly tolerance: number }

export interface TrialResult { readonly name: string, readonly ok: boolean, readonly differences: readonly Difference[] }

/** What is wrong with tests as they are written. */
export function checkTests (tests: readonly unknown[], alerts: readonly string[], routes: readonly string[]): Finding[] {
  return tests.flatMap((test, i) => {
    const findings: Finding[] = []
    const add = (path: Path, message: string, more: Partial<Finding> = {}) => { findings.push({ code: 'config/test', level: 'error', path: ['tests', i, ...path], message, ...more }) }
    if (!isMap(test)) { add([], `a test is a map of ${Object.keys(TestSchema.properties).join(', ')}, got ${show(test)}`); return findings }
    const { problems } = readOptions(`tests[${i}]`, TestSchema, test)
    for (const p of problems) add(p.path, p.message, { code: p.code, help: p.help, ...p.key ? { key: true } : {} })
    if (typeof test.given === 'string') for (const { row, message, help } of parseGiven(test.given).problems) add(['given'], message, { row, help })
    if (!isMap(test.expect)) return findings
    for (const [key, expected] of Object.entries(test.expect)) {
      if (COUNTED.includes(key)) {
        if (!Number.isInteger(expected)) add(['expect', key], `${key} must be a whole number, got ${show(expected)}`)
      } else if (key === 'rows') {
        if (!isMap(expected)) add(['expect', key], `rows must be a map of branches, got ${show(expected)}`, { help: `there are: ${routes.join(', ')}` })
        else for (const [name, rows] of Object.entries(expected)) {
          if (routes.includes(name)) checkEntries(rows, ['expect', key, name], add)
          else add(['expect', key, name], `there is no branch or table "${name}"`, { key: true, help: suggest(name, routes) })
        }
      } else if (alerts.includes(key)) checkEntries(expected, ['expect', key], add)
      else add(['expect', key], `there is no alert "${key}"`, { key: true, help: suggest(key, [...alerts, 'rows', ...COUNTED]) })
    }
    return findings
  })
}

function checkEntries (entries: unknown, path: Path, add: (path: Path, message: string, more?: Partial<Finding>) => void): void {
  if (!Array.isArray(entries)) return add(path, `${path.at(-1)} must be a list, got ${show(entries)}`, { help: 'an empty list expects nothing' })
  entries.forEach((entry, i) => {
    if (!isMap(entry)) return add([...path, i], `an expected row is a map, got ${show(entry)}`, { help: '{ time: 00:00:31, series: boiler-1/temp, ... }' })
    for (const key of ['time', 'since']) if (entry[key] !== undefined && Number.isNaN(clockTime(String(entry[key])))) add([...path, i, key], `${show(entry[key])} is not a time`, { help: 'write 00:00:31, or 2024-05-01T12:00:31Z' })
  })
}

/** Runs the tests of a pipeline that has no errors. */
export const runTests = (pipeline: Pipeline): TrialResult[] => pipeline.tests.map(test => {
  const trial = readOptions('test', TestSchema, test).values as Trial
  const happened = play(pipeline, parseGiven(trial.given).lines)
  const differences = Object.entries(trial.expect).flatMap(([key, expected]) => {
    if (COUNTED.includes(key)) return compare(key, expected, happened.counts[key], trial.tolerance)
    if (key !== 'rows') return compare(key, expected, happened.alerts.get(key) ?? [], trial.tolerance)
    return Object.entries(expected as Record<string, unknown>).flatMap(([name, rows]) => compare(`rows.${name}`, rows, happened.rows.get(routeOf(pipeline, name)) ?? [], trial.tolerance))
  })
  return { name: trial.name, ok: differences.length === 0, differences }
})

export interface Happened { readonly rows: ReadonlyMap<string, readonly Entry[]>, readonly alerts: ReadonlyMap<string, readonly Entry[]>, readonly late: readonly Entry[], readonly counts: Readonly<Record<string, number>> }

/** What comes out of a pipeline that is given some lines: rows by branch ('' is the trunk), transitions by alert. */
export function play (pipeline: Pipeline, lines: readonly Line[]): Happened {
  const playing = steps(pipeline, lines)
  for (;;) {
    const { done, value } = playing.next()
    if (done === true) return value
  }
}

/** The same, for as long as `most` ms of work and with pauses in which others have their turn. @throws api/too-long */
export async function playWithin (pipeline: Pipeline, lines: readonly Line[], most: number): Promise<Happened> {
  const playing = steps(pipeline, lines)
  for (let spent = 0; spent < most;) {
    const started = performance.now()
    while (performance.now() - started < SLICE) {
      const { done, value } = playing.next()
      if (done === true) return value
    }
    spent += performance.now() - started
    await new Promise(resolve => { setImmediate(resolve) })
  }
  throw new MillraceError('api/too-long', `the pipeline was not done with these readings after ${most / 1000} s of work`, { help: 'send fewer of them' })
}
const SLICE = 10                     // ms
const AT_ONCE = 256                  // lines at the most

/** Pauses after lines that arrive at once, and after each tick. */
function* steps (pipeline: Pipeline, lines: readonly Line[]): Generator<void, Happened> {
  const series = new SeriesTable(Math.min(1000, lines.length + (pipeline.devices?.length ?? 0) + 1))
  const flow = openFlow(probed(pipeline), series)
  const intake = new Intake(series, new Credits({ bytes: Infinity, deliveries: Infinity }), { ahead: pipeline.time.ahead, after: 0 })
  const rows = new Map<string, Entry[]>(), alerts = new Map<string, Entry[]>(), known = new Set<string>()
  const counts = noCounts()
  const late: Entry[] = []
  const take = (outputs: Outputs | undefined): void => {
    if (outputs === undefined) return
    for (const { branch, batch } of outputs.follow) push(rows, branch, [...entries(batch, series), ...batch.provisional === undefined ? [] : entries(batch.provisional, series).map(e => ({ ...e, provisional: true }))])
    for (const { event } of outputs.alerts) {
      if (known.has(event.id)) continue      // kept back as one of a backlog, and told now
      known.add(event.id)
      push(alerts, event.alert, [{ time: event.time, state: event.state, ...names(event), value: event.value, ...event.evidence, since: event.since, severity: event.severity, message: event.message }])
    }
    for (const { batch } of outputs.late) late.push(...entries(batch, series))
    for (const tally of Object.values(outputs.counts([]))) addCounts(counts, tally)
  }
  const due = [...new Set(lines.filter(line => line.kind === 'reading').flatMap(({ arrival }) => [arrival + Math.max(pipeline.time.idle, 1), arrival + pipeline.time.forget]))].sort((a, b) => a - b)
  let next = 0
  for (const [i, line] of lines.entries()) {
    while (due[next] <= line.arrival) {
      take(flow.tick(due[next++]))
      yield
    }
    if (line.kind === 'end') take(flow.end(line.arrival))
    if (line.kind !== 'reading') continue
    const device = series.device(line.tenant, line.device), after = lines[i + 1]
    series.tag(device, line.tags)
    intake.message('', new Uint8Array(0), line.arrival)
    intake.reading(series.of(device, line.metric), line.time, line.value)
    if (after?.kind === 'reading' && after.arrival === line.arrival && (i + 1) % AT_ONCE !== 0) continue
    take(flow.process(intake.take(line.arrival)))
    yield
  }
  return { rows, alerts, late, counts: { ...counts, late: late.length } }
}

/** The pipeline with one sink at the end of every route that shows its rows. */
export function probed (pipeline: Pipeline): Pipeline {
  const probe: SinkSpec = { name: 'probe', definition: { name: 'probe', summary: '', options: Type.Object({}), follow: () => ({ write: async () => {}, close: async () => {} }) }, options: {}, given: {} }
  const route = <R extends Route>(r: R): R => ({ ...r, sinks: [probe] })
  return { ...route(pipeline), branches: Object.fromEntries(Object.entries(pipeline.branches).map(([name, branch]) => [name, route(branch)])) }
}

/** The route that is called so, or that writes the table of that name. */
function routeOf (pipeline: Pipeline, name: string): string {
  if (name === 'trunk' || name in pipeline.branches) return name === 'trunk' ? '' : name
  const writes = (route: Route) => route.sinks.some(s => s.options.table === name)
  return writes(pipeline) ? '' : Object.entries(pipeline.branches).find(([, route]) => writes(route))?.[0] ?? name
}

const entries = (batch: Batch<any>, series: SeriesTable): Entry[] => {
  const columns = Object.entries<any>(batch.columns)
  return Array.from(batch.time, (time, i) => {
    const entry: Record<string, unknown> = { time, ...names(series.name(batch.series[i])), value: batch.value[i] }
    for (const [name, column] of columns) entry[name] = column[i]
    return entry as Entry
  })
}
const names = ({ tenant, device, metric }: SeriesName) => ({ series: tenant === DEFAULT_TENANT ? `${device}/${metric}` : `${tenant}/${device}/${metric}`, tenant, device, metric })
function push (map: Map<string, Entry[]>, key: string, more: readonly Entry[]): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [...more])
  else for (const entry of more) list.push(entry)
}
const isMap = (value: unknown): value is Record<string, any> => value !== null && typeof value === 'object' && !Array.isArray(value)
