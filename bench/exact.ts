/**
 * Features in exact rational arithmetic on the doubles as they are: what floating point is measured against. Every double
 * is an integer times a power of two; with one power for all values, and one for all times, sums of products are integers.
 */
export type Root = 'square root' | undefined
/** |p| / q, or the square root of it, with the sign of p. */
export interface Exact { readonly p: bigint, readonly q: bigint, readonly root?: Root }

const parts = new DataView(new ArrayBuffer(8))
/** x = mantissa * 2^exponent. */
function split (x: number): [mantissa: bigint, exponent: number] {
  parts.setFloat64(0, x)
  const bits = parts.getBigUint64(0), biased = Number(bits >> 52n & 0x7ffn), fraction = bits & 0xfffffffffffffn
  const mantissa = biased === 0 ? fraction : fraction | 1n << 52n
  return [bits >> 63n === 0n ? mantissa : -mantissa, Math.max(biased, 1) - 1075]
}

/** The values as integers times 2^-scale. */
function integers (values: readonly number[]): { of: bigint[], scale: bigint } {
  const all = values.map(split), least = Math.min(0, ...all.map(([m, e]) => m === 0n ? 0 : e))
  return { of: all.map(([m, e]) => m << BigInt(Math.max(e - least, 0))), scale: BigInt(-least) }
}

const abs = (x: bigint): bigint => x < 0n ? -x : x
const sum = (xs: readonly bigint[]): bigint => xs.reduce((a, b) => a + b, 0n)

/** Of readings in the order of their times, ms; `above` is the level of time_above and duty_cycle. */
export function exactFeatures (times: readonly number[], values: readonly number[], above: number): Record<string, Exact> {
  const { of: [level, ...x], scale } = integers([above, ...values]), { of: t, scale: fine } = integers(times)
  const n = BigInt(x.length), one = 1n << scale, second = 1000n << fine
  const total = sum(x), first = x[0], last = x[x.length - 1], passed = t[t.length - 1] - t[0]
  const squares = sum(x.map(v => v * v)), size = sum(x.map(abs)), peak = x.reduce((a, v) => abs(v) > a ? abs(v) : a, 0n)
  const off = x.map(v => n * v - total), offT = t.map(v => n * v - sum(t))
  const power = (k: bigint) => sum(off.map(v => v ** k))
  const m2 = power(2n), m3 = power(3n), tt = sum(offT.map(v => v * v)), tx = sum(offT.map((v, i) => v * off[i]))
  const spans = t.slice(1).map((v, i) => v - t[i])
  const over = sum(spans.filter((_, i) => x[i] > level))
  const least = x.reduce((a, v) => v < a ? v : a), most = x.reduce((a, v) => v > a ? v : a)
  const exact: Record<string, Exact> = {
    count: { p: n, q: 1n }, mean: { p: total, q: n * one }, var: { p: m2, q: n ** 3n * one ** 2n }, std: { p: m2, q: n ** 3n * one ** 2n, root: 'square root' },
    min: { p: least, q: one }, max: { p: most, q: one }, range: { p: most - least, q: one }, rms: { p: squares, q: n * one ** 2n, root: 'square root' },
    peak: { p: peak, q: one }, crest: { p: peak ** 2n * n, q: squares, root: 'square root' }, shape: { p: squares * n, q: size ** 2n, root: 'square root' }, impulse: { p: peak * n, q: size },
    skewness: { p: m3 < 0n ? -(n * m3 ** 2n) : n * m3 ** 2n, q: m2 ** 3n, root: 'square root' }, kurtosis: { p: n * power(4n), q: m2 ** 2n },
    slope: { p: tx * second, q: tt * one }, intercept: { p: total * tt + tx * offT[0], q: n * tt * one }, r2: { p: tx ** 2n, q: tt * m2 },
    first: { p: first, q: one }, last: { p: last, q: one }, delta: { p: last - first, q: one }, rate: { p: (last - first) * second, q: passed * one },
    mean_held: { p: sum(spans.map((v, i) => v * x[i])), q: passed * one }, mean_linear: { p: sum(spans.map((v, i) => v * (x[i] + x[i + 1]))), q: 2n * passed * one },
    time_above: { p: over, q: second }, duty_cycle: { p: over, q: passed },
    zero_crossings: { p: crossings(x), q: 1n }, mean_crossings: { p: crossings(off), q: 1n },
    autocorrelation: { p: n * sum(off.slice(1).map((v, i) => v * off[i])), q: (n - 1n) * m2 }
  }
  return { ...exact, ...exactRanks(x, one) }
}

const crossings = (x: readonly bigint[]): bigint => BigInt(x.filter((v, i) => i > 0 && v > 0n !== x[i - 1] > 0n).length)
const ascending = (x: readonly bigint[]): bigint[] => [...x].sort((a, b) => a < b ? -1 : a > b ? 1 : 0)

/** 100 times the quantile of so many percent. */
function quantile (sorted: readonly bigint[], percent: number): bigint {
  const place = percent * (sorted.length - 1), below = Math.floor(place / 100), low = sorted[below]
  return 100n * low + (sorted[Math.min(below + 1, sorted.length - 1)] - low) * BigInt(place - 100 * below)
}

function exactRanks (x: readonly bigint[], one: bigint): Record<string, Exact> {
  const sorted = ascending(x), median = quantile(sorted, 50)
  const exact: Record<string, Exact> = { median: { p: median, q: 100n * one }, iqr: { p: quantile(sorted, 75) - quantile(sorted, 25), q: 100n * one } }
  for (const percent of [1, 5, 10, 25, 75, 90, 95, 99]) exact[`p${String(percent).padStart(2, '0')}`] = { p: quantile(sorted, percent), q: 100n * one }
  exact.mad = { p: quantile(ascending(x.map(v => abs(100n * v - median))), 50), q: 10_000n * one }
  return exact
}

/** Relative error of a double against an exact number; with `floor`, relative to max(floor, |exact|). */
export function errorOf (got: number, { p, q, root }: Exact, floor = 0): number {
  if (q === 0n || !Number.isFinite(got)) return q === 0n && Number.isNaN(got) ? 0 : Infinity
  const [mantissa, exponent] = split(got)
  const up = exponent > 0 ? 1n << BigInt(exponent) : 1n, down = exponent < 0 ? 1n << BigInt(-exponent) : 1n
  if (p === 0n) return floor > 0 ? Math.abs(got) / floor : got === 0 ? 0 : Infinity
  const k = root === undefined ? 1n : 2n, sign = mantissa < 0n ? -1n : 1n
  const g = root === undefined ? mantissa : sign * mantissa ** 2n
  const relative = ratio(abs(g * up ** k * q - p * down ** k), abs(p) * down ** k) / Number(k)       // of squares: twice that of the root
  return floor > 0 ? relative * Math.min(1, Math.abs(got) / floor) : relative
}

/** Of two integers, the second above 0, to double precision. */
function ratio (a: bigint, b: bigint): number {
  if (a === 0n) return 0
  const shift = Math.max(0, 64 + 4 * (b.toString(16).length - a.toString(16).length))
  return Number((a << BigInt(shift)) / b) / 2 ** shift
}
