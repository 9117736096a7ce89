/**
 * Quantiles of many values in little memory: DDSketch (Masson, Rim and Lee, VLDB 2019), mergeable, insensitive to order.
 *
 * Bins are geometric in the distance from an origin near the middle of the values, not in the value: a temperature of
 * 80 +- 0.1 would else lie in a single bin. A quantile q is off by at most ALPHA of |q - origin|; values nearer to the origin
 * than about 1/28,000 of the farthest one count as equal to it. Merging sketches of different origins moves each bin as a
 * whole: then both bounds add up. 2 x 512 bins, 8 KB; about 25 ns per value.
 */
export const ALPHA = 0.01
const BINS = 512, GAMMA = (1 + ALPHA) / (1 - ALPHA), PER_LOG = 1 / Math.log(GAMMA), MIDDLE = 2 / (GAMMA + 1)
const ORIGIN = 0, TOP = 1, COUNT = 2, NEAR = 3, FIRST = 4

/** How many numbers a sketch has: origin, index of the farthest bin, count, count near the origin; bins below and above, farthest first. */
export const WIDTH = FIRST + 2 * BINS

/** An empty one. */
export function begin (a: Float64Array, at: number, origin: number): void {
  a.fill(0, at, at + WIDTH)
  a[at + ORIGIN] = origin
  a[at + TOP] = -Infinity
}

export function add (a: Float64Array, at: number, value: number, count = 1): void {
  a[at + COUNT] += count
  const off = value - a[at + ORIGIN], index = Math.ceil(Math.log(Math.abs(off)) * PER_LOG)
  if (index > a[at + TOP]) raise(a, at, index)
  const down = a[at + TOP] - index
  if (!(down < BINS)) a[at + NEAR] += count
  else a[at + FIRST + (off > 0 ? BINS : 0) + down] += count
}

/** Makes room for a farther bin: those that fall out at the near end count as equal to the origin. */
function raise (a: Float64Array, at: number, top: number): void {
  const by = Math.min(top - a[at + TOP], BINS)
  for (let from = at + FIRST; from < at + WIDTH; from += BINS) {
    for (let k = from + BINS - by; k < from + BINS; k++) a[at + NEAR] += a[k]
    a.copyWithin(from + by, from, from + BINS - by)
    a.fill(0, from, from + by)
  }
  a[at + TOP] = top
}

/** Adds b's values to a. */
export function merge (a: Float64Array, at: number, b: Float64Array, bt: number): void {
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

/** Bins that are not empty, in ascending order of their values, until `visit` returns false. */
function each (a: Float64Array, at: number, visit: (value: number, count: number) => boolean | void): void {
  const origin = a[at + ORIGIN], top = a[at + TOP]
  const far = (k: number) => Math.exp((top - k) / PER_LOG) * MIDDLE
  for (let k = 0; k < BINS; k++) if (a[at + FIRST + k] > 0 && visit(origin - far(k), a[at + FIRST + k]) === false) return
  if (a[at + NEAR] > 0 && visit(origin, a[at + NEAR]) === false) return
  for (let k = BINS - 1; k >= 0; k--) if (a[at + FIRST + BINS + k] > 0 && visit(origin + far(k), a[at + FIRST + BINS + k]) === false) return
}
