import { clockTime, showTime } from './given.ts'

/** One row or transition, by the names that tests use. `time` and `since` in ms. */
export type Entry = Readonly<Record<string, unknown>>
/** Where a test and what happened part: lines that begin with `-` were expected, those with `+` came instead. */
export interface Difference { readonly what: string, readonly lines: readonly string[] }

/** Nothing when they agree. */
export function compare (what: string, expected: unknown, actual: unknown, tolerance: number): Difference[] {
  if (!Array.isArray(expected)) return expected === actual ? [] : [{ what, lines: [`- ${String(expected)}`, `+ ${String(actual)}`] }]
  const given = actual as readonly Entry[]
  const same = (e: Entry, a: Entry) => agrees(e, a, tolerance)
  if (expected.length === given.length && expected.every((e, i) => same(e, given[i]))) return []
  const keys = [...new Set(expected.flatMap(e => Object.keys(e)))]
  return [{ what, lines: diff(expected, given, same).map(([mark, entry]) => `${mark} ${line(entry, mark === '+' && keys.length > 0 ? [...keys, 'provisional'] : undefined)}`) }]
}

/** Whether an entry has everything that is expected of it. A provisional row is never meant unless it is said. */
function agrees (expected: Entry, actual: Entry, tolerance: number): boolean {
  return Object.entries({ provisional: false, ...expected }).every(([key, e]) => {
    const a = key === 'provisional' ? actual[key] === true : actual[key]
    if (key === 'time' || key === 'since') return clockTime(String(e)) === a
    if (e === null || (typeof e === 'number' && Number.isNaN(e))) return a === null || Number.isNaN(a)
    if (typeof e === 'number') return typeof a === 'number' && Math.abs(a - e) <= tolerance * Math.max(1, Math.abs(e))
    return e === a
  })
}

/** The shortest way from one list to the other (longest common subsequence). */
function diff (expected: readonly Entry[], actual: readonly Entry[], same: (e: Entry, a: Entry) => boolean): [' ' | '-' | '+', Entry][] {
  const n = expected.length, m = actual.length
  const common = Array.from({ length: n + 1 }, () => new Int32Array(m + 1))
  for (let i = n - 1; i >= 0; i--) for (let j = m - 1; j >= 0; j--) common[i][j] = same(expected[i], actual[j]) ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1])
  const out: [' ' | '-' | '+', Entry][] = []
  let i = 0, j = 0
  while (i < n || j < m) {
    if (i < n && j < m && same(expected[i], actual[j])) { out.push([' ', expected[i++]]); j++ }
    else if (i < n && (j === m || common[i + 1][j] >= common[i][j + 1])) out.push(['-', expected[i++]])
    else out.push(['+', actual[j++]])
  }
  return out
}

function line (entry: Entry, keys?: readonly string[]): string {
  const shown = Object.entries(entry).filter(([key]) => keys === undefined || keys.includes(key))
  return `{ ${shown.map(([key, value]) => `${key}: ${(key === 'time' || key === 'since') && typeof value === 'number' ? showTime(value) : typeof value === 'number' && Number.isNaN(value) ? 'null' : String(value)}`).join(', ')} }`
}
