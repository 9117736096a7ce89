/**
 * Features of the power spectrum of readings that were taken evenly. The spectrum is that of scipy.signal.periodogram: mean
 * removed, periodic Hann window, one-sided density in value^2 / Hz, padded with zeros to a power of two. Bands are [from, to)
 * in Hz; over all frequencies the energy is the variance of what the window leaves (Parseval).
 */
import { powerOfTwo, transform } from './fourier.ts'
import { centred } from './sequence.ts'

export type Band = readonly [from: number, to: number]
export interface Spectrum { readonly density: Float64Array, readonly step: number }     // Hz from one bin to the next

/** Fewest readings of which there is a spectrum. */
export const FEWEST = 4

/**
 * Readings per second: NaN when there are fewer than FEWEST, or one of them stands more than half an interval from its place in an
 * even row from the first to the last. `times` in ms, ascending.
 */
export function rateOf (times: Float64Array): number {
  const n = times.length, interval = (times[n - 1] - times[0]) / (n - 1)
  if (!(n >= FEWEST && interval > 0)) return NaN
  for (let i = 1; i < n - 1; i++) if (Math.abs(times[i] - times[0] - i * interval) > interval / 2) return NaN
  return 1000 / interval
}

export function spectrum (values: Float64Array, rate: number): Spectrum {
  const n = values.length, size = powerOfTwo(n), off = centred(values)
  const re = new Float64Array(size), im = new Float64Array(size)
  let weights = 0
  for (let i = 0; i < n; i++) {
    const w = 0.5 - 0.5 * Math.cos(2 * Math.PI * i / n)
    weights += w * w
    re[i] = off[i] * w
  }
  transform(re, im)
  const density = new Float64Array(size / 2 + 1)
  for (let k = 0; k <= size / 2; k++) density[k] = (k === 0 || k === size / 2 ? 1 : 2) * (re[k] * re[k] + im[k] * im[k]) / (rate * weights)
  return { density, step: rate / size }
}

/** In value^2, as far as the band lies below half the sampling rate; NaN when it does not, or no bin lies in it. */
export function bandEnergy ({ density, step }: Spectrum, band: Band): number {
  const first = firstOf(band, step, density.length - 1)
  let sum = 0
  for (let k = first; k < density.length && k * step < band[1]; k++) sum += density[k]
  return first >= 0 ? sum * step : NaN
}

/** The first bin of a band, below that at half the sampling rate; NaN when there is none. */
function firstOf ([from, to]: Band, step: number, half: number): number {
  const first = Math.max(0, Math.ceil(from / step))
  return first < half && first * step < to ? first : NaN
}

/** Mean frequency, in Hz, weighted by power; NaN without any. */
export function centroid ({ density, step }: Spectrum): number {
  let sum = 0, moment = 0
  for (let k = 1; k < density.length; k++) {
    sum += density[k]
    moment += k * density[k]
  }
  return sum > 0 ? moment / sum * step : NaN
}

/** Frequency of the highest bin, in Hz, by a parabola through the logarithms of it and its neighbours; NaN without power, or when that is not finite. */
export function peakFrequency ({ density, step }: Spectrum): number {
  let top = 1
  for (let k = 2; k < density.length; k++) if (density[k] > density[top]) top = k
  if (!(density[top] > 0 && density[top] < Infinity)) return NaN
  const [before, at, after] = [density[top - 1], density[top], density[top + 1]].map(Math.log)
  const shift = (before - after) / (2 * (before - 2 * at + after))
  return (top + (Math.abs(shift) <= 1 ? shift : 0)) * step
}

/** Shannon entropy of the power by frequency, without that at 0 Hz; 0: a single line, 1: white. NaN without power. */
export function spectralEntropy ({ density }: Spectrum): number {
  let sum = 0, entropy = 0
  for (let k = 1; k < density.length; k++) sum += density[k]
  for (let k = 1; k < density.length; k++) if (density[k] > 0) entropy -= density[k] / sum * Math.log(density[k] / sum)
  return sum > 0 ? entropy / Math.log(density.length - 1) : NaN
}

/**
 * The envelope of what lies in `carrier`: modulus of the analytic signal (Hilbert transform by the spectrum); NaN when that
 * has no energy that is known (see bandEnergy). Faults of rolling bearings show as lines in its spectrum (Randall and Antoni 2011).
 */
export function envelope (values: Float64Array, rate: number, carrier: Band): Float64Array {
  const n = values.length, size = powerOfTwo(n), step = rate / size, [from, to] = carrier
  if (Number.isNaN(firstOf(carrier, step, size / 2))) return new Float64Array(n).fill(NaN)
  const re = new Float64Array(size), im = new Float64Array(size)
  re.set(centred(values))
  transform(re, im)
  for (let k = 0; k < size; k++) {
    const kept = k <= size / 2 && k * step >= from && k * step < to ? (k === 0 || k === size / 2 ? 1 : 2) : 0
    re[k] *= kept
    im[k] *= kept
  }
  transform(re, im, true)
  return Float64Array.from({ length: n }, (_, i) => Math.hypot(re[i], im[i]))
}
