/**
 * Values that are zero most of the time: how much comes when something comes, and how often. Forecasts are flat.
 *
 *   croston   size / interval, both smoothed when something comes: Croston 1972, Forecasting and stock control for intermittent demands
 *   sba       that without its bias, x (1 - gain / 2): Syntetos and Boylan 2005, The accuracy of intermittent demand estimates
 *   tsb       probability x size, the probability smoothed at each step, so that what has ceased is forgotten: Teunter, Syntetos
 *             and Babai 2011, Intermittent demand: linking forecasting and inventory obsolescence
 *
 * 40 bytes per stream.
 */
export const GAIN = 0.1

/** One stream: how often something came, steps since, the smoothed size and interval, the smoothed probability. */
export const intermittent = { came: 0, since: 0, size: 0, interval: 0, probability: 0 }
export const INTERMITTENT = Object.keys(intermittent).length
const CAME = 0, SINCE = 1, SIZE = 2, INTERVAL = 3, PROBABILITY = 4

/** Takes in the value of step number `n` >= 1. Before that many that 1 / n is below the gain, means are plain. */
export function learn (m: Float64Array, at: number, value: number, n: number): void {
  const since = ++m[at + SINCE], now = value === 0 ? 0 : 1
  m[at + PROBABILITY] += (now - m[at + PROBABILITY]) * Math.max(1 / n, GAIN)
  if (now === 0) return
  const gain = Math.max(1 / ++m[at + CAME], GAIN)
  m[at + SIZE] += (value - m[at + SIZE]) * gain
  m[at + INTERVAL] += (since - m[at + INTERVAL]) * gain
  m[at + SINCE] = 0
}

export const croston = (m: Float64Array, at: number): number => m[at + CAME] === 0 ? 0 : m[at + SIZE] / m[at + INTERVAL]
export const sba = (m: Float64Array, at: number): number => (1 - GAIN / 2) * croston(m, at)
export const tsb = (m: Float64Array, at: number): number => m[at + PROBABILITY] * m[at + SIZE]
