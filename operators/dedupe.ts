import { defineOperator, Duration, queue, Type } from '#engine'

/**
 * A reading with the series, time and value of an earlier one is dropped; one with the same series and time but another
 * value is kept, with `seq` 1, 2, ... (NaN equals NaN). Looks back `within` from the newest event time of the series; what
 * is older passes with `seq` 0, and the database counts what collides there. Bounded by time, never by number: 16 to 64 bytes
 * per reading of the horizon, mostly below 32. O(1) for readings in order.
 */
export const dedupe = defineOperator({
  name: 'dedupe',
  summary: 'Drops repeated readings and numbers different ones of the same time.',
  options: Type.Object({ within: Duration({ description: 'How far back in event time a repetition is recognised.', default: '10m' }) }),
  adds: ['seq'],
  tuning: ['within'],
  perSeries: { seen: queue },
  drops: 'deduplicated',

  process (batch, { within }, { seen }) {
    const { time, series, value } = batch
    const seq = new Float64Array(batch.length)
    const rows = new Int32Array(batch.length)
    let n = 0
    for (let i = 0; i < batch.length; i++) {
      const s = series[i], t = time[i], x = value[i]
      const latest = seen.newest(s)
      let earlier = 0
      if (t <= latest) {
        if (t < latest - within) { rows[n++] = i; continue }
        earlier = seen.count(s, t, x)
        if (earlier < 0) continue
      }
      seen.insert(s, t, x)
      if (t > latest) seen.expire(s, t - within)
      seq[n] = earlier
      rows[n++] = i
    }
    return n === batch.length ? batch.with({ seq }) : batch.take(rows.subarray(0, n)).with({ seq: seq.slice(0, n) })
  }
})
