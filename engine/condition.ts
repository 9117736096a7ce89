import type { Batch, Numbers } from './batch.ts'

/** What one column must be. Several keys: all of them. */
export interface Test {
  readonly above?: number
  readonly below?: number
  readonly atLeast?: number
  readonly atMost?: number
  readonly equals?: number
  readonly outside?: readonly [number, number]   // below the first or above the second
  readonly inside?: readonly [number, number]    // both ends belong to it
}

/** A condition as data: columns (or `value`) with their tests, all of which must hold; `any` and `all` nest. */
export type Condition<C extends string = string> = string extends C
  ? { readonly [column: string]: Test | readonly Condition[] | undefined, readonly any?: readonly Condition[], readonly all?: readonly Condition[] }
  : { readonly [K in C]?: Test } & { readonly any?: readonly Condition<C>[], readonly all?: readonly Condition<C>[] }

export const HOLDS = 1, FAILS = 0, UNKNOWN = 2   // unknown: a column that it reads has no value in this row

/** The columns that a condition reads, each once. */
export function columnsOf (condition: Condition): string[] {
  const own = Object.keys(condition).filter(k => k !== 'any' && k !== 'all')
  const nested = [...condition.any ?? [], ...condition.all ?? []].flatMap(columnsOf)
  return [...new Set([...own, ...nested])]
}

/** HOLDS, FAILS or UNKNOWN for each row. `any` holds if one of it holds; `all` and columns fail if one of them fails. */
export function evaluate (condition: Condition, batch: Batch<any>): Uint8Array {
  const out = new Uint8Array(batch.length).fill(HOLDS)
  for (const [column, test] of Object.entries(condition)) {
    if (column === 'any' || column === 'all') continue
    both(out, tested(batch.column(column), test as Test))
  }
  for (const part of condition.all ?? []) both(out, evaluate(part, batch))
  if (condition.any !== undefined) {
    const some = new Uint8Array(batch.length).fill(FAILS)
    for (const part of condition.any) either(some, evaluate(part, batch))
    both(out, some)
  }
  return out
}

const ends = { outside: 'outside', inside: 'inside' } as const
const bounds = { above: 'above', below: 'below', atLeast: 'at least', atMost: 'at most', equals: 'equal to' } as const

/** What is wrong with a condition, in a sentence; undefined when nothing is. */
export function faultOf (condition: Condition): string | undefined {
  const parts = Object.entries(condition)
  if (parts.length === 0) return 'a condition without a test says nothing; write for example { value: { above: 80 } }'
  for (const [key, part] of parts) {
    if (key === 'any' || key === 'all') {
      if (!Array.isArray(part) || part.length === 0) return `"${key}" must be a list of conditions`
      for (const one of part) { const fault = faultOf(one); if (fault !== undefined) return fault }
      continue
    }
    if (part === null || typeof part !== 'object' || Object.keys(part).length === 0) return `"${key}" needs a test, such as { above: 80 }`
    for (const [test, bound] of Object.entries(part)) {
      if (test in bounds) { if (typeof bound !== 'number' || Number.isNaN(bound)) return `"${key}.${test}" must be a number, got ${JSON.stringify(bound)}` }
      else if (test in ends) { if (!Array.isArray(bound) || bound.length !== 2 || !bound.every(b => typeof b === 'number') || !(bound[0] <= bound[1])) return `"${key}.${test}" must be [low, high], got ${JSON.stringify(bound)}` }
      else return `"${key}.${test}" is no test; there are: ${[...Object.keys(bounds), ...Object.keys(ends)].join(', ')}`
    }
  }
  return undefined
}

/** A condition in words: 'zscore is 5.2 (above 4) and value is 93 (above 80)'. `now` says what a column is. */
export function describe (condition: Condition, now: (column: string) => string): string {
  const own = Object.entries(condition).filter(([key]) => key !== 'any' && key !== 'all')
    .map(([column, test]) => `${column} is ${now(column)} (${Object.entries(test as Test).map(([key, bound]) => key in ends ? `${key} ${bound[0]} to ${bound[1]}` : `${bounds[key as 'above']} ${bound}`).join(', ')})`)
  const all = (condition.all ?? []).map(part => describe(part, now))
  const any = condition.any === undefined ? [] : [condition.any.map(part => describe(part, now)).join(' or ')]
  return [...own, ...all, ...any].join(' and ')
}

function tested (x: Numbers, { above = -Infinity, below = Infinity, atLeast = -Infinity, atMost = Infinity, equals, outside, inside }: Test): Uint8Array {
  const [low, high] = inside ?? [-Infinity, Infinity]
  const [under, over] = outside ?? [Infinity, -Infinity]
  const out = new Uint8Array(x.length)
  for (let i = 0; i < x.length; i++) {
    const v = x[i]
    out[i] = Number.isNaN(v)
      ? UNKNOWN
      : v > above && v < below && v >= atLeast && v <= atMost && v >= low && v <= high && (v < under || v > over) && (equals === undefined || v === equals) ? HOLDS : FAILS
  }
  return out
}

function both (a: Uint8Array, b: Uint8Array): void {
  for (let i = 0; i < a.length; i++) a[i] = a[i] === FAILS || b[i] === FAILS ? FAILS : a[i] === UNKNOWN || b[i] === UNKNOWN ? UNKNOWN : HOLDS
}
function either (a: Uint8Array, b: Uint8Array): void {
  for (let i = 0; i < a.length; i++) a[i] = a[i] === HOLDS || b[i] === HOLDS ? HOLDS : a[i] === UNKNOWN || b[i] === UNKNOWN ? UNKNOWN : FAILS
}
