import { defineOperator, Duration, Type, type Numbers } from '#engine'
import { aspects } from '../models/comparison.ts'
import { checks } from '../models/hygiene.ts'
import * as lasting from '../models/lasting.ts'
import { signals } from '../models/portfolio.ts'
import { device, series, Verdict, type Said } from '../models/verdict.ts'

/**
 * Which of three is to blame when detectors speak: the device behaves abnormally, the model (what the detectors have learned) is
 * stale, or a sensor is broken. It reads what `hygiene`, `anomaly` and `peers` say of all metrics of a device; see models/verdict.ts
 * for the rule. A verdict is about an event, from its first alarm until it is over. It stands on the rows of the metrics that are
 * concerned; on others it is 0.
 *
 *   verdict            1 device, 2 model, 3 sensor; 0 nothing that concerns this metric, or nothing that can be told
 *   verdict_evidence   -log10 of the probability that chance gives what speaks for it. sensor: what hygiene or peers say of it.
 *                      device: that the others disagree as much, whichever one metric is left out; while metrics that agree have
 *                      moved, and for model, its most unusual reading. 0 to 16; 0 when nothing is said
 *   verdict_doubt      likewise of what speaks against it. sensor: that the others disagree without it. model: that it left them
 *   verdict_metrics    how many metrics of the device are concerned
 *   verdict_learned    readings learned so far, up to `verdict_needs`: those of `peers`, which takes longest; one less while another of the three learns
 *   verdict_needs      how many those are at the rate at which the series comes; no value at its first reading
 *   verdict_drift      what `drift` has found to move within `lasts`: 1 mean, 2 spread, 3 shape; 0 nothing. No value where no such step stands before
 *   verdict_missed     the share of intervals of `forecast`, of its longest horizon, that lately did not hold, over about `lasts`. No value where none was scored
 *
 * The last two decide nothing: they see one metric, and that a change of it lasts is so of a device, of a model and of a sensor alike
 * (figures: docs/explain/detection.md). They explain it: a verdict with most intervals missed is about more than noise.
 *
 * A verdict can still change: sensor to device when the others turn out to disagree too, device to model when it lasts. No value
 * before one of the three has something to say of the series. 1,632 bytes per series, 80 per device.
 */
export const verdict = defineOperator({
  name: 'verdict',
  summary: 'Which of device, model and sensor is to blame for what detectors say, with evidence.',
  options: Type.Object({
    lasts: Duration({ description: 'Metrics that are far from their season on average over this time are in another regime.', default: '6h' })
  }),
  needs: ['hygiene', ...checks.map(check => `hygiene_${check}` as const), 'anomaly', 'anomaly_alarm', 'anomaly_signal', 'anomaly_usual', 'peers', 'peers_rest', 'peers_alarm', 'peers_learned', 'peers_needs'],
  reads: ['drift', 'drift_aspect', 'forecast_*_coverage'],
  adds: ['verdict', 'verdict_evidence', 'verdict_doubt', 'verdict_metrics', 'verdict_learned', 'verdict_needs', 'verdict_drift', 'verdict_missed'],
  explains: () => ({
    verdict: { column: 'verdict', names: ['device', 'model', 'sensor'] }, learning: { learned: 'verdict_learned', of: 'verdict_needs' },
    spoke: { column: 'verdict_drift', names: aspects.slice(1).map(aspect => `drift of the ${aspect}`) }, signals: { 'missed forecasts': 'verdict_missed' }
  }),
  version: 4,                            // lasting changes are remembered
  learns: true,
  perSeries: { own: series, change: lasting.lasting },
  perDevice: { others: device },
  tuning: ['lasts'],
  crosses: true,
  check: ({ lasts }) => lasts > 0 ? undefined : '`lasts` must be longer than nothing',

  process (batch, { lasts }, { own, change, others }, { series: table }) {
    const model = new Verdict(others.data, own.data, lasts), column = () => new Float64Array(batch.length).fill(NaN), c = batch.columns
    const verdict = column(), evidence = column(), doubt = column(), metrics = column(), needs = column(), learned = new Float64Array(batch.length)
    const also = batch.columns as Readonly<Record<string, Numbers | undefined>>, { drift, drift_aspect: aspect } = also, coverage = also[coverageIn(also)], moved = column(), missed = column()
    const strengths = checks.map(check => c[`hygiene_${check}`]), places: number[] = []
    let device = -1
    const said: Said = { sure: 0, odd: 0, moved: NaN, alarm: false, noisy: false, value: NaN, usual: NaN, peers: NaN, rest: NaN, parted: false }
    for (let i = 0; i < batch.length; i++) {
      const s = batch.series[i], code = c.hygiene[i], strength = strengths[code - 1]?.[i] ?? 0
      said.sure = SURE.includes(code) ? strength : 0
      said.odd = SURE.includes(code) ? 0 : strength
      said.moved = Math.max(c.anomaly[i] > 0 ? c.anomaly[i] : 0, said.odd)
      said.alarm = c.anomaly_alarm[i] === 1
      said.noisy = c.anomaly_signal[i] === NOISE
      said.value = batch.value[i]
      said.usual = c.anomaly_usual[i]
      said.peers = c.peers[i]
      said.rest = c.peers_rest[i]
      said.parted = c.peers_alarm[i] === 1
      needs[i] = c.peers_needs[i]
      learned[i] = Number.isNaN(c.anomaly[i]) || Number.isNaN(code) ? Math.min(c.peers_learned[i], Math.max(0, needs[i] - 1) || 0) : c.peers_learned[i]
      const d = table.deviceOf[s] * others.width, at = s * own.width
      if (table.deviceOf[s] !== device) {
        device = table.deviceOf[s]
        places.length = 0
        for (let k = table.firstOf(device); k >= 0; k = table.nextOf(k)) places.push(k * own.width)
      }
      model.take(d, at, said, batch.time[i], places)
      const changed = s * change.width
      lasting.take(change.data, changed, drift?.[i] === 1 ? aspect![i] : 0, coverage?.[i] ?? NaN, batch.time[i], lasts)
      if (drift !== undefined) moved[i] = lasting.moved(change.data, changed, batch.time[i], lasts)
      missed[i] = lasting.missed(change.data, changed)
      if (Number.isNaN(c.anomaly[i]) && Number.isNaN(c.peers[i]) && Number.isNaN(code)) continue
      verdict[i] = model.concerns(d, at) ? model.cause : 0
      evidence[i] = verdict[i] > 0 ? model.evidence(at) : 0
      doubt[i] = verdict[i] > 0 ? model.doubt(at) : 0
      let n = 0
      for (const at of places) if (model.concerns(d, at)) n++
      metrics[i] = n
    }
    return batch.with({ verdict, verdict_evidence: evidence, verdict_doubt: doubt, verdict_metrics: metrics, verdict_learned: learned, verdict_needs: needs, verdict_drift: moved, verdict_missed: missed })
  }
})

/** Checks of hygiene that only a sensor fails, and the signal of anomaly that speaks of noise alone; as codes. */
const SURE = (['stuck', 'gap', 'clipping', 'clock', 'unit'] as const).map(check => checks.indexOf(check) + 1), NOISE = signals.indexOf('noise') + 1

/** The column of the longest horizon of `forecast`, whose intervals were made when least was known of what came; '' when there is none. */
function coverageIn (columns: object): string {
  const horizons = Object.keys(columns).flatMap(name => /^forecast_(\d+)_coverage$/.exec(name)?.[1] ?? []).map(Number)
  return horizons.length === 0 ? '' : `forecast_${Math.max(...horizons)}_coverage`
}
