/**
 * Quantiles of many values in little memory: DDSketch (Masson, Rim and Lee, VLDB 2019), mergeable, insensitive to order.
 *
 * Bins are geometric in the distance from an origin near the middle of the values, not in the value: a temperature of
 * 80 +- 0.1 would else lie in a single bin. Only bins that are not empty are held, so a wild value takes one, wherever it is, and
 * leaves those around the middle as they are. When BINS do not suffice neighbours become one, two by two (UDDSketch, Epicoco et al. 2020).
 *
 * The value of a quantile q is off by at most `accuracy` of |q - origin|: 0.01 as long as BINS suffice, as they do for 100,000 values
 * of a normal or log-normal distribution, then 0.02, 0.04, ... That depends on how many bins the values need, not on how far they are.
 * Merging sketches of one origin equals adding the values, in any order. Of different origins each bin moves as a whole: then both
 * bounds add up. 8 KB; about 100 ns per value.
 */
export const ALPHA = 0.01
export const BINS = 1024
const GAMMA = (1 + ALPHA) / (1 - ALPHA), PER_LOG = 1 / Math.log(GAMMA)
const ORIGIN = 0, LEVEL = 1, COUNT = 2, USED = 3, FIRST = 4

/** How many numbers a sketch has: origin, how often neighbours became one, count, bins used; the bins in ascending order of their values. */
export const WIDTH = FIRST + BINS

// A bin is a number: key * COUNTS + count. Its key is 0 at the origin, else index + SHIFT, negative below the origin.
const COUNTS = 2 ** 35, SHIFT = 2 ** 16, FARTHEST = Math.ceil(Math.log(Number.MAX_VALUE) * PER_LOG)

/** An empty one. */
export function begin (a: Float64Array, at: number, origin: number): void {
  a.fill(0, at, at + WIDTH)
  a[at + ORIGIN] = origin
}

/** How far a quantile may be off, as a share of its distance from the origin. */
export const accuracy = (a: Float64Array, at: number): number => Math.tanh(2 ** a[at + LEVEL] / PER_LOG / 2)

/** Adds a value, or several that are equal: fewer than 3e10 in a bin. */
export function add (a: Float64Array, at: number, value: number, count = 1): void {
  a[at + COUNT] += count
  for (;;) {
    const key = keyOf(value - a[at + ORIGIN], 1 << a[at + LEVEL]), least = key * COUNTS, end = at + FIRST + a[at + USED]
    let from = at + FIRST, to = end
    while (from < to) {
      const middle = from + to >>> 1
      if (a[middle] < least) from = middle + 1
      else to = middle
    }
    if (from < end && a[from] < least + COUNTS) return void (a[from] += count)
    if (a[at + USED] < BINS) {
      a.copyWithin(from + 1, from, end)
      a[from] = least + count
      a[at + USED]++
      return
    }
    halve(a, at)
  }
}

/** Adds b's values to a. */
export function merge (a: Float64Array, at: number, b: Float64Array, bt: number): void {
  while (a[at + LEVEL] < b[bt + LEVEL]) halve(a, at)
  each(b, bt, (value, count) => { add(a, at, value, count) })
}

/** The value of rank floor(q (n - 1)) in ascending order, 0 <= q <= 1; NaN when empty. */
export function quantile (a: Float64Array, at: number, q: number): number {
  let left = Math.floor(q * (a[at + COUNT] - 1)), found = NaN
  each(a, at, (value, count) => {
    if (left >= 0) found = value
    left -= count
    return left >= 0
  })
  return found
}

/** Median of the distances from `centre`, to the accuracy of the bins. */
export function deviation (a: Float64Array, at: number, centre: number): number {
  const off: [number, number][] = []
  each(a, at, (value, count) => { off.push([Math.abs(value - centre), count]) })
  off.sort(([x], [y]) => x - y)
  let left = Math.floor((a[at + COUNT] - 1) / 2)
  return off.find(([, count]) => (left -= count) < 0)?.[0] ?? NaN
}

/** Of a distance from the origin. `fold`: bins of the first accuracy that have become one. */
function keyOf (off: number, fold: number): number {
  if (off === 0) return 0
  const index = Math.ceil(Math.min(Math.ceil(Math.log(Math.abs(off)) * PER_LOG), FARTHEST) / fold) + SHIFT
  return off > 0 ? index : -index
}

/** Two neighbouring bins on the same side become one. */
function halve (a: Float64Array, at: number): void {
  const from = at + FIRST, end = from + a[at + USED]
  let to = from - 1, last = NaN
  for (let k = from; k < end; k++) {
    const key = Math.floor(a[k] / COUNTS), count = a[k] - key * COUNTS
    const half = key === 0 ? 0 : Math.sign(key) * (Math.ceil((Math.abs(key) - SHIFT) / 2) + SHIFT)
    if (half === last) a[to] += count
    else a[++to] = half * COUNTS + count
    last = half
  }
  a.fill(0, to + 1, end)
  a[at + USED] = to + 1 - from
  a[at + LEVEL]++
}

/** Bins in ascending order of their values, until `visit` returns false. */
function each (a: Float64Array, at: number, visit: (value: number, count: number) => boolean | void): void {
  const origin = a[at + ORIGIN], log = 2 ** a[at + LEVEL] / PER_LOG, middle = 1 + accuracy(a, at)      // of the near edge: the far one is as far off
  for (let k = at + FIRST, end = k + a[at + USED]; k < end; k++) {
    const key = Math.floor(a[k] / COUNTS), off = key === 0 ? 0 : Math.sign(key) * Math.exp((Math.abs(key) - SHIFT - 1) * log) * middle
    if (visit(origin + off, a[k] - key * COUNTS) === false) return
  }
}
