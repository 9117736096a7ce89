import { pipeline, SeriesTable, span, type Batch, type Delivery } from '#engine'
import { openFlow, type Outputs } from '../engine/flow.ts'
import { Random } from '../models/random.ts'
import * as all from '../operators/index.ts'
import { BATCH, deliveryOf, sink, source } from './drive.ts'
import { FEATURES, HandLoop, noAnswer, type Answer, type Settings } from './hand-loop.ts'
import { alternate, mustEqual, round, spread, type Benchmark, type Figures } from './measure.ts'

export const large: Settings = { series: 10_000, perDevice: 10, lateness: 5000, min: -100, max: 1000, within: 30_000, over: 3600_000, samples: 30, every: 10_000 }
const SECONDS = 200, ROUNDS = 7

/**
 * validate, dedupe, zscore and tumbling with 8 features over 10,000 series, from deliveries to the contents of commits, as
 * the run loop drives them; against one loop that does the same by hand. 2 million readings, one each second per series:
 * 2 % up to 8 s out of order (some too late for their window), and half a percent each repeated, of the same time with another value, impossible, and without a value.
 */
export const operators: Benchmark = {
  summary: 'validate, dedupe, zscore, tumbling(8 features) over 10,000 series, against one fused loop written by hand',
  unit: 'reading',
  async run (say) {
    const deliveries = readings(large, SECONDS)
    const total = deliveries.reduce((n, d) => n + d.rows.time.length, 0)
    const expected = compare(large, deliveries)
    say(`${total} readings, ${expected.rows} windows: the same, row for row`)
    const taken = alternate(ROUNDS, { operators: () => mustAgree(throughOperators(large, deliveries), expected), hand: () => mustAgree(throughHandLoop(large, deliveries), expected) })
    const own = spread(taken.operators.map(ns => ns / total)), hand = spread(taken.hand.map(ns => ns / total)), ratio = spread(taken.operators.map((ns, i) => taken.hand[i] / ns))
    const figures: Figures = {
      readings_per_s: Math.round(1e9 / own.median), ns_per_reading: round(own.median), hand_loop_ns_per_reading: round(hand.median), ratio_to_hand_loop: round(ratio.median), series: large.series,
      readings: total, windows: expected.rows, batch: BATCH, runs: ROUNDS,
      ns_per_reading_spread: [round(own.low), round(own.high)], hand_loop_ns_per_reading_spread: [round(hand.low), round(hand.high)], ratio_to_hand_loop_spread: [round(ratio.low), round(ratio.high)]
    }
    return [figures]
  }
}

function throughOperators (settings: Settings, deliveries: readonly Delivery[], row?: Answer['row']): Answer {
  const { validate, dedupe, zscore, tumbling } = all
  const { min, max, within, over, samples, every, lateness } = settings
  const plan = pipeline('bench')
    .from(source(), { lateness: span(lateness), idle: '1h' })
    .pipe(validate({ min, max }), dedupe({ within: span(within) }), zscore({ over: span(over), samples }))
    .branch('windows', p => p.pipe(tumbling({ every: span(every), features: FEATURES })).to(sink()))
    .to(sink())
  const answer = noAnswer(row)
  const flow = openFlow(plan, named(settings))
  for (const delivery of deliveries) take(flow.process(delivery), answer)
  take(flow.end(0), answer)
  return answer
}

function take ({ follow }: Outputs, answer: Answer): void {
  for (const { branch, batch } of follow) {
    if (branch === '') readingsOf(batch, answer)
    else windowsOf(batch, answer)
  }
}

function readingsOf (batch: Batch<any>, answer: Answer): void {
  const { seq, zscore } = batch.columns as Record<string, Float64Array>
  answer.readings += batch.length
  for (let i = 0; i < batch.length; i++) {
    answer.seq += seq[i]
    if (zscore[i] === zscore[i]) answer.zscore += zscore[i]
  }
}

const features = new Float64Array(FEATURES.length)
function windowsOf (batch: Batch<any>, answer: Answer): void {
  const columns = FEATURES.map(f => (batch.columns as Record<string, Float64Array>)[f])
  answer.rows += batch.length
  for (let i = 0; i < batch.length; i++) {
    for (let f = 0; f < FEATURES.length; f++) {
      features[f] = columns[f][i]
      if (features[f] === features[f]) answer.sums[f] += features[f]
    }
    answer.row?.(batch.series[i], batch.time[i], features)
  }
}

function throughHandLoop (settings: Settings, deliveries: readonly Delivery[], row?: Answer['row']): Answer {
  const answer = noAnswer(row)
  const loop = new HandLoop(settings, answer)
  for (const { rows } of deliveries) loop.process(rows)
  loop.end()
  return answer
}

function mustAgree (answer: Answer, expected: Answer): void {
  for (const key of ['readings', 'seq', 'zscore', 'rows'] as const) mustEqual(key, answer[key], expected[key], 1e-9)
  FEATURES.forEach((f, i) => mustEqual(f, answer.sums[i], expected.sums[i], 1e-9))
}

/** Both ways once, every row of one against the same row of the other. Returns the hand loop's answer. */
export function compare (settings: Settings, deliveries: readonly Delivery[]): Answer {
  const rows: { series: number, start: number, features: Float64Array }[] = []
  const own = throughOperators(settings, deliveries, (series, start, features) => { rows.push({ series, start, features: features.slice() }) })
  let n = 0
  const answer = throughHandLoop(settings, deliveries, (series, start, features) => {
    const got = rows[n]
    if (got === undefined) throw new Error(`the answer is wrong: row ${n} of ${rows.length} is missing`)
    mustEqual(`the series of row ${n}`, got.series, series)
    mustEqual(`the start of row ${n}`, got.start, start)
    FEATURES.forEach((f, i) => mustEqual(`${f} of row ${n}`, got.features[i], features[i], 1e-9))
    n++
  })
  mustEqual('the number of rows', rows.length, n)
  mustAgree(own, answer)
  if (n < settings.series || answer.readings < n || !(answer.seq > 0) || !(Math.abs(answer.zscore) > 0)) throw new Error('the answer is wrong: there is too little of it')
  return answer
}

/** A table with every series known, ids as the hand loop has them. */
function named (settings: Settings): SeriesTable {
  const table = new SeriesTable(settings.series)
  for (let s = 0; s < settings.series; s++) table.id('plant', `device-${Math.floor(s / settings.perDevice)}`, `metric-${s % settings.perDevice}`)
  return table
}

/** Deliveries as a source would make them, seeded. */
export function readings (settings: Settings, seconds: number): Delivery[] {
  const random = new Random(20)
  const next = () => random.next()
  const begin = Date.UTC(2026, 0, 1), wanted = settings.series * seconds
  const time: number[] = [], series: number[] = [], value: number[] = []
  const put = (s: number, t: number, x: number) => { series.push(s); time.push(t); value.push(x) }
  const held: { at: number, s: number, t: number, x: number }[] = []
  for (let second = 0, n = 0; second < seconds; second++) {
    for (let s = 0; s < settings.series; s++, n++) {
      const t = begin + second * 1000, x = 50 + (s % 17) + 10 * Math.sin((second + s) / 30) + next() + next()
      const kind = next()
      if (kind < 0.02) held.push({ at: n + Math.floor(next() * 8) * settings.series, s, t, x })
      else if (kind < 0.025) {
        put(s, t, x)
        held.push({ at: n + Math.floor(next() * 8) * settings.series, s, t, x })
      }
      else if (kind < 0.03) { put(s, t, x); put(s, t, x + 1) }
      else put(s, t, kind < 0.035 ? 1e6 : kind < 0.04 ? NaN : x)
      while (held.length > 0 && held[0].at <= n) { const { s, t, x } = held.shift()!; put(s, t, x) }
    }
  }
  for (const { s, t, x } of held) put(s, t, x)
  if (time.length < wanted) throw new Error('there are too few readings')
  const deliveries: Delivery[] = []
  for (let from = 0; from < time.length; from += BATCH) {
    const part = { time: Float64Array.from(time.slice(from, from + BATCH)), series: Int32Array.from(series.slice(from, from + BATCH)), value: Float64Array.from(value.slice(from, from + BATCH)) }
    deliveries.push(deliveryOf(part, from, begin))
  }
  return deliveries
}
