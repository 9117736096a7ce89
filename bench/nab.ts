import { join, resolve } from 'node:path'
import { anomaly } from '../operators/index.ts'
import { BUDGET } from './budget.ts'
import { columnsOf } from './drive.ts'
import { atLeast, missed, mustEqual, mustLie, round, type Benchmark } from './measure.ts'
import { readNab, readPublished, readScores, writeScores, type NabFile } from './nab-files.ts'
import { dataIn } from './real-data.ts'
import { normalised, optimum, profiles, scoreAt, type ProfileName } from './nab-score.ts'

/** The operator's columns for every row, scores and alarms; rows that it only learned from have 0. */
export const detected = (files: readonly NabFile[]): { readonly score: Float64Array, readonly alarm: Float64Array }[] =>
  columnsOf(anomaly(BUDGET), files).map(columns => ({ score: columns.anomaly.map(orNone), alarm: columns.anomaly_alarm.map(orNone) }))
const orNone = (x: number) => Number.isNaN(x) ? 0 : x

/** The largest score there is, and a detector of which the benchmark holds scores and results. */
const LARGEST = 16, PUBLISHED = 'knncad'

/** Throws unless every row has a score, the first half of each file alone gets the same ones, and a published detector the published results. */
export function check (folder: string, files: readonly NabFile[], columns: ReturnType<typeof detected>): void {
  const half = detected(files.map(f => ({ ...f, time: f.time.slice(0, f.time.length >> 1), value: f.value.slice(0, f.value.length >> 1) })))
  files.forEach(({ name, value }, f) => {
    mustLie(`scores of ${name}`, columns[f].score, value.length, -Number.MIN_VALUE, LARGEST)
    half[f].score.forEach((s, i) => { mustEqual(`the score of row ${i} of ${name}, without what follows,`, s, columns[f].score[i]) })
  })
  const whole = new Map(readNab(folder).map(f => [f.name, f.windows]))
  for (const { file, threshold, score, counts } of readPublished(join(folder, 'results'), PUBLISHED, 'standard').filter(row => whole.has(row.file))) {
    const got = scoreAt({ score: readScores(join(folder, 'results'), PUBLISHED, file), windows: whole.get(file)! }, threshold, profiles.standard)
    mustEqual(`the score of ${PUBLISHED} on ${file}`, got.score, score, 1e-9)
    mustEqual(`rows of ${PUBLISHED} on ${file}, as the scorer counts them,`, Number([got.tp, got.tn, got.fp, got.fn].join('') === counts.join('')), 1)
  }
}

export const nab: Benchmark = {
  summary: 'the operator anomaly on the Numenta Anomaly Benchmark: its score by profile, and by its alarms at a budget fixed in advance',
  unit: 'all files',
  options: {
    data: { type: 'string', default: dataIn('nab') },
    scores: { type: 'string', default: '' },       // where each row's score is written
    truncate: { type: 'string', default: '1' }     // the first part of each file
  },
  check ({ truncate }) {
    if (!(Number(truncate) > 0 && Number(truncate) <= 1)) throw new Error(`--truncate ${truncate}: must be a part of each file, above 0 and up to 1`)
  },
  async run (say, { data, scores, truncate }) {
    const files = readNab(resolve(data), Number(truncate))
    say(`${files.length} files, ${files.reduce((n, f) => n + f.time.length, 0)} rows, ${files.reduce((n, f) => n + f.windows.length, 0)} windows`)
    const columns = detected(files)
    check(resolve(data), files, columns)
    const scored = columns.map(({ score }, i) => ({ score, windows: files[i].windows }))
    if (scores !== '') writeScores(resolve(scores), files, scored)
    const best = Object.fromEntries(Object.entries(profiles).map(([name, profile]) => [name, optimum(scored, profile)])) as Record<ProfileName, ReturnType<typeof optimum>>
    const fixed = columns.reduce((sum, { alarm }, i) => sum + scoreAt({ score: alarm, windows: files[i].windows }, 1, profiles.standard).score, 0)
    const of = (name: ProfileName) => round(normalised(best[name].score, scored, profiles[name]), 4)
    return [{
      standard: of('standard'), low_fp: of('low_fp'), low_fn: of('low_fn'), standard_fixed_threshold: round(normalised(fixed, scored, profiles.standard), 4), files: files.length,
      best_threshold: round(best.standard.threshold)
    }]
  },
  fault: (figures, { data, truncate } = {}) => data === dataIn('nab') && Number(truncate) === 1 ? missed(figures, { standard: atLeast(64), low_fp: atLeast(50), standard_fixed_threshold: atLeast(61) }) : undefined
}
