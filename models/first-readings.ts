/**
 * The first readings of a series without what is wild among them. A scale that the first reading sets is as wrong as that reading,
 * so the first few are kept, and what is learned of them is learned anew, with those further than WILD median absolute deviations
 * (MAD) from their median taken as the median: until nearly half of them are wild that is a matter of the others (Hampel 1974, The
 * influence curve and its role in robust estimation). That is 13 standard deviations of normal readings, as the MAD of a few is
 * not known well: of ten one in 2,000 has one so far by chance, of five one in 60.
 */
const WILD = 20

/** How far from their median `values` may lie: half of them and more have one value, then WILD medians of what is off; 0 when that is one alone. Of two values and fewer none is wild. */
export function usual (values: Float64Array): { readonly median: number, readonly reach: number } {
  const median = middle(values.slice().sort())
  if (values.length < 3) return { median, reach: Infinity }
  const off = values.map(x => Math.abs(x - median)).sort(), mad = middle(off)
  if (mad > 0) return { median, reach: WILD * mad }
  const some = off.subarray(off.findIndex(x => x > 0))
  return { median, reach: off.at(-1) === 0 || some.length === 1 ? 0 : WILD * middle(some) }
}

/** The values, those that are wild as their median. */
export function tamed (values: Float64Array): Float64Array {
  const { median, reach } = usual(values)
  return values.map(x => Math.abs(x - median) > reach ? median : x)
}

export const middle = (sorted: Float64Array): number => (sorted[sorted.length - 1 >> 1] + sorted[sorted.length >> 1]) / 2
