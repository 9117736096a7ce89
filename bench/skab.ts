import { resolve } from 'node:path'
import { hotelling } from '../operators/index.ts'
import { rowsOf } from './device-rows.ts'
import { atLeast, missed, mustEqual, mustLie, round, type Benchmark } from './measure.ts'
import { writeScores } from './nab-files.ts'
import { normalised, optimum, profiles, scoreAt, type Scored } from './nab-score.ts'
import { dataIn } from './real-data.ts'
import { LEARNED, readSkab, type SkabFile } from './skab-files.ts'
import { planted } from './skab-planted.ts'

/** The budget, chosen on planted changes (--planted): a false alarm in 50 s, which is all that the operator speaks of. */
const BUDGET = { alarms: 1, per: '50s' } as const, THRESHOLD = Math.log10(50)
/** Levels to choose from: one row in so many. */
const LEVELS = [50, 100, 200, 400, 1000, 3000]

/** The score of every line of a file: -log10 p where it is news, 0 elsewhere and while it learned. */
export function scoresOf ({ device }: SkabFile): Float64Array {
  const { time, columns } = rowsOf(device, '1s', columns => hotelling({ columns, samples: LEARNED, ...BUDGET }))
  const of = new Map(Array.from(time, (t, i) => [t, columns.hotelling[i]]))
  return Float64Array.from(device.micros, t => of.get(Math.floor(t / 1e6) * 1000) || 0)
}

/** Throws unless every line of each file has a score, none while it is learned, and the first half of the first file alone gets the same ones, up to its last second. */
export function check (files: readonly SkabFile[], scored: readonly Scored[]): void {
  files.forEach(({ name, device }, f) => {
    mustLie(`scores of ${name}`, scored[f].score, device.micros.length, -Number.MIN_VALUE, LARGEST)
    for (let i = 0; i < LEARNED / 2; i++) mustEqual(`the score of line ${i} of ${name}`, scored[f].score[i], 0)
  })
  const [first] = files, { micros, values } = first.device, size = micros.length >> 1
  const half = scoresOf({ ...first, device: { ...first.device, micros: micros.slice(0, size), values: values.slice(0, size) } })
  for (let i = 0; i < size && micros[i] < micros[size - 1] - 1e6; i++) mustEqual(`the score of line ${i} of ${first.name}, without what follows,`, half[i], scored[0].score[i])
}
const LARGEST = 16

export const skab: Benchmark = {
  summary: 'the operator hotelling on change points of the Skoltech Anomaly Benchmark: its NAB score at a budget fixed in advance, and at the best threshold',
  unit: 'all files',
  options: {
    data: { type: 'string', default: dataIn('skab') },
    scores: { type: 'string', default: '' },       // where each row's score is written
    planted: { type: 'string', default: '' }       // a seed: changes planted into the run without anomalies instead, a line per level
  },
  check ({ planted }) { if (!/^\d*$/.test(planted)) throw new Error(`--planted ${planted}: must be a seed, a whole number`) },
  async run (say, { data, scores, planted: seed }) {
    const files = seed === '' ? readSkab(resolve(data)) : planted(resolve(data), Number(seed)), points = files.reduce((n, f) => n + f.windows.length, 0)
    if (points === 0) throw new Error(`there is no file with change points in ${resolve(data)}`)
    say(`${files.length} files, ${points} change points after the first ${LEARNED} rows; detected: p at or below 1 / 50`)
    const scored = files.map((file): Scored => ({ score: scoresOf(file), windows: file.windows, unscored: LEARNED }))
    check(files, scored)
    if (scores !== '') writeScores(resolve(scores), files, scored)
    const fixed = scored.map(file => scoreAt(file, THRESHOLD, profiles.standard)), best = optimum(scored, profiles.standard)
    const at = (threshold: number, profile: { fp: number, fn: number }) => round(normalised(scored.reduce((sum, file) => sum + scoreAt(file, threshold, profile).score, 0), scored, profile), 4)
    if (seed !== '') return LEVELS.map(rows => ({ planted: Number(seed), p: 1 / rows, cpd_standard: at(Math.log10(rows), profiles.standard) }))
    return [{
      cpd_standard: at(THRESHOLD, profiles.standard), cpd_low_fp: at(THRESHOLD, profiles.low_fp), cpd_low_fn: at(THRESHOLD, profiles.low_fn), threshold: round(THRESHOLD),
      cpd_standard_best: round(normalised(best.score, scored, profiles.standard), 4), best_threshold: round(best.threshold),
      change_points: points, false_detections: fixed.reduce((n, f) => n + f.fp, 0), files: files.length
    }]
  },
  fault: (figures, { data, planted } = {}) => data === dataIn('skab') && planted === '' ? missed(figures, { cpd_standard: atLeast(26) }) : undefined
}
