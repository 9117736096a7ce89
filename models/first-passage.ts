/**
 * When a Wiener process with drift first reaches a level: inverse Gaussian (Chhikara and Folks 1989). The drift is known as a
 * normal distribution only, over which the closed form is (Whitmore 1986, Normal-gamma mixtures of inverse Gaussian
 * distributions; Si, Wang, Hu, Chen and Zhou 2012, A Wiener-process-based degradation model), and so is the place where the
 * process is now, over which three points of Gauss and Hermite are taken.
 */
import { logNormal } from './significance.ts'

export interface Wiener {
  readonly distance: number          // to the level, above 0
  readonly drift: number             // towards it, per unit of time
  readonly variance: number          // of the process, per unit of time; above 0
  readonly driftVariance: number     // how well the drift is known
  readonly placeVariance: number     // how well the place is known
}

/** Probability that the level is reached within t >= 0. It may stay below 1 for ever, as the drift may lead away. */
export function reached (w: Wiener, t: number): number {
  if (!(w.placeVariance > 0)) return from(w, w.distance, t)
  const off = Math.sqrt(3 * w.placeVariance)
  return from(w, w.distance, t) * 2 / 3 + (from(w, w.distance - off, t) + from(w, w.distance + off, t)) / 6
}

function from ({ drift, variance, driftVariance }: Wiener, distance: number, t: number): number {
  if (distance <= 0) return 1
  if (!(t > 0)) return 0
  const sd = Math.sqrt(variance * t + driftVariance * t * t), tilt = 2 * distance / variance
  const direct = Math.exp(logNormal((drift * t - distance) / sd))
  const reflected = Math.exp(tilt * drift + tilt * tilt * driftVariance / 2 + logNormal(-((drift + tilt * driftVariance) * t + distance) / sd))
  return Math.min(1, direct + reflected)
}

const DOUBLINGS = 60, STEPS = 60, EXACT = 1e-5

/** The time by which the level is reached with probability p, to a relative 1e-5; Infinity when that never comes, or not within 2^60 times distance / drift. */
export function quantile (w: Wiener, p: number): number {
  let high = Math.abs(w.distance / w.drift), atHigh = reached(w, high) - p
  for (let k = 0; atHigh < 0; k++, high *= 2, atHigh = reached(w, high) - p) if (k === DOUBLINGS) return Infinity
  let low = high, atLow = atHigh
  while (atLow > 0 && low > 0) { low /= 2; atLow = reached(w, low) - p }
  for (let k = 0; k < STEPS && high - low > EXACT * high; k++) {      // Illinois, a regula falsi that cannot get stuck at one end
    const t = k % 8 === 7 ? (low + high) / 2 : (low * atHigh - high * atLow) / (atHigh - atLow), at = reached(w, t) - p
    if (at >= 0) { high = t; atHigh = at; atLow /= 2 } else { low = t; atLow = at; atHigh /= 2 }
  }
  return (low + high) / 2
}
