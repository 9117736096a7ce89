import { join } from 'node:path'
import { key, Random } from '../models/random.ts'
import { skab as deviceOf } from './real-data.ts'
import { LEARNED, type SkabFile } from './skab-files.ts'

const ROWS = 1150, BEGINS = 570, ENDS = 860, RAMP = 30, WINDOW = 60, SIZES = [2, 3, 4, 6]

/**
 * Development data for change points: the run without anomalies in parts as long as the others, in each of which two metrics, chosen
 * by the seed, move by 2, 3, 4 or 6 standard deviations of the part's first rows within half a minute, and back after five minutes.
 */
export function planted (folder: string, seed: number): SkabFile[] {
  const free = deviceOf(join(folder, 'data/anomaly-free/anomaly-free.csv'))
  return Array.from({ length: Math.floor(free.values.length / ROWS) }, (_, part) => {
    const random = new Random(key(seed, part)), of = (x: readonly unknown[]) => x.slice(part * ROWS, (part + 1) * ROWS)
    const values = (of(free.values) as number[][]).map(row => [...row]), first = random.below(8), second = (first + 1 + random.below(7)) % 8
    for (const metric of [first, second]) {
      const before = values.slice(0, LEARNED).map(row => row[metric]), mean = before.reduce((a, b) => a + b) / LEARNED
      const by = SIZES[part % SIZES.length] * Math.sqrt(before.reduce((sum, x) => sum + (x - mean) ** 2, 0) / LEARNED) * (random.next() < 0.5 ? 1 : -1)
      for (let i = BEGINS; i < ENDS + RAMP; i++) values[i][metric] += by * Math.min(1, (i - BEGINS) / RAMP, (ENDS + RAMP - i) / RAMP)
    }
    return { name: `planted/${part}.csv`, device: { ...free, micros: of(free.micros) as number[], values }, windows: [[BEGINS, BEGINS + WINDOW], [ENDS, ENDS + WINDOW]] }
  })
}
