/**
 * The first readings of a series without what is wild among them. A scale that the first reading sets is as wrong as that reading,
 * so the first few are kept, and what is learned of them is learned anew from each within WILD median absolute deviations (MAD)
 * of their median: until nearly half of them are wild that is a matter of the others (Hampel 1974, The influence curve and its
 * role in robust estimation). Ten are 6.7 standard deviations of normal readings: so far none of a few lies by chance.
 */
const WILD = 10

/** How far from their median `values` may lie: half of them and more have one value, then WILD medians of what is off; 0 when that is one alone. Of two values and fewer none is wild. */
export function usual (values: Float64Array): { readonly median: number, readonly reach: number } {
  const median = middle(values.slice().sort())
  if (values.length < 3) return { median, reach: Infinity }
  const off = values.map(x => Math.abs(x - median)).sort(), mad = middle(off)
  if (mad > 0) return { median, reach: WILD * mad }
  const some = off.subarray(off.findIndex(x => x > 0))
  return { median, reach: off.at(-1) === 0 || some.length === 1 ? 0 : WILD * middle(some) }
}

/** The values, those that are wild as far off as may be. */
export function tamed (values: Float64Array): Float64Array {
  const { median, reach } = usual(values)
  return values.map(x => Math.max(median - reach, Math.min(x, median + reach)))
}

export const middle = (sorted: Float64Array): number => (sorted[sorted.length - 1 >> 1] + sorted[sorted.length >> 1]) / 2
