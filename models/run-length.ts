/**
 * From the average run length that an author wants to the parameter of a method: how many readings without any change there are,
 * on average, from one false change to the next. There is theory for cumulative sums (cusum.ts); the others were measured on independent
 * standard normal numbers, begun anew after each change (`npm run bench -- run-length`), and logarithms are interpolated.
 */
const adwin = [[4, 36], [3, 87], [2, 186], [1.4, 372], [1, 538], [0.7, 1075], [0.5, 1662], [0.3, 3611], [0.2, 5658], [0.1, 14_850], [0.05, 31_666], [0.02, 112_270], [0.005, 615_385]] as const
const kswin = [[50, 133], [56, 168], [65, 303], [70, 398], [75, 816], [80, 1630], [85, 3062], [90, 5965], [95, 14_399], [100, 33_408], [105, 123_301], [110, 327_441]] as const
/** Of ADWIN: it looks at every so manyth number. Four times as often as river does, which finds a shift of one deviation ten numbers sooner at the same run length. */
export const CLOCK = 8
const STEPS = 210                    // the distance of 70 and 30 numbers is a multiple of 1 / 210

/** The confidence at which ADWIN has this average run length. */
export const confidenceOf = (runLength: number): number => Math.exp(at(adwin.map(([confidence, length]) => [Math.log(confidence), length]), runLength))

/** The distance that KSWIN's must exceed to have this average run length. */
export const distanceOf = (runLength: number): number => at(kswin, runLength) / STEPS

/** Interpolated, or beyond the ends of the table extrapolated, linearly in the logarithm of the run length. */
function at (table: readonly (readonly [parameter: number, runLength: number])[], runLength: number): number {
  const above = table.findIndex(([, length]) => length >= runLength), k = above < 0 ? table.length - 1 : Math.max(above, 1)
  const [[p, before], [q, after]] = [table[k - 1], table[k]]
  return p + (q - p) * Math.log(runLength / before) / Math.log(after / before)
}
