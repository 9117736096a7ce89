import { defineOperator, Duration, Type } from '#engine'
import { BLOCK, device, peer, Peers } from '../models/peers.ts'
import { budget } from './shared/budget.ts'

/**
 * Whether a metric agrees with the others of its device: it is predicted from their latest values, by how they have gone
 * together until now, see models/peers.ts. What moves all of them is no disagreement. A device with one metric has nothing
 * to compare.
 *
 *   peers             -log10 of the probability that a healthy metric disagrees so much within 100 readings, 0 to 16
 *   peers_expected    the value that the others let expect
 *   peers_deviation   distance from it in its usual size, a mean of the last ten
 *   peers_rest        as `peers`, but for how far the others disagree among themselves when this metric is left out: when that is
 *                     usual, one wrong metric explains all, and it is this; without a value when fewer than two others are there
 *   peers_learned     readings learned so far, up to `peers_needs`: those that come in `learn`, then 3,200
 *   peers_needs       how many those are at the rate at which the series comes; no value at its first reading
 *   peers_alarm       1 when chance gives at most `alarms` such in `per` at the rate at which the series comes, else 0
 *
 * All but these have no value while it learns, when no other metric has one in `within`, or behind the eighth metric of a
 * device. A metric that is not there, comes rarely, or never varies has no part in it. 160 bytes per series, 3.5 KB per device.
 */
export const peers = defineOperator({
  name: 'peers',
  summary: 'Whether each metric agrees with the others of its device.',
  options: Type.Object({
    ...budget,
    learn: Duration({ description: 'Time to learn from before anything is said: a whole cycle of what the device does.', default: '1d' }),
    within: Duration({ description: 'How far the values of other metrics may be away.', default: '1m' })
  }),
  adds: ['peers', 'peers_expected', 'peers_deviation', 'peers_rest', 'peers_learned', 'peers_needs', 'peers_alarm'],
  explains: () => ({ learning: { learned: 'peers_learned', of: 'peers_needs' } }),
  version: 3,                            // what the mean is off is the device's
  learns: true,
  perSeries: { own: { ...peer, time: NaN, interval: 0, intervals: 0 } },
  perDevice: { others: device },
  tuning: ['alarms', 'per', 'learn', 'within'],
  crosses: true,
  check: ({ learn, within }) => learn > 0 && within > 0 ? undefined : '`learn` and `within` must be longer than nothing',

  process (batch, { alarms, per, learn, within }, { own: { data, width, field }, others }, { series: table }) {
    const model = new Peers(), column = () => new Float64Array(batch.length).fill(NaN)
    const evidence = column(), expected = column(), deviation = column(), rest = column(), learned = new Float64Array(batch.length), needs = column(), alarm = column()
    for (let i = 0; i < batch.length; i++) {
      const s = batch.series[i], at = s * width, d = table.deviceOf[s] * others.width, x = batch.value[i], time = batch.time[i]
      if (Number.isFinite(x)) {
        const span = time - data[at + field.time]
        if (span > 0) data[at + field.interval] += (span - data[at + field.interval]) / Math.min(++data[at + field.intervals], SLOW)
        if (!(span <= 0)) data[at + field.time] = time
      }
      const inCycle = learn / data[at + field.interval]
      if (Number.isFinite(inCycle)) {
        needs[i] = model.needs(inCycle)
        learned[i] = model.learned(others.data, d, data, at, learn, inCycle)
      }
      if (!Number.isFinite(x)) continue
      const limit = -Math.log10(Math.min(0.1, alarms * BLOCK * data[at + field.interval] / per))
      if (!model.take(others.data, d, data, at, x, time, within, limit, learn)) continue
      evidence[i] = model.evidence
      expected[i] = model.expected
      deviation[i] = model.deviation
      rest[i] = model.rest
      alarm[i] = model.evidence >= limit ? 1 : 0
    }
    return batch.with({ peers: evidence, peers_expected: expected, peers_deviation: deviation, peers_rest: rest, peers_learned: learned, peers_needs: needs, peers_alarm: alarm })
  }
})

const SLOW = 1000                    // readings that the usual interval goes back
