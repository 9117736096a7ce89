/**
 * A forest trained with the package ml-isolation-forest 0.1.0 and the scores of its predict:
 *
 *   npm install ml-isolation-forest@0.1.0 && node test/oracles/ml-isolation-forest.mjs > test/oracles/ml-isolation-forest.json
 *
 *   node test/oracles/ml-isolation-forest.mjs windows > test/oracles/forest-of-windows.json
 *
 * The second is a file as people write it, of the mean, the standard deviation and the range of windows of a vibration: a model
 * alone. The package has no seed: another run gives another forest, and its own scores.
 */
import { IsolationForest } from 'ml-isolation-forest'

let state = 1
const uniform = () => { state = Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0; return ((state ^ state >>> 13) >>> 0) / 2 ** 32 }
const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform())
const trained = (vectors, nEstimators) => {
  const model = new IsolationForest({ nEstimators })
  model.train(vectors)
  return model
}
if (process.argv[2] === 'windows') {
  const windows = Array.from({ length: 48 }, () => {
    const std = 0.113 * Math.exp(0.35 * normal())
    return [1.55 * Math.exp(0.33 * normal()), std, std * (2.7 + 0.15 * normal())].map(x => Number(x.toFixed(3)))
  })
  console.log(JSON.stringify(trained(windows, 12)))
} else {
  const vector = () => [uniform(), 100 * uniform() ** 2, Math.round(5 * uniform()) - 2]
  const training = Array.from({ length: 40 }, vector), model = trained(training, 8)
  const x = [...training.slice(0, 20), ...Array.from({ length: 20 }, vector), [5, -50, 9], [0.5, 25, 0], [NaN, 1, 1]]
  console.log(JSON.stringify({ 'made with': 'ml-isolation-forest 0.1.0', model, x, scores: model.predict(x) }))
}
