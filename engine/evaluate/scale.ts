/** Axes: round numbers and round times. */

/** Up to about `count` round numbers in [low, high]. */
export function ticksOf (low: number, high: number, count: number): number[] {
  const raw = (high - low) / count
  if (!(raw > 0) || !Number.isFinite(raw)) return [low]
  const power = 10 ** Math.floor(Math.log10(raw)), step = power * ([1, 2, 5].find(m => m * power >= raw * 0.999) ?? 10)
  const ticks: number[] = []
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9 && ticks.length <= 2 * count + 2; k++) ticks.push(k * step)
  return ticks
}

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, ...[1, 2, 5, 10, 15, 30].map(n => n * SECOND), ...[1, 2, 5, 10, 15, 30].map(n => n * MINUTE), ...[1, 2, 3, 6, 12].map(n => n * HOUR), ...[1, 2, 7, 14, 28, 91, 182, 365, 1826, 3652].map(n => n * DAY)]
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

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

/** '5 Jan 2026' */
export function dayOf (ms: number): string {
  const date = new Date(ms)
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`
}

/** '2026-01-05 10:00', and seconds or more when there are such. */
export function moment (ms: number): string {
  const [day, time] = new Date(ms).toISOString().slice(0, -1).split('T')
  return `${day} ${time.endsWith(':00.000') ? time.slice(0, 5) : time.endsWith('.000') ? time.slice(0, 8) : time}`
}

/** '2 h 5 min': two units at the most. */
export function lasting (ms: number): string {
  if (ms < 0) return `-${lasting(-ms)}`
  const units = [['d', DAY], ['h', HOUR], ['min', MINUTE], ['s', SECOND]] as const
  const k = units.findIndex(([, size]) => ms >= size)
  if (k < 0) return ms === 0 ? '0 s' : `${short(ms)} ms`
  const [name, size] = units[k]
  if (k === 3) return `${short(ms / SECOND)} s`
  const [below, smaller] = units[k + 1], rounded = Math.round(ms / smaller) * smaller
  if (k > 0 && rounded >= units[k - 1][1]) return lasting(rounded)
  const whole = Math.floor(rounded / size), rest = Math.round((rounded - whole * size) / smaller)
  return rest === 0 ? `${whole} ${name}` : `${whole} ${name} ${rest} ${below}`
}

/** A number with three or four digits that mean something. */
export function short (x: number): string {
  const a = Math.abs(x)
  return a !== 0 && (a >= 1e6 || a < 1e-3) ? x.toExponential(2).replace(/\.?0+e/, 'e').replace('e+', 'e') : String(Number(x.toPrecision(a >= 1000 ? 5 : 3)))
}
