/** How numbers are read as timestamps. */
export type TimeUnit = 'auto' | 's' | 'ms' | 'us' | 'ns'

/**
 * A timestamp in ms since 1970, exact to the microsecond; NaN when it is none. Reads ISO 8601 text (RFC 3339 and its
 * date-only, second-less and space-separated relatives; UTC when there is no offset) and numbers or numeric text since the epoch.
 * `auto` tells units apart by size: [1e8, 1e11) s, [1e11, 1e14) ms, [1e14, 1e17) us, [1e17, 1e20) ns,
 * each of them from March 1973 to the year 5138; anything smaller, such as the uptime of a device without a clock, is none.
 */
export function readTime (value: unknown, unit: TimeUnit = 'auto'): number {
  if (typeof value === 'number') return fromEpoch(value, unit)
  if (typeof value !== 'string') return NaN
  return NUMBER.test(value) ? fromEpoch(Number(value), unit) : fromIso(value)
}

const NUMBER = /^[+-]?\d+(?:\.\d+)?$/

/** Rounds to whole microseconds. */
export function fromEpoch (x: number, unit: TimeUnit): number {
  switch (unit) {
    case 'auto':
      if (x >= 1e11) return x < 1e14 ? fromEpoch(x, 'ms') : x < 1e17 ? fromEpoch(x, 'us') : x < 1e20 ? fromEpoch(x, 'ns') : NaN
      return x >= 1e8 ? fromEpoch(x, 's') : NaN
    case 's': return Math.round(x * 1e6) / 1e3
    case 'ms': return Number.isInteger(x) ? x : Math.round(x * 1e3) / 1e3
    case 'us': return Math.round(x) / 1e3
    case 'ns': return Math.round(x / 1e3) / 1e3
  }
}

const ZERO = 48, DASH = 45, COLON = 58

/** `YYYY-MM-DD`, or that with `Thh:mm[:ss[.f+]][Z|+hh[:mm]|-hh[:mm]]`. A leap second is the second after it. */
function fromIso (s: string): number {
  const year = digits(s, 0, 4), month = digits(s, 5, 2), day = digits(s, 8, 2)
  if (year < 0 || s.charCodeAt(4) !== DASH || month < 1 || month > 12 || s.charCodeAt(7) !== DASH || day < 1 || day > daysIn(year, month)) return NaN
  const midnight = daysSince1970(year, month, day) * 86_400
  if (s.length === 10) return midnight * 1e3
  const t = s[10], hour = digits(s, 11, 2), minute = digits(s, 14, 2)
  if ((t !== 'T' && t !== 't' && t !== ' ') || hour < 0 || hour > 23 || s.charCodeAt(13) !== COLON || minute < 0 || minute > 59) return NaN
  let i = 16, second = 0, us = 0
  if (s.charCodeAt(i) === COLON) {
    second = digits(s, i + 1, 2)
    if (second < 0 || second > 60) return NaN
    i += 3
    if (s[i] === '.' || s[i] === ',') {
      const start = ++i
      let scale = 1e5
      for (let d = digits(s, i, 1); d >= 0; d = digits(s, ++i, 1)) { us += d * scale; scale /= 10 }
      if (i === start) return NaN
    }
  }
  const offset = zone(s, i)
  return (midnight + hour * 3600 + minute * 60 + second - offset) * 1e3 + Math.round(us) / 1e3
}

/** Seconds east of UTC that the rest of the text says; NaN when it is no offset. */
function zone (s: string, i: number): number {
  const sign = s[i]
  if (i === s.length || (i + 1 === s.length && (sign === 'Z' || sign === 'z'))) return 0
  if (sign !== '+' && sign !== '-') return NaN
  const hour = digits(s, i + 1, 2)
  let minute = 0
  if (s.length > i + 3) {
    const from = s.charCodeAt(i + 3) === COLON ? i + 4 : i + 3
    minute = s.length === from + 2 ? digits(s, from, 2) : -1
  }
  return hour < 0 || hour > 23 || minute < 0 || minute > 59 ? NaN : (sign === '-' ? -60 : 60) * (hour * 60 + minute)
}

/** The number that `count` digits from `at` make, or -1. */
function digits (s: string, at: number, count: number): number {
  let n = 0
  for (let i = at; i < at + count; i++) {
    const d = s.charCodeAt(i) - ZERO
    if (!(d >= 0 && d <= 9)) return -1
    n = n * 10 + d
  }
  return n
}

const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
const daysIn = (year: number, month: number): number => month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : DAYS[month - 1]

/** Days of the proleptic Gregorian calendar (H. Hinnant, chrono-compatible low-level date algorithms: days_from_civil). */
function daysSince1970 (year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400), ofEra = y - era * 400
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  return era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719_468
}
