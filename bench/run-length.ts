import { Adwin } from '../models/adwin.ts'
import type { Detector } from '../models/detector.ts'
import { Kswin } from '../models/kswin.ts'
import { Random } from '../models/random.ts'
import { CLOCK } from '../models/run-length.ts'
import { round, type Benchmark } from './measure.ts'

/** What models/run-length.ts stands on: numbers without any change, standard normal, until a change is found all the same. */
const detectors: Readonly<Record<string, { readonly parameters: readonly number[], readonly make: (parameter: number) => Detector }>> = {
  adwin: { parameters: [4, 3, 2, 1.4, 1, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.005], make: p => new Adwin(p, CLOCK) },
  kswin: { parameters: [50, 56, 65, 70, 75, 80, 85, 90, 95, 100, 105, 110].map(d => d / 210), make: p => new Kswin(p) }
}

/** How many numbers a detector takes for `runs` false changes, over their number: their mean, also of those that the last run would have needed. */
export function averageRunLength (detector: Detector, next: () => number, runs: number, most: number): number {
  const first = Object.values(detector.state), m = Float64Array.from(first)
  let numbers = 0, found = 0
  for (; found < runs && numbers < most; numbers++) {
    if (!detector.update(m, 0, next())) continue
    found++
    m.set(first)
  }
  return numbers / found
}

/** Standard normal numbers one after the other (Marsaglia and Bray 1964), two at a time. */
export function normals (seed: number): () => number {
  const random = new Random(seed)
  let kept = NaN
  return () => {
    if (kept === kept) { const x = kept; kept = NaN; return x }
    for (;;) {
      const u = 2 * random.next() - 1, v = 2 * random.next() - 1, square = u * u + v * v
      if (square >= 1 || square === 0) continue
      const by = Math.sqrt(-2 * Math.log(square) / square)
      kept = v * by
      return u * by
    }
  }
}

export const runLength: Benchmark = {
  summary: 'average run length of adwin and kswin by their parameter, of which models/run-length.ts holds a table',
  unit: 'method and parameter',
  options: { seed: { type: 'string', default: '1' }, runs: { type: 'string', default: '200' }, most: { type: 'string', default: '200000000' } },      // most: numbers for each line
  check ({ seed, runs, most }) { for (const [name, text] of Object.entries({ seed, runs, most })) if (!/^\d+$/.test(text)) throw new Error(`--${name} ${text}: must be a whole number`) },
  async run (say, options) {
    const [seed, runs, most] = [options.seed, options.runs, options.most].map(Number)
    return Object.entries(detectors).flatMap(([method, { parameters, make }], k) => parameters.map((parameter, i) => {
      const average = averageRunLength(make(parameter), normals(1000 * seed + 100 * k + i), runs, most)
      say(`${method} ${parameter}: ${Math.round(average)}`)
      return { method, parameter: round(parameter, 6), average_run_length: round(average, 4) }
    }))
  }
}
