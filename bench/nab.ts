import { resolve } from 'node:path'
import { anomaly } from '../operators/index.ts'
import { columnsOf } from './drive.ts'
import { round, type Benchmark } from './measure.ts'
import { readNab, writeScores } from './nab-files.ts'
import { normalised, optimum, profiles, scoreAt, type ProfileName } from './nab-score.ts'

const DETECTOR = 'millrace'
/** The threshold that was fixed in advance: an alarm a day, at the rate of the files, a reading every five minutes. */
export const FIXED = Math.log10(288)

/** The operator's column `anomaly` for every row; rows that it learned from only have 0. */
export const scoresOf = (files: ReturnType<typeof readNab>): Float64Array[] =>
  columnsOf(anomaly(), files).map(columns => columns.anomaly.map(score => Number.isNaN(score) ? 0 : score))

export const nab: Benchmark = {
  summary: 'the operator anomaly on the Numenta Anomaly Benchmark: its score by profile, and at a threshold fixed in advance',
  unit: 'all files',
  options: {
    data: { type: 'string', default: process.env.MILLRACE_DATA === undefined ? '../shared/data/nab' : `${process.env.MILLRACE_DATA}/nab` },
    scores: { type: 'string', default: '' },       // where each row's score is written
    truncate: { type: 'string', default: '1' }     // the first part of each file
  },
  check ({ truncate }) {
    if (!(Number(truncate) > 0 && Number(truncate) <= 1)) throw new Error(`--truncate ${truncate}: must be a part of each file, above 0 and up to 1`)
  },
  async run (say, { data, scores, truncate }) {
    const files = readNab(resolve(data), Number(truncate))
    say(`${files.length} files, ${files.reduce((n, f) => n + f.time.length, 0)} rows, ${files.reduce((n, f) => n + f.windows.length, 0)} windows`)
    const scored = scoresOf(files).map((score, i) => ({ score, windows: files[i].windows }))
    if (scores !== '') scored.forEach(({ score }, i) => { writeScores(resolve(scores), DETECTOR, files[i].name, score) })
    const best = Object.fromEntries(Object.entries(profiles).map(([name, profile]) => [name, optimum(scored, profile)])) as Record<ProfileName, ReturnType<typeof optimum>>
    const fixed = scored.reduce((sum, file) => sum + scoreAt(file, FIXED, profiles.standard).score, 0)
    const of = (name: ProfileName) => round(normalised(best[name].score, scored, profiles[name]), 4)
    return [{
      standard: of('standard'), low_fp: of('low_fp'), low_fn: of('low_fn'), standard_fixed_threshold: round(normalised(fixed, scored, profiles.standard), 4), files: files.length,
      fixed_threshold: round(FIXED), best_threshold: round(best.standard.threshold)
    }]
  }
}
