import { Credits, Intake, options as checked, SeriesTable, Type } from '#engine'
import { codecOptions, makeDecoder, type CodecOptions } from '../connectors/codec/json.ts'
import { Topics } from '../connectors/codec/topic.ts'
import { alternate, mustEqual, round, spread, type Benchmark, type Figures } from './measure.ts'
import { payloadOf, readingOf, SERIES, timeOf, topicOf, valueOf } from './messages.ts'

const READINGS = 400_000, ROUNDS = 9, BATCH = 1000, START = Date.UTC(2026, 0, 1) * 1000
const BOUND = { object: 0.9, columns: 5e6 } as const         // of JSON.parse; readings/s

interface Form { readonly form: 'object' | 'columns', readonly readings: number, readonly payload: (m: number) => string }
const forms: readonly Form[] = [
  { form: 'object', readings: 1, payload: m => payloadOf(START, m, 1) },
  { form: 'columns', readings: 20, payload: m => payloadOf(START, m, 20) },
  { form: 'columns', readings: 100, payload: m => payloadOf(START, m, 100) }
]
interface Answer { count: number, times: number, values: number }
interface Message { readonly topic: string, readonly payload: Buffer }
interface Given { readonly ts?: number, readonly value?: number, readonly t?: readonly number[], readonly v?: readonly number[] }

/**
 * Payloads of JSON to readings in an intake, judged and with their series, and batches of about 1,000 taken from it; against JSON.parse of
 * the same bytes, of which nothing but the numbers is looked at. One thread, CPU time.
 */
export const decode: Benchmark = {
  summary: 'JSON payloads to columns, against JSON.parse of the same bytes',
  unit: 'form',
  options: { readings: { type: 'string', default: String(READINGS) } },
  check ({ readings }) { if (!(Number(readings) >= 20_000 && Number(readings) % 20_000 === 0)) throw new Error('--readings must be a multiple of 20,000') },
  async run (say, options) {
    const total = Number(options.readings)
    return forms.map(({ form, readings, payload }): Figures => {
      const messages = Array.from({ length: total / readings }, (_, m) => ({ topic: topicOf('plant', m), payload: Buffer.from(payload(m)) }))
      const expected: Answer = { count: total, times: 0, values: 0 }
      for (let m = 0; m < messages.length; m++) for (let i = 0; i < readings; i++) {
        expected.times += timeOf(START, readingOf(m, readings, i)) / 1000 - START / 1000
        expected.values += valueOf(readingOf(m, readings, i))
      }
      const taken = alternate(ROUNDS, { decode: () => mustAgree(decoded(messages), expected), parse: () => mustAgree(parsed(messages), expected) })
      const own = spread(taken.decode.map(ns => ns / total)), parse = spread(taken.parse.map(ns => ns / total)), ratio = spread(taken.decode.map((ns, i) => taken.parse[i] / ns))
      say(`${form} of ${readings}: ${total} readings, their times and values add up`)
      return {
        form, readings_per_message: readings, readings_per_s: Math.round(1e9 / own.median), ns_per_reading: round(own.median), json_parse_readings_per_s: Math.round(1e9 / parse.median), json_parse_ns_per_reading: round(parse.median), ratio_to_json_parse: round(ratio.median),
        bytes_per_message: round(messages.reduce((sum, { payload }) => sum + payload.length, 0) / messages.length), series: SERIES, runs: ROUNDS,
        ns_per_reading_spread: [round(own.low), round(own.high)], json_parse_ns_per_reading_spread: [round(parse.low), round(parse.high)], ratio_to_json_parse_spread: [round(ratio.low), round(ratio.high)]
      }
    })
  },
  fault (figures) {
    const { form, ratio_to_json_parse: ratio, readings_per_s: rate } = figures as { form: Form['form'], ratio_to_json_parse: number, readings_per_s: number }
    if (form === 'object') return ratio < BOUND.object ? `object: ratio_to_json_parse is ${ratio}, less than ${BOUND.object}` : undefined
    return rate < BOUND.columns ? `columns of ${figures.readings_per_message as number}: ${rate} readings/s, fewer than ${BOUND.columns}` : undefined
  }
}

function decoded (messages: readonly Message[]): Answer {
  const series = new SeriesTable(SERIES), intake = new Intake(series, new Credits({ bytes: Infinity }), { ahead: 3_600_000, after: 0 })
  const options = checked('decode', Type.Object(codecOptions), {}) as CodecOptions
  const decode = makeDecoder(options, new Topics(['plant/{device}/{metric}'], series), series, intake), answer: Answer = { count: 0, times: 0, values: 0 }
  const take = () => {
    const { rows: { time, value } } = intake.take(0)
    answer.count += time.length
    for (let i = 0; i < time.length; i++) { answer.times += time[i] - START / 1000; answer.values += value[i] }
  }
  for (const { topic, payload } of messages) {
    decode(topic, payload, START / 1000)
    if (intake.readings >= BATCH) take()
  }
  take()
  return answer
}

function parsed (messages: readonly Message[]): Answer {
  const answer: Answer = { count: 0, times: 0, values: 0 }
  const add = (time: number, value: number) => { answer.count++; answer.times += time - START / 1000; answer.values += value }
  for (const { payload } of messages) {
    const { ts, value, t, v } = JSON.parse(payload.toString()) as Given
    if (t === undefined) add(ts!, value!)
    else for (let i = 0; i < t.length; i++) add(t[i], v![i])
  }
  return answer
}

function mustAgree (answer: Answer, expected: Answer): void {
  for (const key of ['count', 'times', 'values'] as const) mustEqual(key, answer[key], expected[key], 1e-9)
}
