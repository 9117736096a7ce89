import { prefixed } from './fields.ts'
import { STAY } from './hygiene-levels.ts'
import { front, makeRoom, TWICE } from './hygiene-recent.ts'
import * as recurrences from './recurrence.ts'

/**
 * Rests: values at which spells as unlikely as an alarm have ended, of STAY readings or more. A spell at one of them is usual that is
 * not much longer than two before (recurrence.ts). 48 bytes per series.
 */
const rest = { value: NaN, ...recurrences.recurrence }
const SLOTS = 2, WIDTH = Object.keys(rest).length, VALUE = 0, LENGTH = 1, SECOND = 2
export const rests: Readonly<Record<string, number>> = Object.assign({}, ...Array.from({ length: SLOTS }, (_, k) => prefixed(`rest${k}`, rest)))

/** Repeats that are usual at a value; 0 where it does not rest. */
export function usual (m: Float64Array, at: number, value: number): number {
  for (let k = 0, slot = at; k < SLOTS; k++, slot += WIDTH) if (m[slot + VALUE] === value) return recurrences.usual(m, slot + LENGTH)
  return 0
}

/** How often such spells have ended at a value, as far as it is remembered: 0, 1 or TWICE for more. */
export function times (m: Float64Array, at: number, value: number): number {
  for (let k = 0, slot = at; k < SLOTS; k++, slot += WIDTH) if (m[slot + VALUE] === value) return m[slot + SECOND] > 0 ? TWICE : 1
  return 0
}

/** Learns a spell of so many repeats that has ended and was as unlikely as an alarm. */
export function learn (m: Float64Array, at: number, value: number, length: number): void {
  if (length < STAY) return
  let k = 0
  while (k < SLOTS && m[at + k * WIDTH + VALUE] !== value) k++
  if (k < SLOTS) front(m, at, WIDTH, k)
  else {
    makeRoom(m, at, WIDTH, SLOTS, SECOND)
    m[at + VALUE] = value
    m[at + LENGTH] = m[at + SECOND] = 0
  }
  recurrences.learn(m, at + LENGTH, length)
}
