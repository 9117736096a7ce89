import { join, resolve } from 'node:path'
import { key, normal } from '../models/random.ts'
import { change, drift } from '../operators/index.ts'
import { Batch, SeriesTable, type Operator } from '#engine'
import { BATCH, columnsOf, type Series } from './drive.ts'
import { alternate, atLeast, atMost, missed, mustEqual, round, spread, type Benchmark, type Figures, type Options } from './measure.ts'
import { delaysIn, golden, matched, rivers, runLengthIn } from './river.ts'
import { files, foldersOf, readChanges, readSeries, writeChanges, writeSeries } from './series-files.ts'

const RUNS = 1000, SIZES = [100, 200, 500, 1000, 2000], RUN_LENGTH = 10_000, LEARNED = 1000, LATEST = 1000, TURN = 32
const methods = ['cusum', 'page_hinkley', 'adwin', 'kswin'] as const

/** Values with variance 1 and without any drift: number i of the process with this key. */
type Process = (key: number) => (i: number) => number
export const processes: Readonly<Record<string, Process>> = {
  iid: k => i => normal(k, i),
  'ar(0.9)': k => { let x = normal(k, 0); return i => x = 0.9 * x + Math.sqrt(1 - 0.81) * normal(k, i + 1) },
  heavy: k => i => normal(k, 4 * i) / Math.hypot(normal(k, 4 * i + 1), normal(k, 4 * i + 2), normal(k, 4 * i + 3))      // Student's t(3) over the root of 3
}

const seriesOf = (count: number, length: (run: number) => number, value: (run: number) => (i: number) => number): Series[] => Array.from({ length: count }, (_, run) => {
  const next = value(run)
  return { name: `${run}`, time: Float64Array.from({ length: length(run) }, (_, i) => i * 1000), value: Float64Array.from({ length: length(run) }, (_, i) => next(i)) }
})

/** Runs of 3 n readings, with a shift in the last n or none. */
export const runsOf = (process: Process, n: number, runs: number, seed: number, shift = 0): Run[] =>
  seriesOf(runs, () => 3 * n, run => { const next = process(key(seed, n, run)); return i => next(i) + (i >= 2 * n ? shift : 0) }).map((series, run) => ({ ...series, name: `${n}-${run}`, from: shift === 0 ? 0 : 2 * n }))

/** A series, and the reading from which on drift is looked for: that of a change, or 0. */
interface Run extends Series { readonly from: number }

/** The share of runs in which drift is found from there on, to n readings behind a change, among those in which none was found before. */
export function found (all: readonly Run[], n: number): number {
  let alarms = 0, counted = 0
  columnsOf(drift({ reference: n, current: n }), all).forEach(({ drift: column }, run) => {
    const { from } = all[run], at = column.subarray(0, from === 0 ? 3 * n : from + n).indexOf(1)
    if (at >= 0 && at < from) return
    counted++
    if (at >= 0) alarms++
  })
  return alarms / counted
}

/** Normal numbers without a change, in series of up to a million. */
export function * steady (readings: number, seed: number): Generator<Series> {
  const each = Math.min(readings, 1_000_000), count = Math.ceil(readings / each)
  for (let part = 0; part < count; part++) yield { ...seriesOf(1, () => each, () => { const k = key(seed, part); return i => normal(k, i) })[0], name: `${part}` }
}

/** Readings without a change, but those that are learned from, over changes that are found all the same. */
export function runLengthOf (step: ReturnType<typeof change>, all: Iterable<Series>): number {
  let changes = 0, readings = 0
  for (const series of all) for (const x of columnsOf(step, [series])[0].change) {
    if (x === 1) changes++
    if (x === x) readings++
  }
  return readings / changes
}

/** Normal numbers with a shift behind a thousand or a few more. */
export const shifted = (shift: number, runs: number, seed: number): Run[] => {
  const at = (run: number) => LEARNED + run % TURN
  return seriesOf(runs, run => at(run) + LATEST, run => { const k = key(seed, run); return i => normal(k, i) + (i >= at(run) ? shift : 0) }).map((series, run) => ({ ...series, from: at(run) }))
}

/** Readings from a shift to its finding, Infinity when it is not found, in runs without a false change before it. */
export function delaysOf (step: ReturnType<typeof change>, all: readonly Run[]): number[] {
  return columnsOf(step, all).flatMap(({ change }, run) => {
    const first = change.indexOf(1), { from } = all[run]
    return first < 0 ? [Infinity] : first < from ? [] : [first - from + 1]
  })
}

/** Runs of a folder, with the change that changes.csv has of them. A run without one is left out. */
function readRuns (folder: string): Run[] {
  const changes = readChanges(folder)
  return readSeries(folder).flatMap(series => {
    const at = changes.get(series.name)
    return at === undefined ? [] : [{ ...series, from: Array.from(series.time).findIndex(time => time >= at) }]
  }).filter(run => run.from > 0)
}

function writeRuns (folder: string, runs: readonly Run[]): void {
  writeSeries(folder, runs)
  if (runs.some(run => run.from > 0)) writeChanges(folder, runs.map(run => [run.name, run.time[run.from]]))
}

/** Runs by the largest n that they are long enough for. */
const bySize = (all: readonly Run[], most: (run: Run) => number): Map<number, Run[]> => new Map(SIZES.map(n => [n, all.filter(run => SIZES.findLast(size => size <= most(run)) === n)] as const).filter(([, runs]) => runs.length > 0))

/** What is measured on: from seeds, or in the folders of one. */
interface Cases {
  readonly stable: Iterable<readonly [name: string, readonly Run[]]>       // of whose readings none is a drift
  readonly drifted: Iterable<readonly [name: string, readonly Run[]]>      // with a drift at a known time
  readonly steady: () => Iterable<Series>
  readonly shifted: readonly Run[]
}

function * made (processes: Readonly<Record<string, Process>>, runs: number, seed: number, sizes: readonly number[], shift: number): Generator<readonly [string, Run[]]> {
  for (const [name, process] of Object.entries(processes)) for (const n of sizes) yield [shift === 0 ? name : `${shift} sd, ${name}`, runsOf(process, n, runs, seed, shift)]
}
const read = (folder: string, runs: (folder: string) => Run[]) => foldersOf(folder).map(name => [name, runs(join(folder, name))] as const)

function casesOf ({ data, ...options }: Options): Cases {
  const [seed, runs, readings] = [options.seed, options.runs, options.readings].map(Number), folder = resolve(data)
  let all: Series[] | undefined
  return data === '' ? {
    stable: made(processes, runs, key(seed, 1), SIZES, 0), drifted: made(processes, runs, key(seed, 3), [500, 2000], 0.5), steady: () => all ??= [...steady(readings, key(seed, 4))], shifted: shifted(1, runs, key(seed, 5))
  } : {
    stable: read(join(folder, 'stable'), of => readSeries(of).map(series => ({ ...series, from: 0 }))), drifted: read(join(folder, 'drifted'), readRuns), steady: () => all ??= readSeries(join(folder, 'steady')), shifted: readRuns(join(folder, 'shifted'))
  }
}

const mean = (of: readonly number[]) => of.reduce((a, b) => a + b, 0) / of.length

/** Run length and mean delay of river's detectors on the same readings, each at the parameter that comes nearest to the run length. */
function riverOf ({ steady, shifted }: Cases): ReadonlyMap<string, { readonly length: number, readonly delay: number }> {
  return new Map(golden().detectors.map(({ detector: name, parameter }) => {
    const make = rivers[name], at = matched(p => runLengthIn(make(p), steady()), RUN_LENGTH, parameter, name !== 'adwin')
    return [name, { length: at.length, delay: mean(delaysIn(make(at.parameter), shifted).filter(Number.isFinite)) }]
  }))
}

/** Time and memory over 1,000 series that come in turn, learning included. */
const SERIES = 1000, EACH = 2000, ROUNDS = 5, BYTES = 8
function costs (): Figures[] {
  const k = key(1), count = SERIES * EACH
  const batches = Array.from({ length: Math.ceil(count / BATCH) }, (_, b) => {
    const at = Float64Array.from({ length: Math.min(BATCH, count - b * BATCH) }, (_, i) => b * BATCH + i)
    return new Batch({ time: at.map(i => Math.floor(i / SERIES) * 1000), series: Int32Array.from(at, i => i % SERIES), value: at.map(i => normal(k, i)) })
  })
  const steps: Record<string, { readonly step: Operator, readonly learned: string, readonly all: number }> = {
    drift: { step: drift({ reference: 1000, current: 500 }), learned: 'drift_learned', all: 1500 },
    ...Object.fromEntries(methods.map(method => [method, { step: change({ method, runLength: 1_000_000 }), learned: 'change_learned', all: 100 }]))
  }
  const taken = alternate(ROUNDS, Object.fromEntries(Object.entries(steps).map(([name, { step, learned, all }]) => [name, () => {
    const stage = step.open({ series: tableOf(SERIES), late () {}, aggregated () {} })
    let done = 0
    for (const batch of batches) for (const x of (stage.process(batch).columns as Record<string, Float64Array>)[learned]) if (x === all) done++
    if (!(done > 0.98 * SERIES * (EACH - all) && done <= SERIES * (EACH - all))) mustEqual(`readings of ${name} that were not learning`, done, SERIES * (EACH - all), 0.02)
  }])))
  return Object.entries(steps).map(([name, { step }]) => {
    const { median, low, high } = spread(taken[name].map(ns => ns / count))
    const stage = step.open({ series: tableOf(1), late () {}, aggregated () {} }), { series } = stage.save()
    const bytes = Object.values(series).reduce((sum: number, cells) => sum + (cells instanceof Float64Array ? cells.length * BYTES : 0), 0)
    return { case: `cost of ${name}`, ns_per_reading: round(median), bytes_per_series: bytes, ns_per_reading_spread: [round(low), round(high)] }
  })
}
function tableOf (count: number): SeriesTable {
  const table = new SeriesTable(count)
  for (let s = 0; s < count; s++) table.id('bench', `${s}`, 'value')
  return table
}

export const driftBench: Benchmark = {
  summary: 'drift and change: false alarms, what is found, delay beside that of river at the same average run length of 10,000, cost',
  unit: 'case',
  options: {
    seed: { type: 'string', default: '1' },
    runs: { type: 'string', default: `${RUNS}` },           // of each case
    readings: { type: 'string', default: '4000000' },    // that an average run length is taken over
    ...files                                             // folders stable and drifted with one of series for each case, steady and shifted; changes.csv beside what has a change
  },
  check ({ seed, runs, readings }) {
    for (const [name, text] of Object.entries({ seed, runs, readings })) if (!/^\d+$/.test(text)) throw new Error(`--${name} ${text}: must be a whole number`)
    if (Number(readings) < 40 * RUN_LENGTH) throw new Error(`--readings ${readings}: an average run length of ${RUN_LENGTH} takes at least ${40 * RUN_LENGTH}`)
  },
  async run (say, options) {
    const seed = Number(options.seed), given = options.data !== '', cases = casesOf(options), write = (...path: string[]) => options.write === '' ? undefined : join(resolve(options.write), ...path), out: Figures[] = []
    const keep = (folder: string | undefined, runs: readonly Run[]) => { if (folder !== undefined) writeRuns(folder, runs) }
    say('false alarms: in the 2 n readings behind a reference of n, as a window of n slides over them')
    for (const [name, all] of cases.stable) {
      keep(write('stable', name), all)
      for (const [n, runs] of bySize(all, run => run.time.length / 3)) {
        out.push({ case: name, n, false_alarm_rate: round(found(runs, n)), runs: runs.length })
        say(JSON.stringify(out.at(-1)))
        if (!given && name !== 'ar(0.9)' && found(runsOf(processes[name], n, 20, key(seed, 2), 30), n) < 1) throw new Error(`the answer is wrong: a shift of 30 sd is not found (${name}, ${n})`)
      }
    }
    for (const [name, all] of cases.drifted) {
      keep(write('drifted', name), all)
      for (const [n, runs] of bySize(all, run => Math.min(run.from / 2, run.time.length - run.from))) out.push({ case: name, n, found: round(found(runs, n)), runs: runs.length })
    }
    const shifts = cases.shifted, folder = write('steady')
    keep(write('shifted'), shifts)
    if (folder !== undefined) writeSeries(folder, cases.steady())
    say(`delay on a shift${given ? '' : ` of 1 sd behind ${LEARNED} readings`}, of each at what gives a run length of ${RUN_LENGTH} on the same readings; river is ${golden().version}`)
    const river = riverOf(cases), best = river.get('adwin')!.delay < river.get('page_hinkley')!.delay ? 'adwin' : 'page_hinkley'
    for (const [name, { length, delay }] of river) say(`river's ${name}: ${round(delay)} at ${round(length)}`)
    for (const method of methods) {
      const stepOf = (runLength: number) => change({ method, runLength: Math.round(runLength) }), lengthOf = (runLength: number) => runLengthOf(stepOf(runLength), cases.steady()), asked = lengthOf(RUN_LENGTH)
      const at = matched(runLength => runLength === RUN_LENGTH ? asked : lengthOf(runLength), RUN_LENGTH, RUN_LENGTH, true), of = river.get(method) ?? river.get(best)!
      const delays = delaysOf(stepOf(at.parameter), shifts).sort((a, b) => a - b), met = delays.filter(Number.isFinite), share = met.length / delays.length
      if (!given) mustEqual(`the average run length of ${method}`, asked, RUN_LENGTH, 0.4)
      if (!given && method !== 'kswin') mustEqual(`the share of shifts that ${method} finds within ${LATEST} readings`, share, 1, 0.01)
      out.push({ case: method, average_run_length: round(at.length), delay: round(mean(met)), found: round(share), river_delay: round(of.delay), river_average_run_length: round(of.length), delay_p95: met[Math.floor(0.95 * met.length)], run_length: Math.round(at.parameter), average_run_length_asked_10000: round(asked) })
      say(JSON.stringify(out.at(-1)))
    }
    return given || options.write !== '' ? out : [...out, ...costs()]
  },
  fault (figures, { data, runs } = {}) {
    const name = figures.case as string, asked = askedOf(figures)
    const wrong = data !== '' || Number(runs) < RUNS || asked === undefined ? undefined : missed(figures, asked)
    return wrong === undefined ? undefined : `${name}${figures.n === undefined ? '' : `, n = ${Number(figures.n)}`}: ${wrong}`
  }
}

/** What was asked for in such a case, if anything. */
function askedOf ({ case: name, n, river_delay: river }: Figures): Parameters<typeof missed>[1] | undefined {
  switch (name) {
    case 'iid': case 'ar(0.9)': return { false_alarm_rate: atMost(0.01) }
    case '0.5 sd, iid': return n === 500 ? { found: atLeast(0.9) } : undefined
    case 'adwin': case 'page_hinkley': return { delay: atMost(Number(river)) }
    default: return undefined
  }
}
