/**
 * What must be in the database, worked out plainly from the files: arrays, two passes, nothing of the engine's.
 */
import type { Device } from './real-data.ts'

export interface Stored { readonly micros: number, readonly seq: number, readonly value: number }
export interface Transition { readonly micros: number, readonly state: 'firing' | 'resolved' }
export type Window = Readonly<Record<string, number>>

/** The readings of one series that are kept: the same time and value again is a duplicate, another value gets the next seq. */
export function stored (device: Device, metric: number): Stored[] {
  const atTime = new Map<number, number[]>()
  const kept: Stored[] = []
  device.micros.forEach((micros, i) => {
    const value = device.values[i][metric]
    const there = atTime.get(micros) ?? []
    if (there.includes(value)) return
    atTime.set(micros, [...there, value])
    kept.push({ micros, seq: there.length, value })
  })
  return kept
}

/** Features of all windows of `every` us that end at or before `closed`, by start. */
export function windows (readings: readonly Stored[], every: number, closed: number): Map<number, Window> {
  const groups = new Map<number, Stored[]>()
  for (const reading of readings) {
    const start = Math.floor(reading.micros / every) * every
    if (start + every > closed) continue
    const group = groups.get(start)
    if (group === undefined) groups.set(start, [reading])
    else group.push(reading)
  }
  return new Map([...groups].map(([start, group]) => [start, featuresOf(group)]))
}

function featuresOf (group: readonly Stored[]): Window {
  const values = group.map(r => r.value), seconds = group.map(r => (r.micros - group[0].micros) / 1e6)
  const mean = meanOf(values), middle = meanOf(seconds)
  const spread = sum(seconds.map(s => (s - middle) ** 2))
  const min = Math.min(...values), max = Math.max(...values)
  const oldest = Math.min(...seconds), newest = Math.max(...seconds)
  return {
    count: values.length, mean, std: Math.sqrt(sum(values.map(v => (v - mean) ** 2)) / values.length), rms: Math.sqrt(sum(values.map(v => v * v)) / values.length),
    min, max, range: max - min, slope: spread === 0 ? NaN : sum(values.map((v, i) => (v - mean) * (seconds[i] - middle))) / spread,
    first: values[seconds.indexOf(oldest)], last: values[seconds.lastIndexOf(newest)]
  }
}

const sum = (of: readonly number[]): number => of.reduce((a, b) => a + b, 0)
/** The second pass takes out what the first has rounded. */
function meanOf (values: readonly number[]): number {
  const mean = sum(values) / values.length
  return mean + sum(values.map(v => v - mean)) / values.length
}

/** Firing when a value is above `above`, resolved when one is not. */
export function transitions (readings: readonly Stored[], above: number): Transition[] {
  const found: Transition[] = []
  let firing = false
  for (const { micros, value } of readings) {
    if ((value > above) === firing) continue
    firing = value > above
    found.push({ micros, state: firing ? 'firing' : 'resolved' })
  }
  return found
}

/** Are two features the same, up to 1e-9 of their size? A slope's size is at least that of the window: its range over its length. */
export function same (name: string, got: number | null, expected: Window, every: number): boolean {
  const want = expected[name]
  if (got === null || Number.isNaN(want)) return got === null && Number.isNaN(want)
  const size = Math.max(Math.abs(got), Math.abs(want), name === 'slope' ? expected.range / (every / 1e6) : 0)
  return got === want || Math.abs(got - want) <= 1e-9 * size
}
