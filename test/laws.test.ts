import t from 'tap'
import type { Components, Operator } from '#engine'
import * as operators from '../operators/index.ts'
import { chain } from './laws/chain.ts'
import { laws } from './laws/operator.ts'
import { alerts, samples } from './laws/samples.ts'

const { across, anomaly, count, dedupe, derive, drift, ewma, forecast, hygiene, peers, session, sliding, tumbling, verdict, where, zscore } = operators
const chains = [
  () => chain(dedupe({ within: '20s' }), derive({ metric: 'ahead', from: ['m1', 'm0'], by: 'difference' }), tumbling({ every: '10s', features: ['mean', 'slope'] }), ewma()),
  () => chain(where({ metric: ['m0', 'm1'] }), zscore({ over: '20s', samples: 2 }), tumbling({ every: '5s' }), tumbling({ every: '20s', id: 'coarse' })),
  () => chain(tumbling({ every: '10s', features: ['mean', 'count'] }), across({ metrics: ['m0', 'm1', 'm2'], columns: ['mean', 'count'] })),
  () => chain(session({ gap: '3s', of: 'device', features: ['mean', 'count'] }), across({ metrics: ['m0', 'm1', 'm2'], columns: ['mean', 'duration'] })),
  () => chain(count({ readings: 3, of: 'device', features: ['mean', 'count'] }), across({ metrics: ['m0', 'm1', 'm2'], columns: ['mean', 'count'] })),
  () => chain(sliding({ over: '6s', of: 'device', features: ['mean', 'count'] }), across({ metrics: ['m0', 'm1', 'm2'], columns: ['mean', 'count'] })),
  () => chain(hygiene({ samples: 2, alarms: 1e6, per: '1s', min: -50, max: 50 }), anomaly({ samples: 50 }), peers({ learn: '1s', within: '1h' }), verdict({ lasts: '2s' })),
  () => chain(hygiene({ samples: 2, alarms: 1e6, per: '1s', min: -50, max: 50 }), anomaly({ samples: 50 }), peers({ learn: '1s', within: '1h' }), drift({ reference: 5, current: 5, significance: 0.5, effect: 0 }), forecast({ every: '1s', seasons: [], horizons: [1, 3], level: 0.5 }), verdict({ lasts: '2s' }))
]

const known: Components['operators'] = operators
const sampled = Object.entries(known).map(([name, make]): [string, (() => Operator)[]] => [name, samples[name as keyof typeof operators] ?? [() => make()]])
const all = [...sampled, ['alert', alerts], ['a chain', chains]] as const

for (const [name, makes] of all) {
  for (const make of makes) {
    for (const [law, holds] of Object.entries(laws)) {
      const step = make()            // a value: opened as often as a law likes
      t.test(`${name}${name === 'a chain' ? '' : ` ${JSON.stringify(step.given)}`} ${law}`, async t => {
        holds(() => step, { numRuns: 40 })
        t.ok(true)
      })
    }
  }
}
