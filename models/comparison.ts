/**
 * The recent readings of a series (current) against earlier ones (reference), on bins that the reference decides: its deciles,
 * so that each bin had a tenth of it. The current window slides by PANES panes. How far the two are apart, by four measures:
 *
 *   psi           population stability index, sum (p - q) * log(p / q), less what chance adds: (bins - 1) * (1 / n + 1 / m)
 *   ks            largest difference of the two distribution functions, at the edges of bins (Kolmogorov and Smirnov)
 *   js            Jensen-Shannon distance, root of the divergence in bits, less what chance adds likewise; 0 to 1
 *   wasserstein   area between the distribution functions (earth mover's distance), in standard deviations of the reference
 *
 * Whether chance could do that: by chi-square for two samples, by Kolmogorov and Smirnov, and by Student's t for the means, the
 * smallest p-value times three (Bonferroni), with n and m the effective numbers of readings: divided by the correlation time of the reference, and its standard error, or that without
 * its wild values if it is longer: codes for missing values (-9999) are all the variance, and correlate with nothing. The bins'
 * own correlation is weaker than that of values, so for correlated series these p-values are rather too large; the degrees of
 * freedom of t are those of the reference alone, from which its error is known.
 *
 * What moved: mean and spread of the newest panes, as many of them as say so most clearly, since a change within the window is not
 * in the older ones. Neither clearly: the shape. 896 bytes per series.
 */
import { correlationTime } from './correlation-time.ts'
import { numbered } from './fields.ts'
import { middle } from './first-readings.ts'
import { chiSquare, kolmogorov, student } from './significance.ts'

export const BINS = 10, PANES = 5
export const aspects = ['none', 'mean', 'spread', 'shape'] as const
export const measures = ['psi', 'ks', 'js', 'wasserstein'] as const

const reference = { bins: 0, mean: 0, deviation: 0, kurtosis: 0, time: 1, number: 0, below: 0, above: 0 }
const findings = { psi: NaN, ks: NaN, js: NaN, wasserstein: NaN, p: NaN, shift: NaN, ratio: NaN, aspect: NaN }
const pane = { below: 0, above: 0, number: 0, mean: 0, squares: 0, ...numbered('count', BINS) }

/** One series: readings `learned` of the reference, `seen` since; the reference, the findings so far, edges of bins, counts of the reference, panes. */
export const comparison: Readonly<Record<string, number>> = {
  learned: 0, seen: 0, ...reference, ...findings, ...numbered('edge', BINS - 1), ...numbered('usual', BINS),
  ...Object.fromEntries(Array.from({ length: PANES }, (_, p) => Object.entries(pane).map(([name, first]) => [`pane${p}_${name}`, first] as const)).flat())
}
const SEEN = 1, USED = 2, MEAN = 3, DEVIATION = 4, KURTOSIS = 5, TIME = 6, NUMBER = 7, BELOW = 8, ABOVE = 9
export const FINDINGS = 10
const EDGES = FINDINGS + Object.keys(findings).length, USUAL = EDGES + BINS - 1, FIRST = USUAL + BINS
const PANE = Object.keys(pane).length, COUNT = 2, AVERAGE = 3, SQUARES = 4, COUNTS = 5
const HALF = 0.5                     // added to each count, so that an empty bin has a logarithm (Jeffreys)
const UNIFORM = 1.8                  // kurtosis of a uniform distribution: with less the error of a spread is not believed
const CLEAR = 3.29                   // standard errors that a mean or a spread must be off to be named: two-sided 0.001
const WILD = 15                      // median absolute deviations off the median: ten standard deviations of normal readings
const MOST = 1000                    // deviations, and ratio of spreads: what a reference without spread gives

/** Learns the reference from its values, in the order they came, at least 2. */
export function refer (m: Float64Array, at: number, values: Float64Array): void {
  const n = values.length, mean = values.reduce((a, b) => a + b) / n
  const squares = values.reduce((sum, x) => sum + (x - mean) ** 2, 0)
  const sorted = values.slice().sort(), edges = edgesOf(sorted), last = edges.length - 1
  m.fill(0, at + SEEN, at + FIRST + PANES * PANE)
  m.fill(NaN, at + FINDINGS, at + EDGES)
  m[at + USED] = edges.length + 1
  m[at + MEAN] = mean
  m[at + DEVIATION] = Math.sqrt(squares / n)
  m[at + KURTOSIS] = squares > 0 ? n * values.reduce((sum, x) => sum + ((x - mean) ** 2 / squares) ** 2, 0) : 1
  m[at + TIME] = Math.min(Math.max(...Array.from(new Set([values, tamed(values, sorted)]), of => { const { time, error } = correlationTime(of); return time + error })), n)
  m[at + NUMBER] = n
  m.set(edges, at + EDGES)
  for (const x of sorted) {
    m[at + USUAL + binOf(m, at, x)]++
    if (x < edges[0]) m[at + BELOW] += (edges[0] - x) / n
    if (x > edges[last]) m[at + ABOVE] += (x - edges[last]) / n
  }
}

/** A copy with the median in place of values that are WILD; the values themselves when none is. */
function tamed (values: Float64Array, sorted: Float64Array): Float64Array {
  const location = middle(sorted), limit = WILD * middle(sorted.map(x => Math.abs(x - location)).sort())
  const isWild = (x: number) => Math.abs(x - location) > limit
  return limit > 0 && values.some(isWild) ? values.map(x => isWild(x) ? location : x) : values
}

/** Upper edges of bins, up to BINS - 1: the quantiles; a value that is several of them has a bin of its own. */
function edgesOf (sorted: Float64Array): number[] {
  const edges: number[] = []
  for (let k = 1; k < BINS; k++) {
    const q = sorted[Math.ceil(k * sorted.length / BINS) - 1], last = edges.at(-1) ?? -Infinity
    if (q > last) edges.push(q)
    else if ((edges.at(-2) ?? -Infinity) < just(q)) edges.splice(-1, 1, just(q), q)
  }
  return edges
}
/** The number below that is next to it, or nearly so. */
const just = (x: number): number => x - Math.max(Math.abs(x) * Number.EPSILON, Number.MIN_VALUE)

function binOf (m: Float64Array, at: number, x: number): number {
  let low = 0, high = m[at + USED] - 1
  while (low < high) {
    const middle = low + high >> 1
    if (x <= m[at + EDGES + middle]) high = middle
    else low = middle + 1
  }
  return low
}

/** Takes in a finite value behind the reference, `size` of them to a pane. True when a pane is full and a whole window stands: then the two are to be compared. */
export function take (m: Float64Array, at: number, x: number, size: number): boolean {
  const seen = m[at + SEEN]++, p = at + FIRST + Math.floor(seen / size) % PANES * PANE
  if (seen % size === 0) m.fill(0, p, p + PANE)
  const n = ++m[p + COUNT], off = x - m[p + AVERAGE], low = m[at + EDGES], high = m[at + EDGES + m[at + USED] - 2]
  if (x < low) m[p] += low - x
  if (x > high) m[p + 1] += x - high
  m[p + AVERAGE] += off / n
  m[p + SQUARES] += off * (x - m[p + AVERAGE])
  m[p + COUNTS + binOf(m, at, x)]++
  return n === size && seen + 1 >= PANES * size
}

/** Compares, and leaves the findings: the four measures, p, the shift of the mean in deviations, the ratio of spreads, and the aspect that moved if anything did. */
export function compare (m: Float64Array, at: number): void {
  const used = m[at + USED], n = m[at + NUMBER], now = whole(m, at), size = now[COUNT], both = 1 / n + 1 / size, few = m[at + TIME] * both
  let psi = 0, js = 0, square = 0, met = 0, ks = 0, apart = 0, area = 0
  for (let k = 0; k < used; k++) {
    const was = m[at + USUAL + k], is = now[COUNTS + k], before = apart
    const p = (was + HALF) / (n + HALF * used), q = (is + HALF) / (size + HALF * used), middle = (p + q) / 2
    psi += (q - p) * Math.log(q / p)
    js += (p * Math.log2(p / middle) + q * Math.log2(q / middle)) / 2
    if (was + is > 0) { square += (was / n - is / size) ** 2 * (n + size) / (was + is); met++ }
    apart += is / size - was / n
    ks = Math.max(ks, Math.abs(apart))
    if (k > 0 && k < used - 1) area += (m[at + EDGES + k] - m[at + EDGES + k - 1]) * between(before, apart)
  }
  area += Math.abs(now[0] / size - m[at + BELOW]) + Math.abs(now[1] / size - m[at + ABOVE])
  const f = at + FINDINGS, chance = (used - 1) * few
  m[f] = Math.max(psi - chance, 0)
  m[f + 1] = ks
  m[f + 2] = Math.sqrt(Math.max(js - chance / (8 * Math.LN2), 0))
  m[f + 3] = inDeviations(area, m[at + DEVIATION])
  m[f + 4] = Math.min(1, 3 * Math.min(kolmogorov(ks, 1 / few), chiSquare(square / few, met - 1), moved(m, at)))
}

/** Mean size of a straight line from a to b. */
function between (a: number, b: number): number {
  return a * b >= 0 ? Math.abs(a + b) / 2 : (a * a + b * b) / (2 * Math.abs(a - b))
}

/** Sums of all panes. */
function whole (m: Float64Array, at: number): Float64Array {
  const sum = new Float64Array(PANE)
  for (let k = 0; k < PANES * PANE; k++) sum[k % PANE] += m[at + FIRST + k]
  return sum
}

/**
 * Looks at the newest pane, the newest two and so on, for the clearest shift of the mean or change of the spread. Gives the
 * p-value of the shift of the whole window.
 */
function moved (m: Float64Array, at: number): number {
  const mean = m[at + MEAN], deviation = m[at + DEVIATION], time = m[at + TIME], few = 1 / m[at + NUMBER], tails = Math.max(m[at + KURTOSIS], UNIFORM) - 1
  const newest = m[at + SEEN] / m[at + FIRST + COUNT] - 1
  let n = 0, center = 0, squares = 0, clearest = CLEAR, aspect = 3, shift = 0, ratio = 1
  for (let back = 0; back < PANES; back++) {
    const p = at + FIRST + (newest - back) % PANES * PANE, size = m[p + COUNT], off = m[p + AVERAGE] - center
    squares += m[p + SQUARES] + off * off * n * size / (n + size)
    center += off * size / (n += size)
    const by = inDeviations(center - mean, deviation), times = squares === 0 && deviation === 0 ? 1 : inDeviations(Math.sqrt(squares / n), deviation), error = Math.sqrt(time * (few + 1 / n))
    const ofMean = Math.abs(by) / error, ofSpread = Math.abs(Math.log(times)) / (error * Math.sqrt(tails) / 2)
    const clear = Math.max(ofMean, ofSpread)
    if (clear > clearest) {
      clearest = clear
      aspect = ofMean >= ofSpread ? 1 : 2
    } else if (back < PANES - 1 || aspect !== 3) continue
    shift = by
    ratio = times
  }
  const f = at + FINDINGS
  m[f + 5] = shift
  m[f + 6] = ratio
  m[f + 7] = aspect
  const all = m[at + NUMBER] + n, within = Math.sqrt((m[at + NUMBER] * deviation * deviation + squares) / all)
  return center === mean ? 1 : student((center - mean) / (within * Math.sqrt(time * (few + 1 / n))), m[at + NUMBER] / time - 1)
}

const inDeviations = (x: number, deviation: number): number => x === 0 && deviation === 0 ? 0 : Math.max(-MOST, Math.min(x / deviation, MOST))

/** 'mean up 0.6 sd', 'spread x2.1', 'shape by 0.14': what moved and by how much. `ks` is told of the shape only. */
export function inWords (aspect: typeof aspects[number], { shift, ratio, ks }: { readonly shift: number, readonly ratio: number, readonly ks: number }): string {
  const short = (x: number) => String(Number(x.toPrecision(2)))
  if (aspect === 'mean') return `mean ${shift > 0 ? 'up' : 'down'} ${short(Math.abs(shift))} sd`
  return aspect === 'spread' ? `spread x${short(ratio)}` : aspect === 'shape' ? `shape by ${short(ks)}` : 'no drift'
}
