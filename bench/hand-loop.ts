import type { Readings } from '../engine/watermark.ts'
import { portfolio, Portfolio } from '../models/portfolio.ts'
import { anomaly } from '../operators/index.ts'
import { addWindow, FEATURES, WEIGHT, type Answer, type Settings } from './answer.ts'

const SEEN = 64                      // readings of a series that may lie in `within`, at most
const N = 0, VALUE0 = 1, SUM = 2, SQUARES = 3, TIME0 = 4, T = 5, TT = 6, TV = 7, TV_LOW = 8, LOW = 9, MIN = 10, MAX = 11, WIDTH = 12
const IDLE = 0, FIRING = 1
const PORTFOLIO = Object.keys(portfolio).length

/**
 * validate, dedupe, the detector, a forecast, tumbling(8 features) and an alert, fused by hand into one loop over typed arrays:
 * the floor that the operators are measured against. The same arithmetic on the same readings, to the last bit, and nothing
 * else: the number of series and the rate of readings are built in, nothing can be saved, restored, combined or asked how it
 * is doing, and an alert is a number. The detector is the model that the operator calls, on one flat array.
 */
export class HandLoop {
  private readonly o: Settings
  private readonly answer: Answer
  private readonly reached: Float64Array         // per device
  private readonly due: Float64Array
  private readonly newest: Float64Array          // per series
  private readonly seenTime: Float64Array
  private readonly seenValue: Float64Array
  private readonly seenNext: Int32Array
  private readonly known: Float64Array           // of the detector
  private readonly mean: Float64Array
  private readonly start: Float64Array           // two open windows per series
  private readonly sums: Float64Array
  private readonly phase: Uint8Array             // of the alert
  private readonly since: Float64Array
  private readonly looked: Float64Array
  private readonly features = new Float64Array(FEATURES.length)
  private readonly model = new Portfolio()
  private readonly samples: number
  private readonly alarms: number
  private readonly per: number

  constructor (o: Settings, answer: Answer) {
    this.o = o
    this.answer = answer
    this.reached = new Float64Array(o.series / o.perDevice).fill(-Infinity)
    this.due = new Float64Array(o.series / o.perDevice).fill(Infinity)
    this.newest = new Float64Array(o.series).fill(-Infinity)
    this.seenTime = new Float64Array(o.series * SEEN).fill(NaN)
    this.seenValue = new Float64Array(o.series * SEEN)
    this.seenNext = new Int32Array(o.series)
    this.known = new Float64Array(o.detector === undefined ? 0 : o.series * PORTFOLIO)
    for (let at = 0; at < this.known.length; at += PORTFOLIO) this.known.set(Object.values(portfolio), at)
    this.mean = new Float64Array(o.series).fill(NaN)
    this.start = new Float64Array(o.series * 2).fill(NaN)
    this.sums = new Float64Array(o.series * 2 * WIDTH)
    this.phase = new Uint8Array(o.series)
    this.since = new Float64Array(o.series)
    this.looked = new Float64Array(o.series).fill(-Infinity)
    const { samples, alarms, per } = anomaly(o.detector).options as { readonly samples: number, readonly alarms: number, readonly per: number }
    this.samples = samples
    this.alarms = alarms
    this.per = per
  }

  process ({ time, series, value }: Readings): void {
    const { lateness, min, max, within, every, perDevice, high, detector } = this.o
    const { reached, due, newest, seenTime, seenValue, seenNext, known, mean, start, sums, phase, since, looked, answer, model, samples, alarms, per } = this
    const n = time.length
    for (let i = 0; i < n; i++) {
      const t = time[i], s = series[i], x = value[i], d = (s / perDevice) | 0
      const arrival = reached[d]
      const progress = t - lateness
      const moves = progress > arrival
      if (moves) reached[d] = progress
      keep: if (x >= min && x <= max || x !== x) {
        const ring = s * SEEN, latest = newest[s]
        let seq = 0
        if (t <= latest) {
          if (t >= latest - within) {
            for (let k = ring; k < ring + SEEN; k++) {
              if (seenTime[k] !== t) continue
              const v = seenValue[k]
              if (v === x || (v !== v && x !== x)) break keep
              seq++
            }
            seenTime[ring + seenNext[s]] = t
            seenValue[ring + seenNext[s]] = x
            seenNext[s] = (seenNext[s] + 1) & (SEEN - 1)
          }
        } else {
          newest[s] = t
          seenTime[ring + seenNext[s]] = t
          seenValue[ring + seenNext[s]] = x
          seenNext[s] = (seenNext[s] + 1) & (SEEN - 1)
        }
        answer.readings++
        answer.seq += seq

        let evidence = NaN, p = NaN, low = NaN, over = NaN, signal = NaN, usual = NaN, learned = NaN, alarm = NaN, forecast = NaN
        if (detector !== undefined) {
          const at = s * PORTFOLIO, count = known[at]
          learned = count < samples ? count : samples
          if (x - x === 0) {
            model.read(x, t, t)
            if (count > 0) model.score(known, at)
            if (count >= samples) {
              alarm = model.alarm(known, at, alarms, per) ? 1 : 0
              evidence = model.news ? model.evidence : 0
              p = model.evidence > 0 ? 10 ** -model.evidence : 1
              low = model.low
              over = model.high
              usual = model.usual
              signal = model.evidence > 0 ? model.signal + 1 : 0
              answer.evidence += evidence
              answer.p += p
              answer.alarms += alarm
            }
            model.learn(known, at)
          }
          const before = mean[s]
          forecast = before !== before ? x : x !== x ? before : before + WEIGHT * (x - before)
          mean[s] = forecast
          if (forecast === forecast) answer.forecast += forecast
        }
        if (answer.row !== undefined) answer.row('reading', s, t, x, seq, evidence, p, low, over, signal, usual, learned, alarm, forecast)

        if (t >= looked[s]) {
          looked[s] = t
          const sign = detector === undefined ? x : alarm
          if (sign === sign) {
            const holds = detector === undefined ? sign > high : sign === 1
            if (!holds) {
              if (phase[s] === FIRING) {
                answer.resolved++
                if (answer.row !== undefined) answer.row('alert', s, t, since[s], 0)
              }
              phase[s] = IDLE
            } else if (phase[s] !== FIRING) {
              if (phase[s] === IDLE) since[s] = t
              phase[s] = FIRING
              answer.fired++
              if (answer.row !== undefined) answer.row('alert', s, t, since[s], 1)
            }
          }
        }

        if (x === x) {
          const from = Math.floor(t / every) * every
          if (from + every > arrival) {
            const slot = s * 2 + ((from / every) & 1), a = slot * WIDTH
            if (start[slot] !== from) {
              start[slot] = from
              if (from + every < due[d]) due[d] = from + every
              sums[a + N] = 1
              sums[a + VALUE0] = x
              sums[a + TIME0] = t
              sums[a + SUM] = sums[a + SQUARES] = sums[a + T] = sums[a + TT] = sums[a + TV] = sums[a + TV_LOW] = sums[a + LOW] = 0
              sums[a + MIN] = sums[a + MAX] = x
            } else {
              const count = ++sums[a + N], sum = sums[a + SUM], v = x - sums[a + VALUE0], u = t - sums[a + TIME0]
              const off = v - sum / (count - 1), offT = u - sums[a + T] / (count - 1)
              const product = offT * ((off - sums[a + LOW] / (count - 1)) / count) * (count - 1), products = sums[a + TV]
              const both = products + product, part = both - products, all = sum + v, added = all - sum
              sums[a + SUM] = all
              sums[a + SQUARES] += off * (off / count) * (count - 1)
              sums[a + T] += u
              sums[a + TT] += offT * (offT / count) * (count - 1)
              sums[a + TV] = both
              sums[a + TV_LOW] += (products - (both - part)) + (product - part)
              sums[a + LOW] += (sum - (all - added)) + (v - added)
              if (x < sums[a + MIN]) sums[a + MIN] = x
              if (x > sums[a + MAX]) sums[a + MAX] = x
            }
          }
        }
      }
      if (moves && progress >= due[d]) this.close(d, progress)
    }
  }

  /** The stream is over: every window closes. */
  end (): void { for (let d = 0; d < this.due.length; d++) this.close(d, Infinity) }

  private close (device: number, reached: number): void {
    const { start, due, o: { every, perDevice } } = this
    const first = device * perDevice * 2, last = first + perDevice * 2
    for (;;) {
      let next = Infinity
      for (let slot = first; slot < last; slot++) if (start[slot] < next) next = start[slot]
      due[device] = next + every
      if (next === Infinity || next + every > reached) return
      for (let slot = first; slot < last; slot++) {
        if (start[slot] !== next) continue
        this.write(slot >> 1, next, slot * WIDTH)
        start[slot] = NaN
      }
    }
  }

  private write (series: number, start: number, a: number): void {
    const { sums, features } = this
    const n = sums[a + N], mean = sums[a + VALUE0] + sums[a + SUM] / n, variance = sums[a + SQUARES] / n
    features[0] = n
    features[1] = mean
    features[2] = Math.sqrt(variance)
    features[3] = sums[a + MIN]
    features[4] = sums[a + MAX]
    features[5] = Math.sqrt(mean ** 2 + variance)
    features[6] = sums[a + MAX] - sums[a + MIN]
    features[7] = sums[a + TT] > 0 ? (sums[a + TV] + sums[a + TV_LOW]) * 1000 / sums[a + TT] : NaN
    addWindow(this.answer, series, start, features)
  }
}
