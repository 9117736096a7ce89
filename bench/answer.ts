import { mustEqual } from './measure.ts'

/** What a contestant of the bench `operators` is told, and what it comes to. */
export interface Settings {
  readonly series: number
  readonly perDevice: number         // series of a device, side by side: the device of series s is floor(s / perDevice)
  readonly lateness: number          // ms, less than `every`
  readonly min: number
  readonly max: number
  readonly within: number            // ms
  readonly every: number             // ms
  readonly high: number              // STATS: a value above is an alert
  readonly detector: { readonly alarms: number, readonly per: string, readonly samples: number } | undefined       // PRED: with it, with forecasts, and an alarm is an alert
}

export const FEATURES = ['count', 'mean', 'std', 'min', 'max', 'rms', 'range', 'slope'] as const
export const WEIGHT = 0.1            // of the newest reading in a forecast

/** Every row, cell by cell, for a thorough check. Readings: series, time, value, seq, and what the detector and the forecast add. Windows: series, start, features. Alerts: series, time, since, 1 or 0. */
export type Kind = 'reading' | 'window' | 'alert'
export type Row = (kind: Kind, ...cells: number[]) => void

/** What comes out of a run, in sums: those of floating-point numbers are in the order of rows, and so equal to the last bit. */
export interface Answer {
  readings: number                   // that passed
  seq: number
  evidence: number                   // of those that have one
  p: number
  alarms: number
  forecast: number                   // of those that have one
  windows: number
  readonly features: Float64Array    // by feature, of those that are numbers
  fired: number
  resolved: number
  row?: Row
}
export const noAnswer = (row?: Row): Answer => ({ readings: 0, seq: 0, evidence: 0, p: 0, alarms: 0, forecast: 0, windows: 0, features: new Float64Array(FEATURES.length), fired: 0, resolved: 0, ...row && { row } })

/** Adds a window. */
export function addWindow (answer: Answer, series: number, start: number, features: Float64Array): void {
  answer.windows++
  for (let f = 0; f < features.length; f++) if (features[f] === features[f]) answer.features[f] += features[f]
  answer.row?.('window', series, start, ...features)
}

export function mustAgree (who: string, answer: Answer, expected: Answer): void {
  for (const key of ['readings', 'seq', 'evidence', 'p', 'alarms', 'forecast', 'windows', 'fired', 'resolved'] as const) mustEqual(`${who}: ${key}`, answer[key], expected[key])
  FEATURES.forEach((f, i) => { mustEqual(`${who}: ${f}`, answer.features[i], expected.features[i]) })
}

/** Rows of each kind, in their order. */
export class Rows {
  readonly reading: number[][] = []
  readonly window: number[][] = []
  readonly alert: number[][] = []
  readonly add: Row = (kind, ...cells) => { this[kind].push(cells) }
}

/** Every cell of every row, to the last bit. */
export function mustBeSame (who: string, got: Rows, expected: Rows): void {
  for (const kind of ['reading', 'window', 'alert'] as const) {
    mustEqual(`${who}: the number of ${kind}s`, got[kind].length, expected[kind].length)
    expected[kind].forEach((cells, n) => { cells.forEach((x, k) => { mustEqual(`${who}: cell ${k} of ${kind} ${n}`, got[kind][n][k], x) }) })
  }
}
