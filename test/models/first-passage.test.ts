import { readFileSync } from 'node:fs'
import t from 'tap'
import { quantile, reached, type Wiener } from '../../models/first-passage.ts'
import { logNormal } from '../../models/significance.ts'
import { normal } from './random.ts'

interface Case extends Omit<Wiener, 'placeVariance'> { readonly t: number, readonly p: number }
const { first_passage: oracle } = JSON.parse(readFileSync(new URL('../oracles/forecast.json', import.meta.url), 'utf8')) as { first_passage: { readonly cases: Case[], readonly quantiles: Case[] } }

t.test('is the inverse Gaussian distribution of scipy, and its integral over a drift that is not known', async t => {
  for (const { t: time, p, ...w } of oracle.cases) {
    const got = reached({ ...w, placeVariance: 0 }, time)
    t.ok(Math.abs(got - p) < 1e-6, `${JSON.stringify(w)} at ${time}: ${got}, not ${p}`)
  }
})

t.test('quantiles are those of scipy', async t => {
  for (const { t: time, p, ...w } of oracle.quantiles) t.ok(Math.abs(quantile({ ...w, placeVariance: 0 }, p) / time - 1) < 2e-4, `${p}`)
})

t.test('quantiles and probabilities are inverse, however far, however sure', async t => {
  for (const distance of [1e-3, 1, 1e6]) {
    for (const variance of [1e-6, 1, 100]) {
      for (const unsure of [0, 0.01, 0.2]) {
        const w = { distance, drift: 1, variance: variance * distance, driftVariance: unsure, placeVariance: unsure * distance ** 2 / 10 }
        for (const p of [0.1, 0.5, 0.9]) { const q = quantile(w, p); if (q > 0 && q < Infinity) t.ok(Math.abs(reached(w, q) - p) < 1e-3, `${JSON.stringify(w)} ${p}: ${reached(w, q)}`) }
      }
    }
  }
})

t.test('a drift that may lead away: the level may never be reached', async t => {
  t.equal(quantile({ distance: 10, drift: 0.1, variance: 0.01, driftVariance: 0.01, placeVariance: 0 }, 0.9), Infinity)
})

t.test('agrees with paths that are simulated, also when place and drift are not known', async t => {
  const w = { distance: 20, drift: 1, variance: 2, driftVariance: 0.04, placeVariance: 9 }, z = normal(5), STEP = 0.05, PATHS = 4000
  const times = Array.from({ length: PATHS }, () => {
    const drift = w.drift + Math.sqrt(w.driftVariance) * z()
    let x = Math.sqrt(w.placeVariance) * z(), time = 0
    for (; x < w.distance && time < 200; time += STEP) x += drift * STEP + Math.sqrt(w.variance * STEP) * z()
    return time
  })
  for (const p of [0.1, 0.5, 0.9]) {
    const q = quantile(w, p), within = times.filter(time => time <= q).length / PATHS
    t.ok(Math.abs(within - p) < 0.025, `${p}: ${within}`)
  }
})

t.test('the logarithm of the normal distribution, far out too', async t => {
  for (const [z, log] of [[0, Math.log(0.5)], [-1, -1.8410216450092636], [2, -0.023012909328963486], [-10, -53.23128515051247], [-38, -726.5572160144136]]) t.ok(Math.abs(logNormal(z) - log) < 3e-7 * Math.max(1, Math.abs(log)), `${z}: ${logNormal(z)}`)
})
