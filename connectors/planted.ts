import type { PlantAsked, Planted } from '#engine'
import { usualSize } from '../models/faults.ts'
import { key, normal } from '../models/random.ts'

const LEVEL = 1, FAULT = 2           // names of streams

/** One series with one fault, a pure function of what is asked. Of a dropout there are no readings while it lasts; a spike is one reading. */
export function plantFault ({ kind, healthy, faulty, after, every, end, level, noise, size: given, seed, values = [] }: PlantAsked): Planted {
  const lasts = kind === 'spike' ? 1 : faulty, count = healthy + lasts + after, start = end - (count - 1) * every
  const usual = (i: number): number => values.length > 0 ? values[i % values.length] : level + noise * normal(key(seed, LEVEL), i)
  const healthyOnes = Array.from({ length: Math.max(healthy, 2) }, (_, i) => usual(i)), mean = healthyOnes.reduce((sum, x) => sum + x, 0) / healthyOnes.length
  const spread = values.length > 0 ? Math.sqrt(healthyOnes.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (healthyOnes.length - 1)) : noise
  const size = given ?? usualSize(kind, { centre: mean, spread, factor: 1.8 }), from = start + healthy * every, to = from + lasts * every
  const readings: { time: number, value: number }[] = []
  let last = usual(0)
  for (let i = 0; i < count; i++) {
    const time = start + i * every, x = usual(i)
    if (i < healthy || i >= healthy + lasts) readings.push({ time, value: last = x })
    else if (kind !== 'dropout') readings.push({ time, value: faultyOf(x, (time - from) / (to - from)) })
  }
  return { readings, label: { kind, from, to, size } }

  function faultyOf (x: number, share: number): number {
    switch (kind) {
      case 'stuck': return last
      case 'drift': return x + size * share
      case 'noise': return x + size * normal(key(seed, FAULT), Math.round(share * 2 ** 20))
      case 'clip': return Math.min(x, size)
      case 'unit': return x * size + (size === 1.8 ? 32 : 0)
      default: return x + size
    }
  }
}
