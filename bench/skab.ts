import { readdirSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { hotelling } from '../operators/index.ts'
import { rowsOf } from './device-rows.ts'
import { round, type Benchmark } from './measure.ts'
import { writeScores } from './nab-files.ts'
import { normalised, optimum, profiles, scoreAt, type Scored, type Window } from './nab-score.ts'
import { linesOf, skab as deviceOf, type Device } from './real-data.ts'

const DETECTOR = 'millrace'
/** Of the protocol: rows to learn from, which do not count, and how long a change point may be found. */
const LEARNED = 400, WINDOW = 60_000
/** The budget that was fixed in advance: a false alarm in 1,000 s. */
const BUDGET = { alarms: 1, per: '1000s' } as const, THRESHOLD = 3

export interface SkabFile { readonly name: string, readonly device: Device, readonly windows: readonly Window[] }

/** All files of a folder that have change points, as folder/name.csv. A window is from a change point to WINDOW later, or to the next one. */
export function readSkab (folder: string): SkabFile[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.csv')).sort()
  return names.flatMap(name => {
    const file = join(folder, name), [head, ...lines] = linesOf(file).map(line => line.split(';')), mark = head.indexOf('changepoint')
    if (mark < 0) return []
    const device = deviceOf(file), time = device.micros.map(t => t / 1000)
    const points = lines.flatMap((line, i) => Number(line[mark]) > 0 && i >= LEARNED ? [i] : [])
    const windows = points.map((first, w): Window => [first, Math.min(time.findLastIndex(t => t <= time[first] + WINDOW), (points[w + 1] ?? Infinity) - 1)])
    return [{ name: join(basename(dirname(file)), basename(file)), device, windows }]
  })
}

/** The score of every line of a file: -log10 p where it is news, 0 elsewhere and while it learned. */
export function scoresOf ({ device }: SkabFile): Float64Array {
  const { time, columns } = rowsOf(device, '1s', columns => hotelling({ columns, samples: LEARNED, ...BUDGET }))
  const of = new Map(Array.from(time, (t, i) => [t, columns.hotelling[i]]))
  return Float64Array.from(device.micros, t => of.get(Math.floor(t / 1e6) * 1000) || 0)
}

export const skab: Benchmark = {
  summary: 'the operator hotelling on change points of the Skoltech Anomaly Benchmark: its NAB score at a budget fixed in advance, and at the best threshold',
  unit: 'all files',
  options: {
    data: { type: 'string', default: process.env.MILLRACE_DATA === undefined ? '../shared/data/skab' : `${process.env.MILLRACE_DATA}/skab` },
    scores: { type: 'string', default: '' }        // where each row's score is written
  },
  async run (say, { data, scores }) {
    const files = readSkab(resolve(data)), points = files.reduce((n, f) => n + f.windows.length, 0)
    if (points === 0) throw new Error(`there is no file with change points in ${resolve(data)}`)
    say(`${files.length} files, ${points} change points after the first ${LEARNED} rows; detected: a score of ${THRESHOLD} or more`)
    const scored = files.map((file): Scored => ({ score: scoresOf(file), windows: file.windows, unscored: LEARNED }))
    if (scores !== '') scored.forEach(({ score }, i) => { writeScores(resolve(scores), DETECTOR, files[i].name, score) })
    const fixed = scored.map(file => scoreAt(file, THRESHOLD, profiles.standard)), best = optimum(scored, profiles.standard)
    const at = (threshold: number, profile: { fp: number, fn: number }) => round(normalised(scored.reduce((sum, file) => sum + scoreAt(file, threshold, profile).score, 0), scored, profile), 4)
    return [{
      cpd_standard: at(THRESHOLD, profiles.standard), cpd_low_fp: at(THRESHOLD, profiles.low_fp), cpd_low_fn: at(THRESHOLD, profiles.low_fn), threshold: THRESHOLD,
      cpd_standard_best: round(normalised(best.score, scored, profiles.standard), 4), best_threshold: round(best.threshold),
      change_points: points, false_detections: fixed.reduce((n, f) => n + f.fp, 0), files: files.length
    }]
  }
}
