import { prefixed } from './fields.ts'
import { DOUBLE, isGrowth, spentAfter } from './news.ts'

/**
 * What of the findings is told, so that each kind keeps to the budget whatever a series does. Each event doubles how rare the next of its
 * kind has to be, once as many as it allows in its time have come, and what the budget allows is forgiven (news.ts). What comes back within HOLD readings is the same event: of spikes
 * and changes it is told again when there is so much more of it that it is news; what is held, stuck or clipping, in every reading, and
 * when it goes on by coming back it is another event every LASTING readings. 104 bytes per series.
 */
export const costly = ['stuck', 'gap', 'spike', 'rate', 'clipping', 'clock', 'unit'] as const
export type Costly = typeof costly[number]
const event = { largest: 0, quiet: 0 }      // evidence of what was told of it, 0: there is none; readings since the last finding
export const told: Readonly<Record<string, number>> = { held: Infinity, age: Infinity, ...prefixed('spike', event), ...prefixed('rate', event), ...prefixed('spent', Object.fromEntries(costly.map(check => [check, 0]))) }
export const TOLD_WIDTH = Object.keys(told).length
const HELD = 0, AGE = 1, SPIKE = 2, RATE = 4, SPENT = 6, LARGEST = 0, QUIET = 1      // held, age: readings since stuck or clipping was told, and since it was counted

const HOLD = 100
const LASTING = 1000

/** One reading passes, with this evidence of a spike and of a change, in which chance may give an alarm with this probability. */
export function pass (m: Float64Array, at: number, chance: number, limit: number, spike: number, rate: number): void {
  m[at + HELD]++
  m[at + AGE]++
  for (let k = at + SPENT; k < at + TOLD_WIDTH; k++) if (m[k] > 0) m[k] = spentAfter(m[k], chance, false)
  goOn(m, at + SPIKE, spike >= limit)
  goOn(m, at + RATE, rate >= limit)
}

function goOn (m: Float64Array, event: number, found: boolean): void {
  if (m[event + LARGEST] === 0) return
  m[event + QUIET] = found ? 0 : m[event + QUIET] + 1
  if (m[event + QUIET] >= HOLD) m[event + LARGEST] = m[event + QUIET] = 0
}

/** Whether a finding of that evidence, at least `limit`, is told; `allowed` events of a kind cost nothing. Before `pass`. */
export function tells (m: Float64Array, at: number, check: Costly, evidence: number, limit: number, allowed: number): boolean {
  if (check === 'stuck' || check === 'clipping') {
    if (!goesOn(m, at)) {
      if (!counts(m, at, check, evidence, limit, allowed)) return false
      m[at + AGE] = 0
    }
    m[at + HELD] = 0
    return true
  }
  if (check !== 'spike' && check !== 'rate') return counts(m, at, check, evidence, limit, allowed)
  const event = at + (check === 'spike' ? SPIKE : RATE), largest = m[event + LARGEST]
  if (largest > 0 ? !isGrowth(largest, evidence) : !counts(m, at, check, evidence, limit, allowed)) return false
  m[event + LARGEST] = evidence
  return true
}

/** Whether what is held was told in the reading before, or comes back while its event goes on. */
const goesOn = (m: Float64Array, at: number): boolean => m[at + HELD] <= 1 || m[at + HELD] < HOLD && m[at + AGE] < LASTING

/** Whether another event of a kind is so rare as the budget has it; then it is counted. */
function counts (m: Float64Array, at: number, check: Costly, evidence: number, limit: number, allowed: number): boolean {
  const spent = at + SPENT + costly.indexOf(check)
  if (evidence < limit + Math.max(0, m[spent] - allowed * DOUBLE)) return false
  m[spent] = spentAfter(m[spent], 0, true)
  return true
}
