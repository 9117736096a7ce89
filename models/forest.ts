/**
 * Isolation forest (Liu, Ting and Zhou 2008): trees that split at random isolate what is unlike the rest after few splits. Each
 * tree is grown on `sample` vectors drawn without replacement, to a depth of log2(sample); a leaf with n vectors counts as the
 * path that n vectors would still need on average. The score is 2^(-mean path / expected path): near 1 anomalous, below 0.5 usual.
 * As in scikit-learn a split takes one of the numbers that vary in its node; so does the expected path, c(n).
 *
 * A tree is flat: node i has its left child at i + 1 and its right child at `right[i]`. 22 bytes per node and about
 * half a node per vector in the sample; time per score is that of `trees` paths of about 8 nodes.
 */
import { key, Random } from './random.ts'

export interface Forest {
  readonly d: number
  readonly roots: Int32Array         // of each tree, its first node; one more at the end
  readonly feature: Int16Array       // of a node: by which number it splits; -1 for a leaf
  readonly threshold: Float64Array   // to the left what is at most so large; of a leaf the path length it stands for
  readonly right: Int32Array
  readonly cover: Float64Array       // vectors it was grown on
  readonly expected: number          // path length that a score of 0.5 has
}

const EULER = 0.5772156649015329

/** The mean path length of a search in a binary tree of n: c(n). */
export function pathOf (n: number): number {
  if (n <= 1) return 0
  return n === 2 ? 1 : 2 * (Math.log(n - 1) + EULER) - 2 * (n - 1) / n
}

export interface ForestOptions { readonly trees: number, readonly sample: number, readonly seed: number }

/** Grows a forest on `count` vectors of d finite numbers, one after the other. O(trees * sample * log sample). */
export function grow (vectors: Float64Array, d: number, count: number, { trees, sample, seed }: ForestOptions): Forest {
  const size = Math.min(sample, count), deepest = Math.ceil(Math.log2(Math.max(size, 2)))
  const nodes = new Nodes(trees * (2 * size - 1)), rows = Int32Array.from({ length: count }, (_, i) => i), roots = new Int32Array(trees + 1)
  const order = Int32Array.from({ length: d }, (_, f) => f)
  let low = 0, high = 0
  for (let tree = 0; tree < trees; tree++) {
    const random = new Random(key(seed, tree))
    for (let i = 0; i < size; i++) swap(rows, i, i + random.below(count - i))
    split(0, size, 0)
    roots[tree + 1] = nodes.count

    function split (from: number, to: number, depth: number): void {
      const node = nodes.add(to - from), f = depth < deepest && to - from > 1 ? choose(from, to, random) : -1
      if (f < 0) return nodes.leaf(node, depth + pathOf(to - from))
      const threshold = between(low, high, random.next())
      let middle = from
      for (let i = from; i < to; i++) if (vectors[rows[i] * d + f] <= threshold) swap(rows, i, middle++)
      split(from, middle, depth + 1)
      nodes.branch(node, f, threshold)
      split(middle, to, depth + 1)
    }
  }
  return nodes.forest(d, roots, pathOf(size))

  /** One of the numbers that vary among these rows, each as likely, -1 when none does; between what it varies stands in low and high. */
  function choose (from: number, to: number, random: Random): number {
    for (let left = d; left > 0; left--) {
      const k = random.below(left), f = order[k]
      low = Infinity
      high = -Infinity
      for (let i = from; i < to; i++) {
        const x = vectors[rows[i] * d + f]
        if (x < low) low = x
        if (x > high) high = x
      }
      if (high > low) return f
      swap(order, k, left - 1)
    }
    return -1
  }
}

/** A threshold that leaves something on both sides. */
function between (low: number, high: number, share: number): number {
  const x = low + (high - low) * share
  return x < high ? x : low
}

function swap (rows: Int32Array, i: number, j: number): void {
  const row = rows[i]
  rows[i] = rows[j]
  rows[j] = row
}

/** Nodes as they are added, in the order of a walk that goes left first. */
export class Nodes {
  count = 0
  private readonly feature: Int16Array
  private readonly threshold: Float64Array
  private readonly right: Int32Array
  private readonly cover: Float64Array
  constructor (most: number) {
    this.feature = new Int16Array(most)
    this.threshold = new Float64Array(most)
    this.right = new Int32Array(most)
    this.cover = new Float64Array(most)
  }
  add (cover: number): number {
    this.cover[this.count] = cover
    return this.count++
  }
  leaf (node: number, path: number): void {
    this.feature[node] = -1
    this.threshold[node] = path
  }
  /** Call it when the left side is there, and before the right one. */
  branch (node: number, feature: number, threshold: number): void {
    this.feature[node] = feature
    this.threshold[node] = threshold
    this.right[node] = this.count
  }
  forest (d: number, roots: Int32Array, expected: number): Forest {
    const { count } = this
    return { d, roots, feature: this.feature.slice(0, count), threshold: this.threshold.slice(0, count), right: this.right.slice(0, count), cover: this.cover.slice(0, count), expected }
  }
}

/** The mean path length of a vector, which stands in x from `at`. */
export function path ({ roots, feature, threshold, right }: Forest, x: Float64Array, at = 0): number {
  const trees = roots.length - 1
  let sum = 0
  for (let tree = 0; tree < trees; tree++) {
    let node = roots[tree]
    for (let f = feature[node]; f >= 0; f = feature[node]) node = x[at + f] <= threshold[node] ? node + 1 : right[node]
    sum += threshold[node]
  }
  return sum / trees
}

/** The score of a vector: 0 to 1, the more the stranger. */
export const score = (forest: Forest, x: Float64Array, at = 0): number => 2 ** (-path(forest, x, at) / forest.expected)
