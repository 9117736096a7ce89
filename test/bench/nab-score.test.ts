import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readNab, readScores } from '../../bench/nab-files.ts'
import { normalised, optimum, profiles, scoreAt, windowsOf } from '../../bench/nab-score.ts'
import { developmentData } from '../support/development-data.ts'

const { standard, low_fp, low_fn } = profiles
/** A file of 100 rows, 15 of them unscored, with a window in rows 40 to 49 and detections where they are given. */
const file = (...detected: number[]) => ({ score: Array.from({ length: 100 }, (_, i) => detected.includes(i) ? 1 : 0), windows: [[40, 49]] as const })
const at = (detected: number[], profile: { fp: number, fn: number } = standard) => scoreAt(file(...detected), 1, profile).score

t.test('a window found at its start is worth 1, less and less towards its end, and only the first detection counts', async t => {
  t.equal(at([40]), 1)
  t.ok(Math.abs(at([45]) - Math.tanh(1.25) / Math.tanh(2.5)) < 1e-12)
  t.ok(at([49]) > 0 && at([49]) < 0.3)
  t.equal(at([44, 47, 49]), at([44]))
})

t.test('a window that is missed costs fn', async t => {
  t.equal(at([]), -1)
  t.equal(at([], low_fn), -2)
})

t.test('a detection outside costs fp, less just after a window, and nothing while the file is new', async t => {
  t.equal(at([40, 20, 21]), 1 - 2 * 0.11)
  t.equal(at([40, 20], low_fp), 1 - 0.22)
  t.ok(Math.abs(at([40, 51]) - (1 - 0.11 * Math.tanh(2.5 * 2 / 9))) < 1e-12)
  t.equal(at([40, 99]), 1 - 0.11)
  t.equal(at([40, 14]), 1)
})

t.test('the best threshold is that of all files together; a row that ties with it is a detection too', async t => {
  const files = [{ score: file().score.map((_, i) => i === 40 ? 0.5 : i === 60 ? 0.5 : i === 20 ? 0.2 : 0), windows: [[40, 49]] as const }, { ...file(), windows: [] }]
  const { score, threshold } = optimum(files, standard)
  t.equal(threshold, 0.5)
  t.equal(score, scoreAt(files[0], 0.5, standard).score + scoreAt(files[1], 0.5, standard).score)
  t.strictSame(optimum([{ ...file(20, 21), windows: [] }], standard), { score: 0, threshold: Infinity }, 'nothing is better than false alarms')
  t.equal(normalised(1, [file(40)], standard), 100)
  t.equal(normalised(-2, [file()], low_fn), 0)
})

t.test('a window begins and ends at the first of rows with equal times', async t => {
  t.strictSame(windowsOf([1, 2, 2, 3, 4, 4, 5], [[2, 4], [9, 10]]), [[1, 4]])
})

const { data, skip } = developmentData('nab')
t.test('published scores of two detectors come out, file by file and profile by profile', { skip }, async t => {
  const results = join(data, 'results')
  const files = readNab(data)
  t.equal(files.length, 38)
  const published = { standard: 'standard', low_fp: 'reward_low_FP_rate', low_fn: 'reward_low_FN_rate' } as const
  for (const detector of ['knncad', 'windowedGaussian']) {
    for (const [name, profile] of Object.entries(profiles)) {
      const [, ...rows] = readFileSync(join(results, detector, `${detector}_${published[name as keyof typeof published]}_scores.csv`), 'utf8').trim().split('\n').map(line => line.split(','))
      t.equal(rows.length, files.length)
      for (const [, , of, threshold, ...figures] of rows) {
        const { windows } = files.find(f => f.name === of)!
        const got = scoreAt({ score: readScores(results, detector, of), windows }, Number(threshold), profile)
        const [score, ...counts] = figures.map(Number)
        if (Math.abs(got.score - score) > 1e-9 || String([got.tp, got.tn, got.fp, got.fn]) !== String(counts.slice(0, 4))) t.fail(`${detector} ${name} ${of}: ${JSON.stringify(got)}, published ${figures.join()}`)
      }
      t.pass(`${detector} ${name}`)
    }
  }
})
