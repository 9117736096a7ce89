/**
 * A forest trained with the package ml-isolation-forest 0.1.0 and the scores of its predict:
 *
 *   npm install ml-isolation-forest@0.1.0 && node test/oracles/ml-isolation-forest.mjs > test/oracles/ml-isolation-forest.json
 *
 * The package has no seed: another run gives another forest, and its own scores.
 */
import { IsolationForest } from 'ml-isolation-forest'

let state = 1
const uniform = () => { state = Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0; return ((state ^ state >>> 13) >>> 0) / 2 ** 32 }
const vector = () => [uniform(), 100 * uniform() ** 2, Math.round(5 * uniform()) - 2]
const training = Array.from({ length: 40 }, vector)
const model = new IsolationForest({ nEstimators: 8 })
model.train(training)
const x = [...training.slice(0, 20), ...Array.from({ length: 20 }, vector), [5, -50, 9], [0.5, 25, 0], [NaN, 1, 1]]
console.log(JSON.stringify({ 'made with': 'ml-isolation-forest 0.1.0', model, x, scores: model.predict(x) }))
