/** Numbers, times and spans for people; of the page and of the terminal. */
import type { Details } from '../explain.ts'

export const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

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

export const count = (n: number, what: string): string => `${n.toLocaleString('en')} ${what}${n === 1 ? '' : 's'}`
export const share = (x: number | null): string => x === null ? '-' : `${short(100 * x)} %`
export const rate = (x: number | null): string => x === null ? '-' : short(x)
export const between = (interval: readonly [number, number] | null): string => interval === null ? '' : `${Math.round(100 * interval[0])} to ${Math.round(100 * interval[1])} %`
export const confident = (interval: readonly [number, number] | null): string => interval === null ? '' : `${between(interval)} with 95 % confidence`

/** '0 to 1.95 per device and week with 95 % confidence' */
export const rarely = (interval: readonly [number, number] | null): string => interval === null ? '' : `${short(interval[0])} to ${short(interval[1])} with 95 % confidence`

/** Why an alert is one, as far as the steps before it say so: the heaviest of what contributes, what was expected, how rare it is. */
export function why ({ signals = [], expected, p, verdict, learning = [] }: Partial<Details> = {}): string {
  const bound = (x: number | null) => x === null ? '...' : short(x)
  return [
    ...verdict === undefined ? [] : [verdict], ...signals.slice(0, HEAVIEST).map(({ name, by, weight }) => weight === undefined ? `${name} (${by})` : `${name} ${short(weight)}`),
    ...expected === undefined ? [] : [`expected ${bound(expected.low)} to ${bound(expected.high)}`], ...p === undefined ? [] : [`p ${short(p)}`], ...learning.map(({ by, learned, of }) => `${by} has learned ${learned} of ${of}`)
  ].join('; ')
}

const HEAVIEST = 3, NAMED = 5
/** The first of some names, and how many more there are. */
export const listed = (names: readonly string[]): string => `${names.slice(0, NAMED).join(', ')}${names.length > NAMED ? ` and ${names.length - NAMED} more` : ''}`
