/** The text of `given`, read: see trial.ts for its form. */
export const DEFAULT_TENANT = 'default'

/** The day of times without a date. */
const DAY = Date.UTC(2000, 0, 1)
const HOURS = 10_000

interface At { readonly arrival: number }
export interface Reading extends At { readonly kind: 'reading', readonly time: number, readonly tenant: string, readonly device: string, readonly metric: string, readonly value: number, readonly tags: Readonly<Record<string, string>> }
export type Line = Reading | At & { readonly kind: 'tick' | 'end' }
export interface GivenProblem { readonly row: number, readonly message: string, readonly help?: string }

const FORM = 'write: 00:00:00 device/metric 80, or 00:10:00 tick, or end'

export function parseGiven (text: string): { lines: Line[], problems: GivenProblem[] } {
  const lines: Line[] = [], problems: GivenProblem[] = []
  let arrival = -Infinity, ended = false
  text.split(/\r?\n/).forEach((raw, row) => {
    const words = raw.replace(/(^|\s)#.*$/, '').trim().split(/\s+/)
    if (words[0] === '') return
    const fail = (message: string, help?: string) => { problems.push({ row, message, ...help === undefined ? {} : { help } }) }
    if (ended) return fail('nothing comes after the end')
    if (words[0] === 'end' && words.length === 1) {
      ended = true
      lines.push({ kind: 'end', arrival: arrival === -Infinity ? DAY : arrival })
      return
    }
    const time = clockTime(words[0])
    if (Number.isNaN(time)) return fail(`"${words[0]}" is not a time`, FORM)
    if (words[1] === 'tick' && words.length === 2) {
      if (time < arrival) return fail(`the tick at ${words[0]} lies before the line above it, at ${showTime(arrival)}`)
      arrival = time
      lines.push({ kind: 'tick', arrival })
      return
    }
    const [, name = '', amount, ...more] = words
    const parts = name.split('/')
    if (parts.length < 2 || parts.length > 3 || parts.includes('')) return fail(`"${name}" is not a series`, FORM)
    const value = amount === '-' ? NaN : amount === 'true' ? 1 : amount === 'false' ? 0 : Number(amount ?? 'none')
    if (Number.isNaN(value) && amount !== '-') return fail(amount === undefined ? 'a value is missing' : `"${amount}" is not a number`, 'a reading without a value is written -')
    const tags: Record<string, string> = {}
    let arrives = Math.max(arrival, time)
    for (const word of more) {
      const tag = /^([^=@]+)=(.*)$/.exec(word)
      if (tag !== null) { tags[tag[1]] = tag[2]; continue }
      arrives = word.startsWith('@') ? clockTime(word.slice(1)) : NaN
      if (Number.isNaN(arrives)) return fail(`"${word}" is neither an arrival (@00:00:09) nor a tag (site=north)`)
      if (arrives < arrival) return fail(`it arrives at ${showTime(arrives)}, before the line above it, at ${showTime(arrival)}`, 'lines stand in the order of arrival; a reading may be dated earlier than it arrives')
    }
    arrival = arrives
    const [metric, device, tenant = DEFAULT_TENANT] = parts.toReversed()
    lines.push({ kind: 'reading', time, arrival, tenant, device, metric, value, tags })
  })
  return { lines, problems }
}

/** HH:MM:SS[.mmm] of the day of tests, or a full ISO time, in ms; NaN for anything else. */
export function clockTime (text: string): number {
  const [, h, m, s = '0'] = /^(\d{2,4}):([0-5]\d)(?::([0-5]\d(?:\.\d{1,6})?))?$/.exec(text) ?? []
  if (h !== undefined) return DAY + Number(h) * 36e5 + Number(m) * 6e4 + Math.round(Number(s) * 1e6) / 1e3
  return /^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : NaN
}

/** The same the other way round, as short as it can be written. */
export function showTime (ms: number): string {
  if (!Number.isFinite(ms)) return String(ms)
  const inside = ms - DAY
  if (inside < 0 || inside >= HOURS * 36e5) return new Date(ms).toISOString().replace('.000Z', 'Z')
  const two = (n: number) => String(n).padStart(2, '0')
  const seconds = Math.floor(inside / 1e3), rest = Math.round((inside - seconds * 1e3) * 1e3)
  const fraction = rest === 0 ? '' : `.${String(rest).padStart(6, '0').replace(/0+$/, '')}`
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}${fraction}`
}
