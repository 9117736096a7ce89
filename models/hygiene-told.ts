import { prefixed } from './fields.ts'
import { barAfter, isNews, isTold, spentAfter } from './news.ts'

/**
 * What of the findings is told, so that each kind keeps to the budget whatever a series does. Each event doubles how rare the next of its
 * kind has to be, and what the budget allows is forgiven (news.ts). What goes on is one event: of spikes and changes it is told again
 * when there is so much more of it that it is news; what is held, stuck or clipping, in every reading until there was none for HOLD
 * readings. 88 bytes per series.
 */
export const costly = ['stuck', 'gap', 'spike', 'rate', 'clipping', 'clock', 'unit'] as const
export type Costly = typeof costly[number]
export const told: Readonly<Record<string, number>> = { held: Infinity, spike: 0, rate: 0, ...prefixed('spent', Object.fromEntries(costly.map(check => [check, 0]))) }
export const TOLD_WIDTH = Object.keys(told).length
const HELD = 0, SPIKE = 1, RATE = 2, SPENT = 3      // held: readings since stuck or clipping was told; bars of news

const HOLD = 100

/** One reading passes, in which chance may give an alarm with this probability. */
export function pass (m: Float64Array, at: number, chance: number, spike: number, rate: number): void {
  m[at + HELD]++
  for (let k = at + SPENT; k < at + TOLD_WIDTH; k++) if (m[k] > 0) m[k] = spentAfter(m[k], chance, false)
  if (spike > 0 || m[at + SPIKE] > 0) m[at + SPIKE] = barAfter(m[at + SPIKE], spike)
  if (rate > 0 || m[at + RATE] > 0) m[at + RATE] = barAfter(m[at + RATE], rate)
}

/** Whether a finding of that evidence, at least `limit`, is told. Before `pass`. */
export function tells (m: Float64Array, at: number, check: Costly, evidence: number, limit: number): boolean {
  const spent = at + SPENT + costly.indexOf(check), held = check === 'stuck' || check === 'clipping', bar = check === 'spike' ? m[at + SPIKE] : check === 'rate' ? m[at + RATE] : 0
  if (!(held && m[at + HELD] < HOLD)) {
    if (!isTold(bar, evidence, isNews(bar, evidence), limit + m[spent])) return false
    if (isTold(bar, evidence, false, limit)) m[spent] = spentAfter(m[spent], 0, true)
  }
  if (held) m[at + HELD] = 0
  return true
}
