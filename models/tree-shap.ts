/**
 * Which number of a vector is how much to blame for its path through a forest: Shapley values of the mean path length, with
 * the numbers that are not known taken by the shares of vectors that went either way (path-dependent TreeSHAP, Lundberg et al.
 * 2020, From local explanations to global understanding with explainable AI for trees, algorithm 2). Exact: together with the
 * mean of the forest they sum to the path of the vector. O(trees * leaves * depth^2), about a millisecond: for alarms only.
 */
import type { Forest } from './forest.ts'

/** The mean path length over what the forest was grown on. */
export function meanPath ({ roots, feature, threshold, right, cover }: Forest): number {
  const below = (node: number): number => feature[node] < 0 ? threshold[node] : (cover[node + 1] * below(node + 1) + cover[right[node]] * below(right[node])) / cover[node]
  let sum = 0
  for (let tree = 0; tree + 1 < roots.length; tree++) sum += below(roots[tree])
  return sum / (roots.length - 1)
}

/** Features met on the way, each once: which, the share of vectors without it (`zero`) and with it (`one`) that go this way, and the weights of subsets by size. */
class Way {
  length = 0
  readonly feature: Int16Array
  readonly zero: Float64Array
  readonly one: Float64Array
  readonly weight: Float64Array
  constructor (most: number) {
    this.feature = new Int16Array(most)
    this.zero = new Float64Array(most)
    this.one = new Float64Array(most)
    this.weight = new Float64Array(most)
  }

  copy (other: Way): void {
    const { length } = this
    for (let i = 0; i < length; i++) {
      other.feature[i] = this.feature[i]
      other.zero[i] = this.zero[i]
      other.one[i] = this.one[i]
      other.weight[i] = this.weight[i]
    }
    other.length = length
  }

  extend (zero: number, one: number, feature: number): void {
    const { weight } = this, l = this.length++
    this.feature[l] = feature
    this.zero[l] = zero
    this.one[l] = one
    weight[l] = l === 0 ? 1 : 0
    for (let i = l - 1; i >= 0; i--) {
      weight[i + 1] += one * weight[i] * (i + 1) / (l + 1)
      weight[i] = zero * weight[i] * (l - i) / (l + 1)
    }
  }

  unwind (at: number): void {
    const { weight, zero, one, feature } = this, l = --this.length, z = zero[at], o = one[at]
    let next = weight[l]
    for (let i = l - 1; i >= 0; i--) {
      if (o !== 0) {
        const before = weight[i]
        weight[i] = next * (l + 1) / ((i + 1) * o)
        next = before - weight[i] * z * (l - i) / (l + 1)
      } else weight[i] = weight[i] * (l + 1) / (z * (l - i))
    }
    for (let i = at; i < l; i++) {
      feature[i] = feature[i + 1]
      zero[i] = zero[i + 1]
      one[i] = one[i + 1]
    }
  }

  /** The sum of weights when the feature at this place is taken out. */
  without (at: number): number {
    const { weight } = this, l = this.length - 1, z = this.zero[at], o = this.one[at]
    let next = weight[l], sum = 0
    for (let i = l - 1; i >= 0; i--) {
      if (o !== 0) {
        const part = next * (l + 1) / ((i + 1) * o)
        sum += part
        next = weight[i] - part * z * (l - i) / (l + 1)
      } else sum += weight[i] * (l + 1) / (z * (l - i))
    }
    return sum
  }
}

/** Writes the Shapley value of each number of x, which stands from `at`, into `into`: negative where it makes the path shorter, so stranger. */
export function treeShap (forest: Forest, x: Float64Array, at: number, into: Float64Array): void {
  const { roots, feature, threshold, right, cover, d } = forest, trees = roots.length - 1
  into.fill(0, 0, d)
  const ways: Way[] = []
  const wayAt = (depth: number) => ways[depth] ??= new Way(depth + 2)

  const walk = (node: number, depth: number, zero: number, one: number, by: number): void => {
    const way = wayAt(depth)
    if (depth > 0) ways[depth - 1].copy(way)
    else way.length = 0
    if (by >= 0) for (let i = 1; i < way.length; i++) {
      if (way.feature[i] !== by) continue
      zero *= way.zero[i]
      one *= way.one[i]
      way.unwind(i)
      break
    }
    if (zero === 0 && one === 0) return          // neither x nor anything else comes here
    way.extend(zero, one, by)
    const f = feature[node]
    if (f < 0) {
      for (let i = 1; i < way.length; i++) into[way.feature[i]] += way.without(i) * (way.one[i] - way.zero[i]) * threshold[node]
      return
    }
    const left = node + 1, hot = x[at + f] <= threshold[node] ? left : right[node], cold = hot === left ? right[node] : left
    walk(hot, depth + 1, cover[hot] / cover[node], 1, f)
    walk(cold, depth + 1, cover[cold] / cover[node], 0, f)
  }
  for (let tree = 0; tree < trees; tree++) walk(roots[tree], 0, 1, 1, -1)
  for (let f = 0; f < d; f++) into[f] /= trees
}
