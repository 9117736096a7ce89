import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { packageRoot } from '../engine/version.ts'
import { grow, path } from '../models/forest.ts'
import { round, type Benchmark, type Figures } from './measure.ts'
import { dataIn, linesOf, tepRows } from './real-data.ts'

interface Labelled { readonly x: readonly (readonly number[])[], readonly y: readonly number[] }
const ORACLE = join(packageRoot, 'test/oracles/isolation-forest.json')

const table = (file: string, by: string, from: number, to: number, label: number): Labelled => {
  const rows = linesOf(file).slice(1).map(line => line.split(by))
  return { x: rows.map(r => r.slice(from, to).map(Number)), y: rows.map(r => Number(r[label])) }
}
/** As in test/oracles/isolation-forest.py. */
const sets: Readonly<Record<string, (folder: string) => Labelled>> = {
  ai4i: folder => table(join(folder, 'ai4i/ai4i2020.csv'), ',', 3, 8, 8),
  skab: folder => {
    const parts = [0, 1, 2, 3].map(k => table(join(folder, `skab/data/valve2/${k}.csv`), ';', 1, 9, 9))
    return { x: parts.flatMap(p => p.x), y: parts.flatMap(p => p.y) }
  },
  tep: folder => {
    const quiet = tepRows(join(folder, 'tep/d00_te.dat')), fault = tepRows(join(folder, 'tep/d01_te.dat'))
    return { x: [...quiet, ...fault], y: [...quiet, ...fault].map((_, i) => i >= quiet.length + 160 ? 1 : 0) }
  },
  occupancy: folder => table(join(folder, 'occupancy/datatraining.txt'), ',', 2, 7, 7)
}

/** The chance that a row with label 1 scores above one with label 0; ties count half. */
export function areaUnderCurve (scores: readonly number[], labels: readonly number[]): number {
  const order = scores.map((score, i) => ({ score, label: labels[i] })).sort((a, b) => a.score - b.score)
  let ranks = 0, positives = 0
  for (let i = 0; i < order.length;) {
    let end = i
    while (end < order.length && order[end].score === order[i].score) end++
    for (let k = i; k < end; k++) if (order[k].label === 1) { ranks += (i + end + 1) / 2; positives++ }
    i = end
  }
  return (ranks - positives * (positives + 1) / 2) / (positives * (order.length - positives))
}

function auc ({ x, y }: Labelled, seed: number): number {
  const d = x[0].length, flat = Float64Array.from(x.flat()), forest = grow(flat, d, x.length, { trees: 100, sample: 256, seed })
  return areaUnderCurve(y.map((_, i) => -path(forest, flat, i * d)), y)
}

export const forest: Benchmark = {
  summary: 'the isolation forest against that of scikit-learn: area under the ROC curve on four sets of labelled rows, by seeds',
  unit: 'data set',
  options: {
    data: { type: 'string', default: dataIn() },
    seeds: { type: 'string', default: '20' }
  },
  check ({ seeds }) { if (!/^[1-9]\d*$/.test(seeds) || Number(seeds) < 2) throw new Error(`--seeds ${seeds}: must be a whole number from 2`) },
  async run (say, { data, seeds }) {
    const { auc: published } = JSON.parse(readFileSync(ORACLE, 'utf8')) as { auc: Record<string, { rows: number, numbers: number, anomalous: number, auc: number, sd: number, seeds: number }> }
    return Object.entries(sets).map(([name, read]): Figures => {
      const set = read(resolve(data)), theirs = published[name]
      const shape = [set.y.length, set.x[0].length, set.y.reduce((a, b) => a + b)], expected = [theirs.rows, theirs.numbers, theirs.anomalous]
      if (String(shape) !== String(expected)) throw new Error(`${name}: rows, numbers and anomalous rows are ${shape.join()}, those of the oracle ${expected.join()}`)
      const all = Array.from({ length: Number(seeds) }, (_, seed) => auc(set, seed)), mean = all.reduce((a, b) => a + b) / all.length
      const sd = Math.sqrt(all.reduce((sum, a) => sum + (a - mean) ** 2, 0) / (all.length - 1)), error = Math.sqrt(sd * sd / all.length + theirs.sd ** 2 / theirs.seeds)
      if (Math.abs(mean - theirs.auc) > 4 * error) throw new Error(`the answer is wrong: on ${name} the area is ${mean}, that of scikit-learn ${theirs.auc}, and chance explains only ${error}`)
      say(`${name}: ${shape[0]} rows of ${shape[1]} numbers, ${shape[2]} anomalous`)
      return { data: name, auc: round(mean, 5), sklearn_auc: round(theirs.auc, 5), difference: round(mean - theirs.auc), standard_error: round(error), sd: round(sd), sklearn_sd: round(theirs.sd), seeds: all.length }
    })
  }
}
