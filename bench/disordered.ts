import type { Delivery } from '#engine'
import { Random } from '../models/random.ts'
import { BATCH, deliveryOf } from './drive.ts'

const AGAIN = 64, LASTS = 5, RISE = 80, OFTEN = 200       // every 64 s one series of 200 rises by 80 for 5 s
const FAR = 8                                            // s that a straggler comes later
export const begin = Date.UTC(2026, 0, 1)

/**
 * Readings as a source would deliver them, seeded: one each second per series, 2 % of them up to 8 s out of order (some too late
 * for their window), and half a percent each repeated, of the same time with another value, impossible, and without a value.
 * Now and then a series rises far above what it has been.
 */
export class Disordered {
  private readonly series: number
  private readonly batch: number
  private readonly random = new Random(20)
  private readonly held: { readonly at: number, readonly s: number, readonly t: number, readonly x: number }[] = []
  private second = 0
  private position = 0
  constructor (series: number, batch = BATCH) {
    this.series = series
    this.batch = batch
  }

  /** The readings of the next seconds; `last`: and all that are still on their way. */
  next (seconds: number, last = false): Delivery[] {
    const { series: count, batch, random, held } = this
    const time: number[] = [], series: number[] = [], value: number[] = []
    const put = (s: number, t: number, x: number) => { series.push(s); time.push(t); value.push(x) }
    for (const until = this.second + seconds; this.second < until; this.second++) {
      const { second } = this, t = begin + second * 1000, group = Math.floor(second / AGAIN) * 7919
      for (let s = 0, n = second * count; s < count; s++, n++) {
        const high = second % AGAIN < LASTS && (s * 31 + group) % OFTEN === 0 ? RISE : 0
        const x = 50 + (s % 17) + 10 * Math.sin((second + s) / 30) + random.next() + random.next() + high
        const hold = () => { held.push({ at: n + Math.floor(random.next() * FAR) * count, s, t, x }) }
        const kind = random.next()
        if (kind < 0.02) hold()
        else if (kind < 0.025) { put(s, t, x); hold() }
        else if (kind < 0.03) { put(s, t, x); put(s, t, x + 1) }
        else put(s, t, kind < 0.035 ? 1e6 : kind < 0.04 ? NaN : x)
        while (held.length > 0 && held[0].at <= n) { const { s, t, x } = held.shift()!; put(s, t, x) }
      }
    }
    if (last) for (const { s, t, x } of held.splice(0)) put(s, t, x)
    const deliveries: Delivery[] = []
    for (let from = 0; from < time.length; from += batch) {
      const part = { time: Float64Array.from(time.slice(from, from + batch)), series: Int32Array.from(series.slice(from, from + batch)), value: Float64Array.from(value.slice(from, from + batch)) }
      deliveries.push(deliveryOf(part, this.position, begin))
      this.position += part.time.length
    }
    return deliveries
  }
}
