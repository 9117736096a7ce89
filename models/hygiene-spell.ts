/**
 * How unlikely a spell is: so many events of a kind in a row. By the chain (runs.ts), and by the tail (tail.ts) of what comes reading
 * by reading, the lengths of spells that have ended and 0 between them, as soon as that has seen ENOUGH: the lesser of the two,
 * as spells of nature are longer than those of a chain. 64 bytes per stream.
 */
import { prefixed } from './fields.ts'
import { weightOf } from './news.ts'
import * as chains from './runs.ts'
import * as tails from './tail.ts'

const ENOUGH = 20                    // excesses, for the tail to be asked

export const spell: Readonly<Record<string, number>> = { ...prefixed('runs', chains.runs), ...prefixed('tail', tails.unheard) }
export const SPELL = Object.keys(spell).length
const TAIL = chains.RUNS

/** -log10 of the probability that a spell begins here and is at least so long. 0 for none. */
export function unlikely (m: Float64Array, at: number, length: number): number {
  const evidence = Math.min(chains.unlikely(m, at, length), tails.LIMIT)
  return tails.excesses(m, at + TAIL) < ENOUGH ? evidence : Math.min(evidence, tails.unlikely(m, at + TAIL, length))
}

/** The shortest spell that the chain finds as unlikely as that. */
export const longest = (m: Float64Array, at: number, evidence: number): number => chains.longest(m, at, evidence)

/** The chain learns a spell that has ended; 0 for a reading without. */
export const learn = (m: Float64Array, at: number, length: number): void => { chains.learn(m, at, length) }

/** The tail learns number `n` of its stream, which is as unlikely as `evidence`. */
export const learnTail = (m: Float64Array, at: number, length: number, n: number, evidence: number): void => { tails.take(m, at + TAIL, length, n, weightOf(evidence)) }
