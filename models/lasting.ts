/**
 * Whether a change of one series lasts, by what two steps say of it:
 *
 *   drift      the newest readings are distributed otherwise than the reference: so for some time after each finding
 *   forecast   the share of intervals, of those scored lately, that did not hold. The running coverage says which: it falls at a
 *              reading that was outside of the interval forecast for it, and rises at one that was not; at 1 and 0 it stays
 *
 * 40 bytes per series.
 */
export const lasting = { aspect: 0, drifted: -Infinity, coverage: NaN, scored: NaN, missed: NaN }
const ASPECT = 0, DRIFTED = 1, COVERAGE = 2, SCORED = 3, MISSED = 4

const LEAST = 10                     // an interval counts as no longer than this part of `span`

/** Takes in what is said at a time (ms): what drifted, 0 for nothing, and the running coverage, NaN for none. Intervals are averaged over about `span` ms. */
export function take (m: Float64Array, at: number, aspect: number, coverage: number, time: number, span: number): void {
  if (aspect > 0) {
    m[at + ASPECT] = aspect
    m[at + DRIFTED] = time
  }
  if (Number.isNaN(coverage)) return
  const was = m[at + COVERAGE]
  m[at + COVERAGE] = coverage
  if (coverage === was && coverage > 0 && coverage < 1) return
  const now = Number(coverage < (Number.isNaN(was) ? 1 : was) || coverage === 0), length = Math.min(time - m[at + SCORED], span / LEAST)
  m[at + SCORED] = time
  m[at + MISSED] = Number.isNaN(m[at + MISSED]) ? now : m[at + MISSED] + (now - m[at + MISSED]) * (1 - Math.exp(-Math.max(0, length) / span))
}

/** What has drifted within `span` ms; 0 for nothing. */
export const moved = (m: Float64Array, at: number, time: number, span: number): number => time - m[at + DRIFTED] <= span ? m[at + ASPECT] : 0

/** The share of intervals that lately did not hold; NaN before one was scored. */
export const missed = (m: Float64Array, at: number): number => m[at + MISSED]
