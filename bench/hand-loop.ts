import type { Readings } from '../engine/watermark.ts'

export const FEATURES = ['count', 'mean', 'std', 'min', 'max', 'rms', 'range', 'slope'] as const

export interface Settings {
  readonly series: number
  readonly perDevice: number         // series of a device, side by side: the device of series s is floor(s / perDevice)
  readonly lateness: number          // ms, less than `every`
  readonly min: number
  readonly max: number
  readonly within: number            // ms; at most SEEN readings of a series may lie in it
  readonly over: number              // ms
  readonly samples: number
  readonly every: number             // ms
}

/** What comes out of a run: sums for a quick check, and a callback per row of a window for a thorough one. */
export interface Answer {
  readings: number                   // that passed
  seq: number                        // sum
  zscore: number                     // sum of those that are numbers
  rows: number                       // windows
  readonly sums: Float64Array        // by feature
  row?: (series: number, start: number, features: Float64Array) => void
}
export const noAnswer = (row?: Answer['row']): Answer => ({ readings: 0, seq: 0, zscore: 0, rows: 0, sums: new Float64Array(FEATURES.length), ...row && { row } })

const SEEN = 64, CLIP = 3, CONSISTENT = 1 / 0.9950073, LIMIT = 1000
const N = 0, VALUE0 = 1, SUM = 2, SQUARES = 3, TIME0 = 4, T = 5, TT = 6, TV = 7, MIN = 8, MAX = 9, WIDTH = 10

/**
 * validate + dedupe + zscore + tumbling(8 features), fused by hand into one loop over typed arrays: the floor that the
 * operators are measured against. The same arithmetic on the same readings, and nothing else: the number of series and
 * the rate of readings are built in, nothing can be saved, restored, combined or asked how it is doing.
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
  private readonly level: Float64Array           // location, variance, weight, newest
  private readonly learning: Float64Array        // the first values of each series
  private readonly start: Float64Array           // two open windows per series
  private readonly sums: Float64Array
  private readonly features = new Float64Array(FEATURES.length)
  private span = 0
  private kept = 1

  constructor (o: Settings, answer: Answer) {
    this.o = o
    this.answer = answer
    this.reached = new Float64Array(o.series / o.perDevice).fill(-Infinity)
    this.due = new Float64Array(o.series / o.perDevice).fill(Infinity)
    this.newest = new Float64Array(o.series).fill(-Infinity)
    this.seenTime = new Float64Array(o.series * SEEN).fill(NaN)
    this.seenValue = new Float64Array(o.series * SEEN)
    this.seenNext = new Int32Array(o.series)
    this.level = new Float64Array(o.series * 4)
    for (let s = 0; s < o.series; s++) this.level[s * 4 + 3] = -Infinity
    this.learning = new Float64Array(o.series * o.samples)
    this.start = new Float64Array(o.series * 2).fill(NaN)
    this.sums = new Float64Array(o.series * 2 * WIDTH)
  }

  process ({ time, series, value }: Readings): void {
    const { lateness, min, max, within, over, samples, every, perDevice } = this.o
    const { reached, due, newest, seenTime, seenValue, seenNext, level, learning, start, sums, answer } = this
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
        if (x === x) {
          const at = s * 4, before = level[at + 2]
          if (before < samples) {
            learning[s * samples + before] = x
            if (t > level[at + 3]) level[at + 3] = t
            level[at + 2] = before + 1
            if (before + 1 === samples) this.begin(s)
          } else {
            const variance = level[at + 1], scale = Math.sqrt(variance)
            let off = x - level[at]
            const z = off === 0 ? 0 : off / scale
            answer.zscore += z > LIMIT ? LIMIT : z < -LIMIT ? -LIMIT : z
            const age = t - level[at + 3]
            let weight = before
            if (age > 0) {
              level[at + 3] = t
              if (age !== this.span) { this.span = age; this.kept = Math.exp(-age / over) }
              weight = Math.max(before * this.kept, samples)
            }
            const after = weight + 1, bound = CLIP * scale
            if (bound > 0) off = off > bound ? bound : off < -bound ? -bound : off
            level[at] += off / after
            level[at + 1] = (weight * variance + CONSISTENT * off * off * (weight / after)) / after
            level[at + 2] = after
          }

          const from = Math.floor(t / every) * every
          if (from + every > arrival) {
            const slot = s * 2 + ((from / every) & 1), a = slot * WIDTH
            if (start[slot] !== from) {
              start[slot] = from
              if (from + every < due[d]) due[d] = from + every
              sums[a + N] = 1
              sums[a + VALUE0] = x
              sums[a + TIME0] = t
              sums[a + SUM] = sums[a + SQUARES] = sums[a + T] = sums[a + TT] = sums[a + TV] = 0
              sums[a + MIN] = sums[a + MAX] = x
            } else {
              const v = x - sums[a + VALUE0], u = (t - sums[a + TIME0]) / 1000
              sums[a + N]++
              sums[a + SUM] += v
              sums[a + SQUARES] += v * v
              sums[a + T] += u
              sums[a + TT] += u * u
              sums[a + TV] += u * v
              if (x < sums[a + MIN]) sums[a + MIN] = x
              if (x > sums[a + MAX]) sums[a + MAX] = x
            }
          }
        }
      }
      if (moves && progress >= due[d]) this.close(d, progress)
    }
  }

  /** Median and MAD of the first values, or their mean absolute deviation. */
  private begin (series: number): void {
    const { level, learning, o: { samples } } = this
    const sorted = learning.subarray(series * samples, (series + 1) * samples).sort()
    const location = (sorted[samples - 1 >> 1] + sorted[samples >> 1]) / 2
    const off = sorted.map(x => Math.abs(x - location)).sort()
    const scale = 1.482602 * (off[samples - 1 >> 1] + off[samples >> 1]) / 2 || 1.253314 * off.reduce((a, b) => a + b) / samples
    level[series * 4] = location
    level[series * 4 + 1] = scale * scale
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
    const { sums, features, answer } = this
    const n = sums[a + N], mean = sums[a + SUM] / n, variance = Math.max(0, sums[a + SQUARES] / n - mean * mean), level = sums[a + VALUE0] + mean
    const spread = sums[a + TT] - sums[a + T] * sums[a + T] / n
    features[0] = n
    features[1] = level
    features[2] = Math.sqrt(variance)
    features[3] = sums[a + MIN]
    features[4] = sums[a + MAX]
    features[5] = Math.sqrt(level ** 2 + variance)
    features[6] = sums[a + MAX] - sums[a + MIN]
    features[7] = spread > 0 ? (sums[a + TV] - sums[a + T] * mean) / spread : NaN
    answer.rows++
    for (let f = 0; f < FEATURES.length; f++) if (features[f] === features[f]) answer.sums[f] += features[f]
    answer.row?.(series, start, features)
  }
}
