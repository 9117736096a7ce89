import { join, resolve } from 'node:path'
import { key, normal, uniform } from '../models/random.ts'
import { anomaly } from '../operators/index.ts'
import { columnsOf, type Series } from './drive.ts'
import { missed, mustEqual, mustLie, round, type Benchmark, type Figures } from './measure.ts'
import { files, foldersOf, readSeries, writeSeries, wrong } from './series-files.ts'

const LEVELS = [1e-3, 1e-4], MINUTE = 60_000, BEGIN = Date.UTC(2026, 0, 5)

/** Values without any anomaly, a reading every five minutes: number i of the process with this key. */
type Process = (key: number) => (i: number) => number
const FEW = 4
/** Processes that were asked for, when so many readings are below a level by chance. */
const ASKED: readonly string[] = ['iid', 'ar(0.9)', 'seasonal', 'heavy'], ENOUGH = 100
const processes: Readonly<Record<string, Process>> = {
  iid: k => i => normal(k, i),
  'ar(0.9)': k => { let x = 0; return i => x = 0.9 * x + normal(k, i) },
  seasonal: k => i => 10 * Math.sin(2 * Math.PI * i / 288) + 3 * (i / 288 % 7 > 5 ? 1 : 0) + normal(k, i),
  heavy: k => i => student3(k, i),
  uniform: k => i => uniform(k, i),
  lognormal: k => i => Math.exp(normal(k, i))
}

/** Student's t with 3 degrees of freedom. */
function student3 (k: number, i: number): number {
  const [z, a, b, c] = Array.from({ length: FEW }, (_, j) => normal(k, FEW * i + j))
  return z / Math.sqrt((a * a + b * b + c * c) / 3)
}

export const seriesOf = (process: Process, seed: number, count: number, length: number): Series[] => Array.from({ length: count }, (_, s) => {
  const next = process(key(seed, s))
  return { name: `${s}`, time: Float64Array.from({ length }, (_, i) => BEGIN + i * 5 * MINUTE), value: Float64Array.from({ length }, (_, i) => next(i)) }
})

/** Throws unless every reading from `from` on has a p-value, and evidence that is its or 0. A series whose first readings were a level of their own has begun anew: in one of 50 the first p-value may come up to a hundred readings later. */
export function check (columns: readonly { readonly anomaly: Float64Array, readonly anomaly_p: Float64Array }[], all: readonly Series[], from: number): void {
  mustEqual('the number of series', columns.length, all.length)
  let late = 0
  columns.forEach(({ anomaly, anomaly_p: p }, s) => {
    const first = from + p.slice(from, from + 100).findIndex(x => !Number.isNaN(x))
    if (first > from) late++
    mustLie(`p-values of series ${s}`, p.slice(first), all[s].value.length - first, 0, 1)
    for (let i = first; i < p.length; i++) if (anomaly[i] !== 0) mustEqual(`the evidence of reading ${i} of series ${s}`, anomaly[i], -Math.log10(p[i]), 1e-9)
  })
  if (late > columns.length / 50) throw new Error(`the answer is wrong: ${late} of ${columns.length} series have no p-value at reading ${from}`)
}

/** The share of readings whose p-value is at most each level, among those from `from` on; and the share of them that are news. */
export function falseAlarms (all: readonly Series[], levels: readonly number[], from: number): { readonly empirical: number, readonly news: number }[] {
  const columns = columnsOf(anomaly(), all) as unknown as Parameters<typeof check>[0]
  check(columns, all, from)
  return levels.map(level => {
    let readings = 0, below = 0, news = 0
    for (const { anomaly, anomaly_p: p } of columns) {
      for (let i = from; i < p.length; i++) {
        if (Number.isNaN(p[i])) continue
        readings++
        if (!(p[i] <= level)) continue
        below++
        if (anomaly[i] > 0) news++
      }
    }
    return { empirical: below / readings, news: news / readings }
  })
}

export const calibration: Benchmark = {
  summary: 'how often the p-value of anomaly is below 1e-3 and 1e-4 on noise without any anomaly',
  unit: 'process and level',
  options: {
    ...files,                                            // data: a folder of series without anomalies for each process
    seed: { type: 'string', default: '1' },
    series: { type: 'string', default: '10' },
    length: { type: 'string', default: '120000' },       // readings of each series
    from: { type: 'string', default: '20000' }           // the first that counts: after what the tails go back, twice
  },
  check ({ seed, series, length, from }) { for (const [name, text] of Object.entries({ seed, series, length, from })) if (!/^\d+$/.test(text)) throw new Error(`--${name} ${text}: must be a whole number`) },
  async run (say, options) {
    const [seed, series, length, from] = [options.seed, options.series, options.length, options.from].map(Number)
    const { data, write } = options, folder = resolve(data), given = data === '' ? Object.keys(processes) : foldersOf(folder)
    if (given.length === 0) throw Object.assign(new Error(`${folder}: no folder of a process`), { code: 'ENOENT', path: join(folder, '*') })
    if (data === '') say(`${series} series of ${length} readings for each process`)
    say(`without the first ${from} readings; news: those that are no continuation`)
    return given.flatMap(process => {
      const all = data === '' ? seriesOf(processes[process], seed, series, length) : readSeries(join(folder, process))
      const short = all.find(({ time }) => time.length <= from)
      if (short !== undefined) throw wrong(`${join(process, short.name)} has ${short.time.length} readings, of which those before --from ${from} do not count`)
      if (write !== '') writeSeries(join(resolve(write), process), all)
      return falseAlarms(all, LEVELS, from).map(({ empirical, news }, i): Figures => ({ process, nominal: LEVELS[i], empirical: round(empirical), news: round(news) }))
    })
  },
  fault (figures, { data, series, length, from } = {}) {
    const nominal = Number(figures.nominal), expected = nominal * Number(series) * (Number(length) - Number(from)), process = figures.process as string
    if (data !== '' || expected < ENOUGH || !ASKED.includes(process)) return undefined
    const wrong = missed(figures, { empirical: [nominal / 2, 2 * nominal] })
    return wrong === undefined ? undefined : `${process}: ${wrong}`
  }
}
