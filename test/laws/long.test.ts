/**
 * Steps that learn keep their laws also where the short streams of the others do not come: over two days and a half of machines that
 * go on and off, counters, wild readings, stuck sensors, gaps, stragglers and a lasting shift. Rows are the same wherever the
 * stream is cut, so nothing is known of what comes later; behind every snapshot; and for a device alone.
 */
import { createHash, type Hash } from 'node:crypto'
import { deserialize, serialize } from 'node:v8'
import t from 'tap'
import type { Batch, Numbers, Operator } from '#engine'
import { Random } from '../../models/random.ts'
import { anomaly, change, drift, fault, forecast, forest, hotelling, hygiene, loda, peers, rul, verdict, zscore } from '../../operators/index.ts'
import { Run, type Entry, type Log, type Reading } from './stream.ts'

const TICKS = 700, MINUTE = 60_000, HOUR = 60 * MINUTE, START = Date.UTC(2026, 0, 5)
const devices = ['d0', 'd1', 'd2']

function made (seed: number): Log {
  const random = new Random(seed), log: Entry[] = [], normal = () => Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next())
  const all = devices.flatMap(() => [0, 1, 2].map(() => ({ slow: 0, counter: 0, stuck: 0, last: 0 })))
  let clock = START, position = 0
  for (let i = 0; i < TICKS; i++) {
    clock += random.next() < 0.004 ? HOUR : 5 * MINUTE
    if (random.next() < 0.01) log.push({ kind: 'tick', position, silence: 40_000 })
    const hour = clock / HOUR % 24, on = hour % 4 < 2, halfway = hour % 2 < 1 / 12, day = 5 * Math.sin(2 * Math.PI * hour / 24)
    devices.forEach((device, d) => {
      if (random.next() < 0.01) return
      const load = normal()
      const readings = [0, 1, 2].map((m): Reading => {
        const s = all[3 * d + m]
        s.slow = 0.9 * s.slow + normal()
        if (random.next() < 0.3) s.counter++
        let value = d === 0 ? 20 + day + load + s.slow / 2 : d === 1 ? halfway ? 10 + normal() : on ? 20 + load + normal() / 10 : m * normal() / 100 : m === 0 ? s.counter % 100 : m === 1 ? Math.round(load) : 50 + load + s.slow + (i > TICKS / 2 ? 8 : 0)
        if (random.next() < 0.004) value = [65535, -9999, 0, 85, 1e300, NaN][random.below(6)]
        if (s.stuck > 0) value = s.last
        s.stuck = s.stuck > 0 ? s.stuck - 1 : random.next() < 0.001 ? 40 : 0
        if (!Number.isNaN(value)) s.last = value
        return { device, metric: `m${m}`, value, time: clock - (random.next() < 0.02 ? random.below(900) * 1000 : 0) }
      })
      log.push({ kind: 'record', position: ++position, readings })
    })
  }
  return [...log, { kind: 'end', position }]
}

/** What comes out, as a digest for each device. `most`: records in a batch, `kept`: after how many batches a new step goes on from a snapshot; only of one device. */
function digests (make: () => Operator, log: Log, most: (batch: number) => number, kept = Infinity, only?: string): Record<string, string> {
  const of = new Map<string, Hash>()
  let run = new Run(make()), part: Entry[] = [], batches = 0
  const take = (batch: Batch<any>) => {
    const columns = Object.entries(batch.columns as Record<string, Numbers>).sort(([a], [b]) => a < b ? -1 : 1).map(([, column]) => column)
    for (let i = 0; i < batch.length; i++) {
      const { device, metric } = run.table.name(batch.series[i])
      if (!of.has(device)) of.set(device, createHash('md5'))
      of.get(device)!.update(metric).update(Float64Array.of(batch.time[i], batch.value[i], batch.position[i], ...columns.map(column => column[i])))
    }
  }
  const flush = () => {
    const batch = part.length > 0 ? run.batch(part) : undefined
    part = []
    if (batch === undefined) return
    const out = run.stage.process(batch)
    take(out)
    if (out.provisional !== undefined) take(out.provisional)
    if (++batches % kept !== 0) return
    const next = new Run(make(), run)
    next.stage.load(deserialize(serialize(run.stage.save())))
    next.watermarks.load(deserialize(serialize(run.watermarks.save())))
    run = next
  }
  for (const entry of log) {
    const isRecord = entry.kind === 'record'
    if (!isRecord) flush()
    part.push(isRecord && only !== undefined ? { ...entry, readings: entry.readings.filter(r => r.device === only) } : entry)
    if (!isRecord || part.length >= most(batches)) flush()
  }
  flush()
  return Object.fromEntries(Array.from(of, ([device, hash]) => [device, hash.digest('hex')]))
}

const steps: Record<string, () => Operator> = {
  anomaly: () => anomaly({ samples: 60, alarms: 10, per: '1d', zone: 'Europe/Berlin' }), hygiene: () => hygiene({ alarms: 100, per: '1d' }), peers: () => peers({ learn: '6h', within: '10m' }), fault: () => fault(), verdict: () => verdict({ lasts: '2h' }),
  hotelling: () => hotelling({ columns: ['given', 'value'], memory: 200 }), loda: () => loda({ columns: ['given', 'value'], lines: 20 }), forest: () => forest({ columns: ['given', 'value'], reservoir: 128, trees: 10, sample: 64 }), zscore: () => zscore({ over: '6h' }),
  drift: () => drift({ reference: 100, current: 50 }), cusum: () => change({ samples: 50, runLength: 500 }), page_hinkley: () => change({ method: 'page_hinkley', samples: 50, runLength: 500 }), adwin: () => change({ method: 'adwin', samples: 50, runLength: 500 }), kswin: () => change({ method: 'kswin', samples: 100, runLength: 500 }),
  forecast: () => forecast({ every: '10m', seasons: ['6h'], horizons: [1, 6] }), rul: () => rul({ above: 100, over: '1d', samples: 20 })
}

const log = made(11), sizes = new Random(5), cut = Array.from({ length: 4 * TICKS }, () => 1 + sizes.below(40))
for (const [name, make] of Object.entries(steps)) {
  t.test(`${name}: the same rows over days, wherever the stream is cut, from snapshots on, and for a device alone`, async t => {
    const whole = digests(make, log, () => 1000)
    t.strictSame(Object.keys(whole).sort(), devices)
    t.strictSame(digests(make, log, () => 1), whole, 'reading by reading')
    t.strictSame(digests(make, log, batch => cut[batch], 5), whole, 'from snapshots on')
    t.strictSame(Object.assign({}, ...devices.map(device => digests(make, log, batch => cut[batch + 7], Infinity, device))), whole, 'alone')
  })
}
