/**
 * The M4 competition's hourly series and its measures, as in its "Benchmarks and Evaluation.R" (M4-methods; Makridakis, Spiliotis
 * and Assimakopoulos 2020, The M4 Competition): <name>-train.csv and <name>-test.csv, a series a line, id first.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { linesOf } from './real-data.ts'

export const SEASON = 24, HORIZON = 48

export interface M4Series { readonly name: string, readonly train: readonly number[], readonly test: readonly number[] }

export function readM4 (folder: string): M4Series[] {
  const rows = (ending: string) => readdirSync(folder).filter(f => f.endsWith(ending)).sort().flatMap(f => linesOf(join(folder, f)).slice(1)).map(line => line.replaceAll('"', '').split(',').filter(cell => cell !== '' && cell !== 'NA'))
  const tests = new Map(rows('-test.csv').map(([name, ...values]) => [name, values.map(Number)]))
  const series = rows('-train.csv')
  if (series.length === 0) throw Object.assign(new Error(`${folder}: no series`), { code: 'ENOENT', path: join(folder, '*-train.csv') })
  return series.map(([name, ...values]) => {
    const test = tests.get(name)
    if (test?.length !== HORIZON || ![...test, ...values.map(Number)].every(Number.isFinite)) throw new Error(`${folder}: ${name} must have ${HORIZON} numbers in the file -test.csv`)
    return { name, train: values.map(Number), test }
  })
}

export const smape = (actual: readonly number[], forecast: readonly number[]): number =>
  mean(actual.map((y, i) => 200 * Math.abs(y - forecast[i]) / (Math.abs(y) + Math.abs(forecast[i]))))

/** Mean absolute error of the seasonal naive forecast within the series: what errors are scaled with. */
export const scaleOf = (train: readonly number[]): number => mean(train.slice(SEASON).map((y, i) => Math.abs(y - train[i])))

export const mae = (actual: readonly number[], forecast: readonly number[]): number => mean(actual.map((y, i) => Math.abs(y - forecast[i])))

/** Mean interval score at a level such as 0.95 (Gneiting and Raftery 2007). */
export function intervalScore (actual: readonly number[], low: readonly number[], high: readonly number[], level: number): number {
  return mean(actual.map((y, i) => high[i] - low[i] + 2 / (1 - level) * (Math.max(0, low[i] - y) + Math.max(0, y - high[i]))))
}

/** The last value, less its season where the series has one; multiplicative, by classical decomposition. */
export function naive2 (train: readonly number[]): number[] {
  const last = train.at(-1)!
  if (!seasonal(train)) return Array.from({ length: HORIZON }, () => last)
  const index = seasonIndices(train), n = train.length
  return Array.from({ length: HORIZON }, (_, h) => last / index[(n - 1) % SEASON] * index[(n + h) % SEASON])
}

/** Whether the autocorrelation at the season is significant at 90 %, by Bartlett's formula. */
function seasonal (x: readonly number[]): boolean {
  const n = x.length, most = Math.floor(10 * Math.log10(n))      // as far as R's acf() goes
  if (n < 3 * SEASON || most < SEASON) return false
  const center = mean(x), off = x.map(y => y - center), power = off.reduce((sum, y) => sum + y * y, 0)
  const acf = Array.from({ length: SEASON + 1 }, (_, lag) => off.slice(lag).reduce((sum, y, i) => sum + y * off[i], 0) / power)
  const limit = 1.645 / Math.sqrt(n) * Math.sqrt(1 + 2 * acf.slice(1, SEASON).reduce((sum, r) => sum + r * r, 0))
  return Math.abs(acf[SEASON]) > limit
}

/** Ratios to a centred moving average, their mean by phase, brought to a mean of 1. */
function seasonIndices (x: readonly number[]): number[] {
  const ratios = Array.from({ length: SEASON }, (): number[] => []), half = SEASON / 2
  for (let t = half; t < x.length - half; t++) ratios[t % SEASON].push(x[t] / ((x[t - half] + x[t + half]) / 2 + x.slice(t - half + 1, t + half).reduce((a, b) => a + b, 0)) * SEASON)
  const means = ratios.map(mean), level = mean(means)
  return means.map(r => r / level)
}

export const mean = (x: readonly number[]): number => x.reduce((a, b) => a + b, 0) / x.length
