/** Features that need the readings themselves: by rank, by order, by frequency. */
import { byRank, quantile, quantiles, rankFeatures, type RankFeature } from './quantiles.ts'
import * as sketch from './sketch.ts'
import { autocorrelation, centred, meanCrossings, permutationEntropy } from './sequence.ts'
import { bandEnergy, centroid, envelope, peakFrequency, rateOf, spectralEntropy, spectrum, type Band } from './spectrum.ts'

const byOrder = ['mean_crossings', 'autocorrelation', 'permutation_entropy'] as const
export const sequenceFeatures = [...byOrder, 'band_energy', 'centroid', 'peak_frequency', 'spectral_entropy', 'envelope_energy'] as const
export const sampleFeatures = [...rankFeatures, ...sequenceFeatures] as const
export type SequenceFeature = typeof sequenceFeatures[number]
export type SampleFeature = typeof sampleFeatures[number]
export type { Band, RankFeature }

/** Most readings of which quantiles are exact; of more they come from a sketch. */
export const EXACT = 512
/** Most readings that features by order and frequency look at; of more they have no value. */
export const LONGEST = 4096

export interface SampleOptions {
  readonly lag: number                   // of the autocorrelation, in readings
  readonly order: number                 // of the permutation entropy
  readonly bands: readonly Band[]        // of `band_energy`, Hz
  readonly carrier: Band                 // of which the envelope is taken, Hz
  readonly envelope: readonly Band[]     // bands of the envelope's spectrum, Hz
}

export const isRank = (feature: string): feature is RankFeature => (rankFeatures as readonly string[]).includes(feature)
export const isFrequency = (feature: string): boolean => isSequence(feature) && !(byOrder as readonly string[]).includes(feature)
export const isSequence = (feature: string): feature is SequenceFeature => (sequenceFeatures as readonly string[]).includes(feature)

/** A sketch of these values, about the median of the first EXACT of them. */
export function sketchOf (values: Float64Array, a: Float64Array = new Float64Array(sketch.WIDTH), at = 0): Float64Array {
  sketch.begin(a, at, quantile(values.slice(0, EXACT).sort(), 0.5))
  for (const x of values) sketch.add(a, at, x)
  return a
}

/** Features by rank: exact from up to `exact` values in any order, at most LONGEST; else from a sketch. */
export function ranked (chosen: readonly RankFeature[], values: Float64Array, exact = EXACT): number[] {
  if (values.length > exact) return rankedFrom(chosen, sketchOf(values), 0)
  const sorted = scratch.subarray(0, values.length)
  sorted.set(values)
  sorted.sort()
  return chosen.map(f => byRank(f, sorted))
}
const scratch = new Float64Array(LONGEST)                            // made once: an array of more than eight numbers costs as much as sorting ten
export const rankedFrom = (chosen: readonly RankFeature[], a: Float64Array, at: number): number[] => chosen.map(feature => {
  switch (feature) {
    case 'iqr': return sketch.quantile(a, at, 0.75) - sketch.quantile(a, at, 0.25)
    case 'mad': return sketch.deviation(a, at, sketch.quantile(a, at, 0.5))
    default: return sketch.quantile(a, at, quantiles[feature])
  }
})

/** Readings in the order of their times, in ms. */
export interface Samples { readonly times: Float64Array, readonly values: Float64Array }

/**
 * Features by order and frequency; `band_energy` and `envelope_energy` give a number for each of their bands. NaN for more
 * than LONGEST readings; those by frequency also when readings are fewer than 4 or not even (see rateOf).
 */
export function sequenced (chosen: readonly SequenceFeature[], { times, values }: Samples, { lag, order, bands, carrier, envelope: faults }: SampleOptions): number[] {
  const whole = values.length <= LONGEST, rate = whole && chosen.some(isFrequency) ? rateOf(times) : NaN
  let density: ReturnType<typeof spectrum> | undefined, distances: Float64Array | undefined
  const power = () => density ??= spectrum(values, rate), off = () => distances ??= centred(values)
  return chosen.flatMap(feature => {
    switch (feature) {
      case 'mean_crossings': return !whole ? NaN : meanCrossings(off())
      case 'autocorrelation': return !whole ? NaN : autocorrelation(off(), lag)
      case 'permutation_entropy': return !whole ? NaN : permutationEntropy(values, order)
      case 'band_energy': return bands.map(band => rate > 0 ? bandEnergy(power(), band) : NaN)
      case 'envelope_energy': {
        const of = rate > 0 ? spectrum(envelope(values, rate, carrier), rate) : undefined
        return faults.map(band => of === undefined ? NaN : bandEnergy(of, band))
      }
      case 'centroid': return rate > 0 ? centroid(power()) : NaN
      case 'peak_frequency': return rate > 0 ? peakFrequency(power()) : NaN
      case 'spectral_entropy': return rate > 0 ? spectralEntropy(power()) : NaN
    }
  })
}

/** The columns of a feature: one of its name, or one for each of its bands, numbered from 1. */
export function columnsOf (feature: string, { bands, envelope }: Pick<SampleOptions, 'bands' | 'envelope'>): string[] {
  const of = feature === 'band_energy' ? bands : feature === 'envelope_energy' ? envelope : undefined
  return of === undefined ? [feature] : of.map((_, k) => `${feature}_${k + 1}`)
}
