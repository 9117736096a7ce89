/** What every row of the fault matrix is written with. */
import type { Server } from './server.ts'
export { percentiles } from '../measure.ts'

export const tiers = ['commit', 'nightly', 'release'] as const
export type Tier = typeof tiers[number]

export type Value = number | string | boolean | undefined | Readonly<Record<string, number>>
/** What a row has measured. `wrong`: what is not as expected; a row passes when nothing is. */
export interface Report { readonly figures: Readonly<Record<string, Value>>, readonly wrong: readonly string[] }

/** A row of the matrix: one fault, injected for a number of rounds, and what must come of it. */
export interface Row {
  readonly id: string
  readonly name: string
  readonly fault: string
  readonly expected: string
  /** Rounds by tier; a row is not run in a tier that it does not name. */
  readonly tiers: Readonly<Partial<Record<Tier, number>>>
  /** It compares times or rates, which another row at the same time would change: it runs alone. */
  readonly alone?: true
  run (bench: Bench): Promise<Report>
}

/** What a row is given to run with. */
export interface Bench {
  readonly rounds: number
  readonly seed: number
  /** Bounds of time, of ratios of times, and waits are multiplied by it, for a machine that is slow or busy. It stands in the results. */
  readonly stretch: number
  readonly signal: AbortSignal       // aborted: end
  /** What must be undone when the row has run, in reverse, also after an error. */
  readonly closing: (() => unknown)[]
  readonly say: (line: string) => void
  /** Says how far it is, if nothing was said so for ten seconds. */
  readonly progress: (line: string) => void
  /** A real PostgreSQL that all rows share, one after the other: who breaks it mends it. */
  readonly server: () => Promise<Server>
}

/** A row cannot run here: a program is missing, or the system does not allow what it does. */
export class Skipped extends Error {}

/** What of the outcome of a stage must be nothing. */
export function exact ({ lost, duplicated, phantom, state_mismatches }: Readonly<Record<'lost' | 'duplicated' | 'phantom' | 'state_mismatches', number>>): string[] {
  return Object.entries({ lost, duplicated, phantom, state_mismatches }).filter(([, n]) => n !== 0).map(([what, n]) => `${n} ${what}`)
}

/** What a sender sends again is found in the log: no message may stand there twice, even if a step of the pipeline would find it. */
export const once = ({ repeated }: { readonly repeated: number }): string[] => unless(repeated === 0, `${repeated} messages stand in the log twice`)

/** What is said when `holds` is not. */
export const unless = (holds: boolean, wrong: string): string[] => holds ? [] : [wrong]
