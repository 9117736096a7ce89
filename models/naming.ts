/**
 * What is wrong with a sensor, from what detectors say reading by reading. An event begins with the first alarm and ends when
 * there was none for HOLD readings; all that is said meanwhile is evidence, and the name may change as it comes in:
 *
 *   clock, dropout, clip, unit, stuck    when hygiene has said so in this event; in this order, as each explains those behind it
 *   noise     more unusual changes than chance gives besides the two that a spike makes: each reading has one with probability 0.02
 *   spike     hygiene has said a spike, or the event began with one that chance gives in 1 of 1,000 readings: that something is wrong is known by then
 *   shift     the event began with an unusual change, or with a level that does not fit: beyond the range of hygiene, or unusual to anomaly
 *   drift     it began without: the metric left the others of its device, or its season, slowly
 *
 * 96 bytes per series.
 */
export const kinds = ['stuck', 'spike', 'drift', 'shift', 'dropout', 'clock', 'noise', 'clip', 'unit'] as const
export type Kind = typeof kinds[number]
const codeOf = (kind: Kind) => kinds.indexOf(kind) + 1

const HOLD = 100
const ONSET = 2                      // readings in which a jump is its beginning
const DOUBT = 3                      // -log10 of the probability that what began an event went back by chance
const SHARE = 0.02                   // of changes that a tail calls unusual, see tail.ts

/** `n` readings of the event, 0 when there is none; readings without an alarm since; unusual changes; then what has been said. */
export const naming = { n: 0, quiet: 0, changes: 0, jump: 0, clock: 0, gap: 0, clip: 0, unit: 0, stuck: 0, spike: 0, noise: 0, level: 0 }
const N = 0, QUIET = 1, CHANGES = 2, JUMP = 3, CLOCK = 4, GAP = 5, CLIP = 6, UNIT = 7, STUCK = 8, SPIKE = 9, NOISE = 10, LEVEL = 11
export const NAMING = Object.keys(naming).length

/** What hygiene, anomaly and peers say of one reading: their codes, evidence of a spike and of a change; NaN where they have nothing to say. `peers`: 1 when the metric has left the others and no other explains it. */
export interface Said { hygiene: number, spike: number, rate: number, anomaly: number, signal: number, peers: number }

/** Fields by the code of hygiene and by the signal of anomaly; 0 where the code names none. */
const HYGIENE = [0, STUCK, GAP, SPIKE, JUMP, LEVEL, CLIP, CLOCK, UNIT]
const SIGNAL = [0, LEVEL, LEVEL, LEVEL, 0, 0, LEVEL, NOISE]      // jump level shift | drift season | dynamics | noise

/** Takes in one reading. Returns the code of the kind, 1 + its place in `kinds`; 0 when nothing is wrong. */
export function name (m: Float64Array, at: number, said: Said): number {
  const alarm = said.hygiene > 0 || said.anomaly === 1 || said.peers === 1
  if (m[at + N] === 0 && !alarm) return 0
  m[at + QUIET] = alarm ? 0 : m[at + QUIET] + 1
  if (m[at + QUIET] >= HOLD) {
    m.fill(0, at, at + NAMING)
    return 0
  }
  const n = ++m[at + N]
  if (said.rate > 0) m[at + CHANGES]++
  if (said.spike >= DOUBT && n <= ONSET) m[at + SPIKE] = 1
  if (said.hygiene > 0) take(m, at, HYGIENE[said.hygiene], n)
  if (said.anomaly === 1) take(m, at, SIGNAL[said.signal], n)
  return codeOf(kindOf(m, at))
}

function take (m: Float64Array, at: number, field: number, n: number): void {
  if (field > 0 && (n <= ONSET || (field !== JUMP && field !== LEVEL))) m[at + field] = 1
}

function kindOf (m: Float64Array, at: number): Kind {
  if (m[at + CLOCK] === 1) return 'clock'
  if (m[at + GAP] === 1) return 'dropout'
  if (m[at + CLIP] === 1) return 'clip'
  if (m[at + UNIT] === 1) return 'unit'
  if (m[at + STUCK] === 1) return 'stuck'
  const usual = SHARE * m[at + N]
  if (m[at + CHANGES] > 2 + usual + 4 * Math.sqrt(usual) + 3) return 'noise'      // beyond four deviations, and three
  if (m[at + SPIKE] === 1) return 'spike'
  if (m[at + JUMP] === 1 || m[at + LEVEL] === 1) return 'shift'
  return m[at + NOISE] === 1 ? 'noise' : 'drift'
}
