import { pipeline, span, type Delivery, type Pipeline, type SinkSpec } from '#engine'
import { mix, Random } from '../models/random.ts'
import { anomaly, dedupe, ewma, tumbling, validate } from '../operators/index.ts'
import { BATCH, deliveryOf, sink, source } from './drive.ts'
import { FEATURES, WEIGHT } from './answer.ts'
import { BUDGET } from './budget.ts'

export const START = Date.UTC(2026, 0, 5), SECOND = 1000, IDLE = 30_000, FORGET = 7 * 86_400_000
const METRICS = 10                   // of a device

export const EVERY = 10 * SECOND, WITHIN = 10 * SECOND    // ms: a window; a duplicate comes within
/**
 * The steps of PRED and their options, for every benchmark that has them; STATS is without the detector and the forecast. The detector is the
 * one that `nab` scores, but for fewer readings to learn from, so that a short run has scores: what it does with them is the same.
 */
export const STEPS = {
  validate: { min: -100, max: 1000 }, dedupe: { within: span(WITHIN) }, anomaly: { ...BUDGET, samples: 50 }, ewma: { alpha: WEIGHT }, tumbling: { every: span(EVERY), features: FEATURES }
} as const

/** PRED with an alert, and rows of readings and of windows. */
export const pred = (to: SinkSpec = sink()): Pipeline => pipeline('pred')
  .from(source(), { lateness: '5s', idle: '30s', forget: '7d' })
  .pipe(validate(STEPS.validate), dedupe(STEPS.dedupe), anomaly(STEPS.anomaly), ewma(STEPS.ewma))
  .branch('windows', p => p.pipe(tumbling(STEPS.tumbling)).to(to))
  .alert('unusual', { when: { anomaly_alarm: { above: 0 } } })
  .to(to)

export interface Planted { readings: number, valid: number, sum: number, repeated: number, impossible: number }

/** A reading each second from every series, 10 series a device; the series in a fresh random order each second. One in 256 comes twice, one in 256 cannot be right. Seeded. */
export class Plant {
  readonly series: number
  readonly planted: Planted = { readings: 0, valid: 0, sum: 0, repeated: 0, impossible: 0 }
  second = -1                          // of the newest reading
  private readonly order: Int32Array
  private readonly random = new Random(20)
  private at = 0

  constructor (series: number) {
    this.series = series
    this.order = Int32Array.from({ length: series }, (_, s) => s)
    this.at = series
  }

  get ingest (): number { return START + this.second * SECOND }

  /** The next readings; `series` of its rows is the number of the series, 0 to `series`. */
  next (length = BATCH): Delivery {
    const time = new Float64Array(length), series = new Int32Array(length), value = new Float64Array(length), { planted } = this, before = planted.readings
    for (let i = 0; i < length; i++) {
      if (this.at === this.series) this.shuffle()
      const s = this.order[this.at++], chance = mix(mix(s) + this.second) >>> 0, kind = chance & 255, x = kind === 1 ? 1e6 : valueOf(s, this.second, chance)
      series[i] = s
      time[i] = this.ingest
      value[i] = x
      if (kind === 1) planted.impossible++
      else {
        planted.valid++
        planted.sum += x
      }
      if (kind === 0 && i + 1 < length) {
        i++
        series[i] = s
        time[i] = this.ingest
        value[i] = x
        planted.repeated++
      }
    }
    planted.readings += length
    return deliveryOf({ time, series, value }, before, this.ingest)
  }

  private shuffle (): void {
    const { order, random } = this
    for (let i = order.length - 1; i > 0; i--) {
      const j = random.below(i + 1), s = order[i]
      order[i] = order[j]
      order[j] = s
    }
    this.at = 0
    this.second++
  }
}

/** A slow swing with noise, and now and then a spike. */
function valueOf (series: number, second: number, chance: number): number {
  const noise = (chance >>> 8) / 2 ** 24
  return 50 + series % 17 + 10 * Math.sin((second + series) / 30) + noise + (chance >>> 8 & 4095) / 4096 + (chance >>> 20 === 5 ? 500 : 0)
}

export const nameOf = (series: number): readonly [tenant: string, device: string, metric: string] => ['plant', `device-${Math.floor(series / METRICS)}`, `metric-${series % METRICS}`]
export const deviceOf = (series: number): number => Math.floor(series / METRICS)

/** For threads that make it themselves. */
export default (): Pipeline => pred()
