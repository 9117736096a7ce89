/** What every benchmark is written with: alternated runs, medians, spread, CPU time. */

/** A benchmark: checks its answer, then returns its figures. Throws when the answer is wrong. */
export interface Benchmark {
  readonly summary: string
  readonly unit: string              // what one row of its figures stands for
  /** Options of its own: --name value. */
  readonly options?: Readonly<Record<string, { readonly type: 'string', readonly default: string }>>
  /** Throws when an option has a value that it cannot have. */
  check? (options: Options): void
  run (say: (line: string) => void, options: Options): Promise<readonly Figures[]>
  /** What is wrong with figures that are shown all the same, of what these options measure; then the program ends with 1. */
  fault? (figures: Figures, options?: Options): string | undefined
  /** Name of the file that --save writes; that of the benchmark when absent. */
  savedAs? (options: Options): string
}
export type Options = Readonly<Record<string, string>>
export type Figures = Readonly<Record<string, number | string | boolean | readonly number[] | Readonly<Record<string, number | readonly number[] | Readonly<Record<string, number>>>>>>

export interface Spread { readonly median: number, readonly low: number, readonly high: number }

export function spread (of: readonly number[]): Spread {
  const sorted = [...of].sort((a, b) => a - b), middle = (sorted.length - 1) / 2
  return { median: (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2, low: sorted[0], high: sorted[sorted.length - 1] }
}

/** CPU nanoseconds (user and system, all threads of this process) that `work` takes. */
export function cpuOf (work: () => void): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) * 1000
}

/**
 * Runs the contestants one after the other, `rounds` times, each once before that to warm up, so that whatever else the
 * machine does falls on all of them. Returns the CPU nanoseconds of each run.
 */
export function alternate<K extends string> (rounds: number, contestants: Readonly<Record<K, () => void>>): Record<K, number[]> {
  const entries = Object.entries(contestants) as [K, () => void][]
  for (const [, work] of entries) work()
  const taken = Object.fromEntries(entries.map(([name]) => [name, []])) as unknown as Record<K, number[]>
  for (let round = 0; round < rounds; round++) for (const [name, work] of entries) taken[name].push(cpuOf(work))
  return taken
}

/** What of figures lies outside what was asked for, [least, most]; undefined when nothing does. One that is not there, or no number, does. */
export function missed (figures: Figures, asked: Readonly<Record<string, readonly [least: number, most: number]>>): string | undefined {
  const out = Object.entries(asked).filter(([name, [least, most]]) => !(Number(figures[name]) >= least && Number(figures[name]) <= most))
  const range = (least: number, most: number) => most === Infinity ? `at least ${least}` : least === -Infinity ? `at most ${most}` : `${least} to ${most}`
  return out.length === 0 ? undefined : out.map(([name, [least, most]]) => `${name} is ${Number(figures[name])}, asked for ${range(least, most)}`).join('; ')
}
export const atLeast = (x: number): readonly [number, number] => [x, Infinity]
export const atMost = (x: number): readonly [number, number] => [-Infinity, x]

export const round = (x: number, digits = 3): number => Number(x.toPrecision(digits))

/** Throws unless the two are equal up to a relative `tolerance`. */
export function mustEqual (what: string, got: number, expected: number, tolerance = 0): void {
  if (got === expected || (Number.isNaN(got) && Number.isNaN(expected))) return
  if (Math.abs(got - expected) <= tolerance * Math.max(Math.abs(got), Math.abs(expected))) return
  throw new Error(`the answer is wrong: ${what} is ${got}, expected ${expected}`)
}

/** Throws unless there are so many numbers, all of them above `low` and at most `high`. */
export function mustLie (what: string, numbers: ArrayLike<number>, count: number, low: number, high: number): void {
  mustEqual(`the number of ${what}`, numbers.length, count)
  for (let i = 0; i < count; i++) if (!(numbers[i] > low && numbers[i] <= high)) throw new Error(`the answer is wrong: number ${i} of ${what} is ${numbers[i]}, expected above ${low} and at most ${high}`)
}

export function percentiles (of: readonly number[]): { p50: number, p99: number } {
  const sorted = [...of].sort((a, b) => a - b), at = (p: number) => Math.round(sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] ?? 0)
  return { p50: at(0.5), p99: at(0.99) }
}
