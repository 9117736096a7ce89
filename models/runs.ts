/**
 * How unlikely a run is: so many events in a row, in a stream where each place has an event or has none. A Markov chain with
 * two states; the two probabilities by Laplace's rule of succession, so that a stream without events knows something too: after n
 * places without any, the first has probability 1 / (n + 2), and each that follows, of which nothing is known, one half.
 * Counts are halved when they reach MEMORY. 32 bytes per stream; two logarithms when asked.
 */
export const MEMORY = 100_000

/** Places behind one without an event (`calm`), with an event there (`begun`); places behind one with an event (`busy`), with another there (`gone_on`). */
export const runs = { calm: 0, begun: 0, busy: 0, gone_on: 0 }
export const RUNS = Object.keys(runs).length

/** -log10 of the probability that a run begins here and is at least so long. 0 for none. */
export const unlikely = (m: Float64Array, at: number, length: number): number =>
  length < 1 ? 0 : first(m, at) + (length - 1) * further(m, at)

/** The shortest run that is as unlikely as that. */
export const longest = (m: Float64Array, at: number, evidence: number): number =>
  1 + Math.max(0, Math.ceil((evidence - first(m, at)) / further(m, at)))

const first = (m: Float64Array, at: number): number => Math.log10((m[at] + 2) / (m[at + 1] + 1))
const further = (m: Float64Array, at: number): number => Math.log10((m[at + 2] + 2) / (m[at + 3] + 1))

/** A place behind one that had no event. */
export function calm (m: Float64Array, at: number, event: boolean): void {
  if (++m[at] >= MEMORY) halve(m, at)
  if (event) m[at + 1]++
}

/** A place behind one that had an event; or `places` of them at once. */
export function busy (m: Float64Array, at: number, event: boolean, places = 1): void {
  if ((m[at + 2] += places) >= MEMORY) halve(m, at)
  if (event) m[at + 3] += places
}

/** A run that was cut by a place without an event; 0 for none. */
export function learn (m: Float64Array, at: number, length: number): void {
  calm(m, at, length > 0)
  if (length > 1) busy(m, at, true, length - 1)
  if (length > 0) busy(m, at, false)
}

function halve (m: Float64Array, at: number): void { for (let k = 0; k < RUNS; k++) m[at + k] /= 2 }
