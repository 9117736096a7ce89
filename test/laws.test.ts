import t from 'tap'
import type { Operator } from '#engine'
import { operators } from '../operators/index.ts'
import { chain } from './laws/chain.ts'
import { laws } from './laws/operator.ts'
import { alerts, samples } from './laws/samples.ts'

const { dedupe, derive, ewma, tumbling, where, zscore } = operators
const chains = [
  () => chain(dedupe({ within: '20s' }), derive({ metric: 'ahead', from: ['m1', 'm0'], by: 'difference' }), tumbling({ every: '10s', features: ['mean', 'slope'] }), ewma()),
  () => chain(where({ metric: ['m0', 'm1'] }), zscore({ over: '20s', samples: 2 }), tumbling({ every: '5s' }), tumbling({ every: '20s', id: 'coarse' }))
]

const all: [string, (() => Operator)[]][] = [...Object.entries(samples), ['alert', alerts], ['a chain', chains]]

t.strictSame(Object.keys(samples).sort(), Object.keys(operators).sort(), 'every operator has samples')

for (const [name, makes] of all) {
  for (const make of makes) {
    for (const [law, holds] of Object.entries(laws)) {
      t.test(`${name}${name === 'a chain' ? '' : ` ${JSON.stringify(make().given)}`} ${law}`, async t => {
        holds(make, { numRuns: 40 })
        t.ok(true)
      })
    }
  }
}
