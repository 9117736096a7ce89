import { defineOperator, Duration, list, Type } from '#engine'

/**
 * A reading with the series, time and value of an earlier one is dropped; one with the same series and time but another
 * value is kept, with `seq` 1, 2, ... (NaN equals NaN). Looks back `within` from the newest event time of the series; what
 * is older passes with `seq` 0, and the database counts what collides there. Bounded by time, never by number: 24 bytes
 * per reading of the horizon. O(1) for readings in order.
 */
export const dedupe = defineOperator({
  name: 'dedupe',
  summary: 'Drops repeated readings and numbers different ones of the same time.',
  options: Type.Object({ within: Duration({ description: 'How far back in event time a repetition is recognised.', default: '10m' }) }),
  adds: ['seq'],
  tuning: ['within'],
  perSeries: { seen: list('value') },
  drops: 'deduplicated',

  process (batch, { within }, { seen }) {
    const { time, series, value } = batch
    const seq = new Float64Array(batch.length)
    const rows = new Int32Array(batch.length)
    let n = 0
    for (let i = 0; i < batch.length; i++) {
      const s = series[i], t = time[i], x = value[i]
      const newest = seen.newest(s)
      const latest = newest < 0 ? -Infinity : seen.time(newest)
      let earlier = 0
      if (t <= latest) {
        if (t < latest - within) { rows[n++] = i; continue }
        let node = seen.find(s, t), repeated = false
        for (; node >= 0 && !repeated && seen.time(node) === t; node = seen.older(node), earlier++) repeated = same(seen.page(node)[seen.offset(node) + 1], x)
        if (repeated) continue
      }
      const node = seen.insert(s, t)
      seen.page(node)[seen.offset(node) + 1] = x
      if (t > latest) seen.expire(s, t - within)
      seq[n] = earlier
      rows[n++] = i
    }
    return n === batch.length ? batch.with({ seq }) : batch.take(rows.subarray(0, n)).with({ seq: seq.slice(0, n) })
  }
})

const same = (a: number, b: number): boolean => a === b || (Number.isNaN(a) && Number.isNaN(b))
