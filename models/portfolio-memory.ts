/** The memory of a portfolio (portfolio.ts): the parts, and where each begins. */
import * as autoregressive from './autoregression.ts'
import * as doubts from './doubt.ts'
import { prefixed } from './fields.ts'
import * as regimes from './regime.ts'
import * as seasonal from './season.ts'
import * as tails from './tail.ts'

export const signals = ['jump', 'level', 'shift', 'drift', 'season', 'dynamics', 'noise'] as const
const own = { n: 0, newest: -Infinity, interval: 0, known: 0, bar: 0, spent: 0, fast: 0, middle: 0, slow: 0, change: 0, changes: 0, error: 0, errors: 0 }
const K = signals.length, AR = Object.keys(own).length, DOUBT = AR + autoregressive.AUTOREGRESSION, REGIME = DOUBT + doubts.DOUBT, SEASON = REGIME + regimes.REGIME
const TAILS = SEASON + seasonal.SEASON, LAST = TAILS + K * tails.TAIL

/**
 * Where numbers and parts stand, which signal is which, and what several files count by. Taken apart into constants of each file
 * that is run for every reading: V8 compiles those into the code, but looks up what is imported each time it is used.
 */
export const places = {
  N: 0, NEWEST: 1, INTERVAL: 2, KNOWN: 3, BAR: 4, SPENT: 5, FAST_MEAN: 6, MIDDLE_MEAN: 7, SLOW_MEAN: 8, CHANGE: 9, CHANGES: 10, ERROR: 11, ERRORS: 12,
  AR, DOUBT, REGIME, SEASON, TAILS, LAST,
  K, JUMP: 0, LEVEL: 1, SHIFT: 2, DRIFT: 3, SEASONAL: 4, DYNAMICS: 5, NOISE: 6,
  FAST: 10, MIDDLE: 100, SLOW: 1000,
  START: 16,                         // readings of which level and scale begin
  CLIP: 10,                          // usual sizes: what is in doubt teaches no more
  TINY: 1e-9                         // of a value: smaller sizes are as good as 0
} as const

/**
 * One series: `n` readings with a mean `interval` (ms), `known` of them with a season; the bar that news has to exceed; what the
 * limit is raised by for alarms given; means, sizes of changes and errors; then the parts. The first START values are kept where the tails will be.
 */
export const portfolio: Readonly<Record<string, number>> = {
  ...own, ...prefixed('ar', autoregressive.autoregression), ...prefixed('doubt', doubts.doubt), ...prefixed('regime', regimes.regime), ...prefixed('season', seasonal.season),
  ...Object.assign({}, ...[...signals, 'last'].map(name => prefixed(`tail_${name}`, tails.tail)))
}
