/** Forests that were grown elsewhere. */
import { Nodes, pathOf, type Forest } from './forest.ts'

/** A node of a forest of the package ml-isolation-forest (0.1.0), as it is or read back from JSON. Leaves have kept their vectors. */
export interface MlNode { readonly left?: MlNode, readonly right?: MlNode, readonly splitColumn?: number, readonly splitValue?: number, readonly trainingSet?: readonly (readonly number[])[] }
export interface MlForest { readonly nEstimators: number, readonly forest: readonly MlNode[], readonly trainingSet: readonly (readonly number[])[] }

/** c(n) of that package, in which Euler's constant is not doubled. */
const mlPathOf = (n: number): number => n <= 1 ? 0 : n === 2 ? 1 : 2 * Math.log(n - 1) + 0.57721 - 2 * (n - 1) / n

const DEEPEST = 64                   // splits on a path; the package itself has at most log2(vectors) + 1
const NUMBERS = 2 ** 15              // of a vector: a node keeps its column in 16 bits

/**
 * The forest of such a model. `cMode` says which expected path it has: 'mljs' gives the scores of its `predict` bit for bit,
 * 'standard' those of the paper, with which scores of other forests compare. Throws on what is no trained model, naming what is wrong.
 */
export function fromMlIsolationForest (model: MlForest, { cMode = 'standard' }: { readonly cMode?: 'mljs' | 'standard' } = {}): Forest {
  const { nEstimators, forest, trainingSet } = Object(model) as MlForest
  const wrong = (what: string) => new TypeError(`not a trained model of ml-isolation-forest: ${what}`)
  if (!(Array.isArray(forest) && forest.length === nEstimators && nEstimators > 0 && Array.isArray(trainingSet) && trainingSet.length > 1)) throw wrong('it has `nEstimators` trees in `forest` and at least two vectors in `trainingSet`')
  const c = cMode === 'mljs' ? mlPathOf : pathOf, d = trainingSet[0]?.length ?? 0
  if (!(d >= 1 && d <= NUMBERS && trainingSet.every(x => Array.isArray(x) && x.length === d))) throw wrong(`its vectors must all have as many numbers, 1 to ${NUMBERS}`)

  /** How many nodes a tree has; throws on one that is none. */
  const checked = (node: MlNode, depth: number): number => {
    if (node === null || typeof node !== 'object') throw wrong('a node of a tree is no object')
    const { left, right, splitColumn, splitValue } = node
    if (left === undefined && right === undefined) {
      if (Array.isArray(node.trainingSet)) return 1
      throw wrong('a leaf has no `trainingSet`: it was written without what the scores need, the number of its vectors')
    }
    if (left === undefined || right === undefined) throw wrong('a node has one side only')
    if (!(Number.isInteger(splitColumn) && splitColumn! >= 0 && splitColumn! < d)) throw wrong(`a node splits by column ${splitColumn} of ${d}`)
    if (!Number.isFinite(splitValue)) throw wrong(`a node splits at ${splitValue}`)
    if (depth === DEEPEST) throw wrong(`a tree is deeper than ${DEEPEST}`)
    return 1 + checked(left, depth + 1) + checked(right, depth + 1)
  }
  const size = ({ left, right, trainingSet }: MlNode): number => left === undefined || right === undefined ? trainingSet!.length : size(left) + size(right)
  const nodes = new Nodes(forest.reduce((sum, tree) => sum + checked(tree, 0), 0)), roots = new Int32Array(nEstimators + 1)
  const take = (node: MlNode, depth: number): void => {
    const to = nodes.add(size(node))
    if (node.left === undefined || node.right === undefined) return nodes.leaf(to, depth + c(size(node)))
    take(node.left, depth + 1)
    nodes.branch(to, node.splitColumn!, below(node.splitValue!))      // there, left is what is smaller; here, what is at most so large
    take(node.right, depth + 1)
  }
  forest.forEach((tree, k) => { take(tree, 0); roots[k + 1] = nodes.count })
  return nodes.forest(d, roots, c(trainingSet.length))
}

const bits = new DataView(new ArrayBuffer(8))
/** The largest number below x. */
function below (x: number): number {
  if (!Number.isFinite(x)) return x
  if (x === 0) return -Number.MIN_VALUE
  bits.setFloat64(0, x)
  bits.setBigInt64(0, bits.getBigInt64(0) + (x > 0 ? -1n : 1n))
  return bits.getFloat64(0)
}

/** Arrays of a tree of scikit-learn's IsolationForest: children_left, children_right (-1 for leaves), feature, threshold, n_node_samples. */
export interface SklearnTree { readonly left: readonly number[], readonly right: readonly number[], readonly feature: readonly number[], readonly threshold: readonly number[], readonly samples: readonly number[] }

/** The forest of such trees, grown on `sample` vectors of d numbers each. scikit-learn rounds vectors to float32 before it compares. */
export function fromSklearn (trees: readonly SklearnTree[], d: number, sample: number): Forest {
  const nodes = new Nodes(trees.reduce((sum, tree) => sum + tree.left.length, 0)), roots = new Int32Array(trees.length + 1)
  trees.forEach(({ left, right, feature, threshold, samples }, k) => {
    const take = (node: number, depth: number): void => {
      const to = nodes.add(samples[node])
      if (left[node] < 0) return nodes.leaf(to, depth + pathOf(samples[node]))
      take(left[node], depth + 1)
      nodes.branch(to, feature[node], threshold[node])
      take(right[node], depth + 1)
    }
    take(0, 0)
    roots[k + 1] = nodes.count
  })
  return nodes.forest(d, roots, pathOf(sample))
}
