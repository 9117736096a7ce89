import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { grow, path, pathOf, score, type Forest } from '../../models/forest.ts'
import { fromMlIsolationForest, fromSklearn, type MlForest, type SklearnTree } from '../../models/forest-import.ts'
import { meanPath, treeShap } from '../../models/tree-shap.ts'
import { normal } from './random.ts'

const oracle = <T>(name: string) => JSON.parse(readFileSync(join(import.meta.dirname, `../oracles/${name}.json`), 'utf8')) as T
const vectors = (d: number, n: number, seed: number) => { const z = normal(seed); return Float64Array.from({ length: n * d }, z) }
const shapOf = (forest: Forest, x: Float64Array) => { const into = new Float64Array(forest.d); treeShap(forest, x, 0, into); return into }

t.test('the expected path is that of the paper', async t => {
  t.strictSame([0, 1, 2].map(pathOf), [0, 0, 1])
  t.ok(Math.abs(pathOf(256) - 10.244770920) < 1e-8)
})

t.test('the same seed gives the same forest, another one another', async t => {
  const x = vectors(3, 500, 1), options = { trees: 10, sample: 64, seed: 1 }
  t.strictSame(grow(x, 3, 500, options), grow(x, 3, 500, options))
  t.notSame(grow(x, 3, 500, options).threshold, grow(x, 3, 500, { ...options, seed: 2 }).threshold)
})

t.test('a tree holds each vector of its sample once, leaves none empty, and goes no deeper than it may', async t => {
  const { roots, feature, threshold, right, cover } = grow(vectors(4, 300, 2), 4, 300, { trees: 20, sample: 100, seed: 3 })
  const walk = (node: number, depth: number): number => {
    t.ok(depth <= 7 && cover[node] > 0)
    if (feature[node] < 0) {
      t.equal(threshold[node], depth + pathOf(cover[node]))
      return cover[node]
    }
    const sum = walk(node + 1, depth + 1) + walk(right[node], depth + 1)
    t.equal(sum, cover[node])
    return sum
  }
  for (let tree = 0; tree < 20; tree++) t.equal(walk(roots[tree], 0), 100)
})

t.test('samples come from all vectors, and neighbouring numbers are told apart', async t => {
  const groups = Float64Array.from({ length: 640 }, (_, i) => i < 64 ? i / 64 : 100 + i / 64)
  t.ok(score(grow(groups, 1, 640, { trees: 20, sample: 64, seed: 1 }), Float64Array.of(105)) < 0.5)
  const { feature, cover } = grow(Float64Array.from({ length: 64 }, (_, i) => i % 2 === 0 ? 1 : 1 + Number.EPSILON), 1, 64, { trees: 20, sample: 64, seed: 1 })
  t.equal(feature.length, 60)
  t.ok(cover.every(n => n === 64 || n === 32))
})

t.test('what stands apart scores above a half, what lies in the middle below, and equal vectors are all alike', async t => {
  const forest = grow(vectors(3, 1000, 4), 3, 1000, { trees: 100, sample: 256, seed: 5 })
  t.ok(score(forest, Float64Array.of(0, 0, 0)) < 0.45 && score(forest, Float64Array.of(6, -6, 6)) > 0.7)
  const same = grow(new Float64Array(200).fill(7), 2, 100, { trees: 5, sample: 50, seed: 1 })
  t.equal(same.feature.length, 5)
  t.equal(score(same, Float64Array.of(7, 7)), 0.5)
  t.equal(score(same, Float64Array.of(-7, 1e9)), 0.5)
})

t.test('the mean path is that of all vectors when each tree has seen all', async t => {
  const n = 128, x = vectors(3, n, 6), forest = grow(x, 3, n, { trees: 10, sample: n, seed: 7 })
  const mean = Array.from({ length: n }, (_, i) => path(forest, x, 3 * i)).reduce((a, b) => a + b) / n
  t.ok(Math.abs(mean - meanPath(forest)) < 1e-10)
})

/** The path when only these numbers of x are known. */
function expectation ({ roots, feature, threshold, right, cover }: Forest, x: Float64Array, known: number): number {
  const below = (node: number): number => {
    const f = feature[node]
    if (f < 0) return threshold[node]
    if (known >> f & 1) return below(x[f] <= threshold[node] ? node + 1 : right[node])
    return (cover[node + 1] * below(node + 1) + cover[right[node]] * below(right[node])) / cover[node]
  }
  let sum = 0
  for (let tree = 0; tree + 1 < roots.length; tree++) sum += below(roots[tree])
  return sum / (roots.length - 1)
}

/** Shapley's definition: over all subsets of d numbers. */
function bruteForce (forest: Forest, x: Float64Array): number[] {
  const { d } = forest, value = Array.from({ length: 1 << d }, (_, known) => expectation(forest, x, known))
  const factorial = (n: number): number => n <= 1 ? 1 : n * factorial(n - 1), bits = (s: number) => s.toString(2).replaceAll('0', '').length
  return Array.from({ length: d }, (_, f) => value.reduce((sum, of, s) => s >> f & 1 ? sum : sum + factorial(bits(s)) * factorial(d - bits(s) - 1) / factorial(d) * (value[s | 1 << f] - of), 0))
}

t.test('Shapley values are those of the definition, and sum to the path less the mean path', async t => {
  for (const d of [1, 2, 3, 5, 8, 10]) {
    const x = vectors(d, 200, d), forest = grow(x, d, 200, { trees: 6, sample: 64, seed: d })
    for (const at of [x.slice(0, d), vectors(d, 1, 100 + d).map(x => 3 * x)]) {
      const phi = shapOf(forest, at), exact = bruteForce(forest, at)
      exact.forEach((e, j) => { t.ok(Math.abs(phi[j] - e) < 1e-9, `${d} numbers, ${j}: ${phi[j]}, not ${e}`) })
      t.ok(Math.abs(phi.reduce((a, b) => a + b) + meanPath(forest) - path(forest, at)) < 1e-9)
    }
  }
  const wide = vectors(40, 600, 9), forest = grow(wide, 40, 600, { trees: 100, sample: 256, seed: 1 })
  t.ok(Math.abs(shapOf(forest, wide.subarray(0, 40)).reduce((a, b) => a + b) + meanPath(forest) - path(forest, wide)) < 1e-9)
})

t.test('of one wild number the values say which', async t => {
  const forest = grow(vectors(6, 1000, 10), 6, 1000, { trees: 100, sample: 256, seed: 1 }), phi = shapOf(forest, Float64Array.of(0, 0, 0, 8, 0, 0))
  t.ok(phi[3] < -1 && phi.every((x, j) => j === 3 || x > phi[3] / 4), phi.join())
})

interface Sklearn { readonly forests: readonly { readonly d: number, readonly sample: number, readonly trees: readonly SklearnTree[], readonly x: readonly number[][], readonly scores: readonly number[], readonly shap: readonly number[][], readonly expected: number }[] }
t.test('scikit-learn gives its forests the same scores, and shap the same values', async t => {
  for (const { d, sample, trees, x, scores, shap, expected } of oracle<Sklearn>('isolation-forest').forests) {
    const forest = fromSklearn(trees, d, sample)
    t.ok(Math.abs(meanPath(forest) - expected) < 1e-5, `${meanPath(forest)}, not ${expected}`)
    x.forEach((x, i) => {
      const at = Float64Array.from(x), phi = shapOf(forest, at)
      t.ok(Math.abs(score(forest, at) - scores[i]) < 1e-12, `score ${score(forest, at)}, not ${scores[i]}`)
      shap[i].forEach((s, j) => { t.ok(Math.abs(phi[j] - s) < 1e-5, `${d} numbers, ${j}: ${phi[j]}, not ${s}`) })
    })
  }
})

t.test('an imported forest of ml-isolation-forest has its scores bit for bit, and Shapley values that sum', async t => {
  const { model, x, scores } = oracle<{ model: MlForest, x: (number | null)[][], scores: number[] }>('ml-isolation-forest')
  const exact = fromMlIsolationForest(model, { cMode: 'mljs' }), standard = fromMlIsolationForest(model)
  for (const [i, row] of x.entries()) {
    const at = Float64Array.from(row, x => x ?? NaN)
    t.equal(score(exact, at), scores[i])
    t.ok(score(standard, at) !== scores[i])
    const phi = shapOf(standard, at), brute = bruteForce(standard, at)
    t.ok(phi.every((p, j) => Math.abs(p - brute[j]) < 1e-9))
  }
  t.throws(() => fromMlIsolationForest({ ...model, forest: [] }), /not a trained model of ml-isolation-forest/)
  t.throws(() => fromMlIsolationForest({ ...model, forest: model.forest.map(tree => ({ ...tree, splitColumn: 3 })) }), /column 3 of 3/)
})
