import { readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Window } from './nab-score.ts'
import { linesOf, skab as deviceOf, type Device } from './real-data.ts'

/** Of the protocol: rows to learn from, which do not count, and how long a change point may be found. */
export const LEARNED = 400
const WINDOW = 60_000

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
