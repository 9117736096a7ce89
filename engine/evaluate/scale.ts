/** Axes: round numbers and round times. */
import { DAY, dayOf, HOUR, lasting, MINUTE, SECOND } from './words.ts'

/** Up to about `count` round numbers in [low, high]. */
export function ticksOf (low: number, high: number, count: number): number[] {
  const raw = (high - low) / count
  if (!(raw > 0) || !Number.isFinite(raw)) return [low]
  const power = 10 ** Math.floor(Math.log10(raw)), step = power * ([1, 2, 5].find(m => m * power >= raw * 0.999) ?? 10)
  const ticks: number[] = []
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9 && ticks.length <= 2 * count + 2; k++) ticks.push(k * step)
  return ticks
}

const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, ...[1, 2, 5, 10, 15, 30].map(n => n * SECOND), ...[1, 2, 5, 10, 15, 30].map(n => n * MINUTE), ...[1, 2, 3, 6, 12].map(n => n * HOUR), ...[1, 2, 7, 14, 28, 91, 182, 365, 1826, 3652].map(n => n * DAY)]

/** Round times (UTC) with their words; the day stands where it is new. */
export function timeTicks (from: number, to: number, count: number): { readonly at: number, readonly words: string, readonly day: string | undefined }[] {
  const step = STEPS.find(s => (to - from) / s <= count) ?? STEPS[STEPS.length - 1] * Math.ceil((to - from) / count / STEPS[STEPS.length - 1])
  let last = ''
  const ticks = []
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    const day = dayOf(at), clock = new Date(at).toISOString().slice(11, step < SECOND ? 23 : step < MINUTE ? 19 : 16)
    ticks.push({ at, words: step < DAY ? clock : day, day: step < DAY && day !== last ? day : undefined })
    last = day
  }
  return ticks
}

/** Round spans from 0 on. */
export function spanTicks (to: number, count: number): { readonly at: number, readonly words: string, readonly day: undefined }[] {
  return timeTicks(0, to, count).map(({ at }) => ({ at, words: lasting(at), day: undefined }))
}
