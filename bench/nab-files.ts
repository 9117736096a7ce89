/** The files of the Numenta Anomaly Benchmark: data/<kind>/<name>.csv, labels/combined_windows.json, results/<detector>/<kind>/<detector>_<name>.csv. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { linesOf, micros } from './real-data.ts'
import { windowsOf, type Scored, type Window } from './nab-score.ts'

export interface NabFile { readonly name: string, readonly time: readonly number[], readonly value: readonly number[], readonly windows: readonly Window[] }      // kind/name.csv, ms, by row

/** All files of a folder, in the order of their names, or the first part of each. */
export function readNab (folder: string, part = 1): NabFile[] {
  const labels = JSON.parse(readFileSync(join(folder, 'labels/combined_windows.json'), 'utf8')) as Record<string, [string, string][]>
  const names = readdirSync(join(folder, 'data'), { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.csv')).sort()
  return names.map(name => {
    const [, ...lines] = linesOf(join(folder, 'data', name)).map(line => line.split(','))
    const rows = lines.slice(0, Math.ceil(lines.length * part)), time = rows.map(([at]) => micros(at) / 1000)
    return { name, time, value: rows.map(([, x]) => Number(x)), windows: windowsOf(time, (labels[name] ?? []).map(w => [micros(w[0]) / 1000, micros(w[1]) / 1000])) }
  })
}

const scoresOf = (results: string, detector: string, name: string) => join(results, detector, dirname(name), `${detector}_${name.slice(dirname(name).length + 1)}`)

export const readScores = (results: string, detector: string, name: string): number[] => linesOf(scoresOf(results, detector, name)).slice(1).map(Number)

/** What was published of a detector's files: by file its threshold, score and counts, of one profile; empty where nothing was published. */
export function readPublished (results: string, detector: string, profile: string): { readonly file: string, readonly threshold: number, readonly score: number, readonly counts: readonly number[] }[] {
  const file = join(results, detector, `${detector}_${profile}_scores.csv`)
  return !existsSync(file) ? [] : linesOf(file).slice(1).map(line => {
    const [, , file, threshold, score, ...counts] = line.split(',')
    return { file, threshold: Number(threshold), score: Number(score), counts: counts.slice(0, 4).map(Number) }
  })
}

/** Writes each row's score, file by file, as those of the detector millrace. */
export function writeScores (results: string, files: readonly { readonly name: string }[], scored: readonly Pick<Scored, 'score'>[]): void {
  files.forEach(({ name }, i) => {
    const file = scoresOf(results, 'millrace', name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, `anomaly_score\n${Array.from(scored[i].score, s => `${s}\n`).join('')}`)
  })
}
