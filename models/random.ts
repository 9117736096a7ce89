/**
 * Seeded randomness in two forms. Counter-based: a number is a pure function of (key, counter), so any number of any
 * stream can be had at once and in any order. Sequential: a stream of its own for whoever draws a varying amount.
 * Neither is fit for cryptography.
 */

/** 32-bit finalizer "lowbias32" (C. Wellons, hash-prospector, bias 0.17): a bijection in which every input bit moves every output bit. */
export function mix (x: number): number {
  x = Math.imul(x ^ x >>> 16, 0x7feb352d)
  x = Math.imul(x ^ x >>> 15, 0x846ca68b)
  return (x ^ x >>> 16) >>> 0
}

/** The key of a stream, from a seed and whatever names the stream. A seed alone is mixed twice: counters are mixed once, and number `seed` of its stream would be the smallest there is. */
export function key (seed: number, ...names: readonly number[]): number {
  let k = mix(seed + GOLDEN)
  if (names.length === 0) return mix(k + GOLDEN)
  for (const name of names) k = mix(k + GOLDEN ^ mix(name + GOLDEN))
  return k
}

/** Number `counter` of the stream `key`: uniform in (0, 1), 2^32 values, period 2^32. */
export const uniform = (key: number, counter: number): number => (mix(key ^ mix(counter + GOLDEN)) + 0.5) * 2 ** -32

/** Number `counter` of the stream `key`: standard normal (Box and Muller 1958, the cosine half), period 2^31, within 6.8. */
export const normal = (key: number, counter: number): number =>
  Math.sqrt(-2 * Math.log(uniform(key, 2 * counter))) * Math.cos(TURN * uniform(key, 2 * counter + 1))

const GOLDEN = 0x9e3779b9
const TURN = 2 * Math.PI

/** A sequential stream (sfc32 of C. Doty-Humphrey, PractRand): period at least 2^32, about 2^127 on average. */
export class Random {
  private a: number
  private b: number
  private c: number
  private d = 1

  constructor (seed: number) {
    this.a = key(seed, 1)
    this.b = key(seed, 2)
    this.c = key(seed, 3)
    for (let i = 0; i < 12; i++) this.next()
  }

  /** Uniform in [0, 1), 2^32 values. */
  next (): number {
    const sum = (this.a + this.b | 0) + this.d | 0
    this.d = this.d + 1 | 0
    this.a = this.b ^ this.b >>> 9
    this.b = this.c + (this.c << 3) | 0
    this.c = (this.c << 21 | this.c >>> 11) + sum | 0
    return (sum >>> 0) * 2 ** -32
  }

  /** Uniform in [from, to). */
  between (from: number, to: number): number { return from + (to - from) * this.next() }

  /** A whole number in [0, below). */
  below (below: number): number { return Math.floor(this.next() * below) }

  /** How many events of a Poisson process with this mean fall into one unit (Knuth, TAOCP 2, 3.4.1; takes `mean` draws). */
  poisson (mean: number): number {
    let count = 0
    for (let left = mean; left > 0; left -= 500) {
      const floor = Math.exp(-Math.min(left, 500))
      for (let product = 1 - this.next(); product > floor; product *= 1 - this.next()) count++
    }
    return count
  }
}
