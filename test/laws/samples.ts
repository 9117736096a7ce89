import type { Condition, Operator } from '#engine'
import { alertOperator } from '../../engine/alert.ts'
import * as operators from '../../operators/index.ts'
import { features as running } from '../../models/features.ts'
import { features } from '../../operators/windows/options.ts'

const { across, anomaly, change, count, hopping, hotelling, hygiene, peers, session, sliding, where, scale, derive, deadband, validate, dedupe, drift, ewma, forest, loda, forecast, rul, zscore, tumbling, threshold, verdict } = operators

const everything = { features: [...features], above: 1, bands: [[0, 0.1], [0.1, 1]], envelope: [[0, 0.2]] } as const

/** Options that bring an operator to do what it does on the streams of the laws. One that does it without options need not stand here. */
export const samples: Partial<Record<keyof typeof operators, (() => Operator)[]>> = {
  anomaly: [() => anomaly(), () => anomaly({ samples: 50, alarms: 1000, per: '1m' })],
  hygiene: [() => hygiene(), () => hygiene({ samples: 2, alarms: 1e6, per: '1s', min: -50, max: 50 })],
  peers: [() => peers(), () => peers({ learn: '1s', within: '1h', alarms: 1000, per: '1m' })],
  drift: [() => drift({ reference: 5, current: 5, effect: 0, significance: 0.5 }), () => drift({ reference: 5, current: 5, significance: 0.5, measures: ['psi'], after: 'keep' })],
  change: [() => change({ samples: 5, runLength: 100 }), () => change({ method: 'page_hinkley', samples: 5, runLength: 100, shift: 2 }), () => change({ method: 'adwin', samples: 5 }), () => change({ method: 'kswin', samples: 5 })],
  verdict: [() => verdict(), () => verdict({ lasts: '2s' })],
  where: [() => where({ device: 'd0' }), () => where({ metric: ['m0', '*2'], tenant: 't' })],
  scale: [() => scale({ factor: 1.8, offset: 32 }), () => scale({ factor: 2, metric: 'm1' })],
  derive: [() => derive({ metric: 'power', from: ['m0', 'm1'], by: 'product', within: '3s' }), () => derive({ metric: 'spread', from: ['m2', 'm0', 'm1'], by: 'ratio' })],
  deadband: [() => deadband({ by: 1 }), () => deadband({ percent: 20, max: '8s' })],
  validate: [() => validate({ min: -50, max: 50 }), () => validate({ rate: 3, missing: false })],
  dedupe: [() => dedupe(), () => dedupe({ within: '5s' })],
  ewma: [() => ewma(), () => ewma({ alpha: 0.5 })],
  zscore: [() => zscore({ over: '10s', samples: 3 }), () => zscore({ over: '1m', samples: 2, floor: 0.5 })],
  tumbling: [() => tumbling({ every: '10s' }), () => tumbling({ every: '7s', ...everything, offset: '2s' }), () => tumbling({ every: '40s', features: ['spectral_entropy', 'autocorrelation', 'mad'] }), () => tumbling({ every: '1m', features: ['last'], zone: 'Asia/Kolkata' })],
  hopping: [() => hopping({ size: '10s', every: '4s' }), () => hopping({ size: '9s', every: '3s', ...everything, offset: '1s' }), () => hopping({ size: '1m', every: '20s', zone: 'America/St_Johns', features: ['slope', 'mean_linear', 'p90'] })],
  hotelling: [() => hotelling({ columns: ['value', 'given'] }), () => hotelling({ columns: ['given', 'value', 'flow'], samples: 76, hold: '4s', memory: 100 })],
  forest: [() => forest({ columns: ['value'] }), () => forest({ columns: ['given', 'value', 'flow'], reservoir: 64, trees: 10, sample: 16, seed: 7 }), () => forest({ columns: ['given', 'value', 'flow'], samples: 128, model: 'test/oracles/forest-of-windows.json' })],
  loda: [() => loda({ columns: ['value'], lines: 10 }), () => loda({ columns: ['given', 'value', 'flow'], lines: 12, memory: 100, seed: 7 })],
  forecast: [() => forecast({ every: '1s', seasons: ['4s'], horizons: [1, 3] }), () => forecast({ every: '2s', seasons: [], level: 0.5 }), () => forecast({ every: '1s', seasons: ['2s', '6s'], horizons: [5], level: 0.8 })],
  rul: [() => rul({ above: 30, samples: 10 }), () => rul({ below: -5, over: '10s', samples: 10 })],
  session: [() => session({ gap: '4s' }), () => session({ gap: '9s', ...everything }), () => session({ gap: '40s', features: ['count', 'mean_held', 'mad', 'autocorrelation'] }), () => session({ gap: '3s', of: 'device' }), () => session({ gap: '8s', of: 'device', ...everything })],
  count: [() => count({ readings: 3 }), () => count({ readings: 4, ...everything }), () => count({ readings: 1, features: ['last', 'median'] }), () => count({ readings: 3, of: 'device' }), () => count({ readings: 4, of: 'device', ...everything })],
  sliding: [() => sliding({ over: '10s' }), () => sliding({ over: '4s', features: [...running], above: 1 }), () => sliding({ over: '9s', ...everything }), () => sliding({ over: '5s', of: 'device' }), () => sliding({ over: '8s', of: 'device', ...everything })],
  across: [() => across({ metrics: ['m0', 'm1'] }), () => across({ metrics: ['m2', 'm0'], columns: ['given', 'value'], metric: 'both' })],
  threshold: [() => threshold({ above: 2 }), () => threshold({ below: 0, clear: 10 })]
}

const spike: Condition = { value: { above: 2 } }
const between: Condition = { any: [{ value: { inside: [0, 3] } }, { given: { below: -10 } }] }

/** The alert operator keeps the same laws. */
export const alerts: (() => Operator)[] = [
  () => alertOperator({ when: spike }),
  () => alertOperator({ when: between, clear: { value: { above: 50 } }, for: '4s' })
]
