/**
 * What goes on is no news: evidence counts again when it exceeds by REPEAT the largest that was lately, a bar that halves in 100
 * readings. Beyond what chance gives within the memory of a tail, readings belong to one event and teach the tails a tenth
 * (declustering, Davison and Smith 1990). Evidence is -log10 p; `bar` is what the reading before has left, 0 at first.
 */
import { MEMORY } from './tail.ts'

const REPEAT = 1.2, FADE = 2 ** (-1 / 100)
export const DOUBLE = Math.log10(2)      // what an alarm raises the limit by
const IN_EVENT = 0.1, SEEN = MEMORY, EVENT = 1 + Math.log10(SEEN)

export const isNews = (bar: number, evidence: number): boolean => evidence > bar * FADE

/** Whether evidence that chance gives rarely enough, at least `limit`, is told: as news, or as the first of its event that is so unlikely. */
export const isTold = (bar: number, evidence: number, news: boolean, limit: number): boolean => evidence >= limit && (news || bar * FADE / REPEAT < limit)

/** Whether evidence is so much more than what was told of an event that it is told again. */
export const isGrowth = (largest: number, evidence: number): boolean => evidence > largest * REPEAT

/** The bar that a reading leaves: while an event goes on it stays above the event's evidence. */
export const barAfter = (bar: number, evidence: number): number => Math.max(bar * FADE, evidence * REPEAT)

/**
 * What the limit is raised by, after a reading at which chance gives an alarm with probability `chance`: each alarm doubles how rare
 * the next has to be, and what the budget allows is forgiven (adaptive conformal inference, Gibbs and Candes 2021). So whatever a
 * series does, its alarms are those of the budget and at most LIMIT / DOUBLE more.
 */
export const spentAfter = (spent: number, chance: number, told: boolean): number => Math.max(0, spent - DOUBLE * chance) + (told ? DOUBLE : 0)

/** Whether it is beyond what chance gives within the memory of a tail, or in the `n` numbers that it has seen when those are fewer. */
export const isEvent = (evidence: number, n = SEEN): boolean => evidence > (n < SEEN ? 1 + Math.log10(n) : EVENT)

/** What a number counts, when a tail learns it, that is as unlikely as that. */
export const weightOf = (evidence: number): number => isEvent(evidence) ? IN_EVENT : 1

/** What a reading that leaves such a bar counts when the tails learn it. */
export const weightAt = (bar: number): number => bar > EVENT && bar / REPEAT > EVENT ? IN_EVENT : 1
