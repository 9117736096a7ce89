import fc from 'fast-check'
import { Credits, Intake, reasons, SeriesTable, type Decode, type DeadLetter, type Delivery } from '#engine'
import { makeDecoder, type CodecOptions } from '../../connectors/codec/json.ts'
import { readTime } from '../../connectors/codec/time.ts'
import { Topics } from '../../connectors/codec/topic.ts'
import { cpuOf } from '../measure.ts'
import { corpus, MOST, TOPICS, type Torture } from './data-corpus.ts'
import { cutOff } from './data-packets.ts'
import { inPlace, judge, type Message } from './data-rig.ts'
import type { Row } from './data-row.ts'

const CHUNK = 10_000                 // inputs for which one table of series is used
const SAMPLE = 1000                  // inputs that go through the whole engine
const SLOW = 100                     // ms of CPU time that one input of up to 1 MB may take
const INGEST = 1_760_000_000_000

const options: CodecOptions = { tenant: 'default', maxPayload: MOST, timeUnit: 'auto', timeProperty: 'ts' }

/** A decoder with all that it writes to. */
class Bench {
  readonly intake: Intake
  readonly decode: Decode
  constructor () {
    const series = new SeriesTable(100_000)
    this.intake = new Intake(series, new Credits({ bytes: Infinity }), { ahead: 300_000, after: 0 })
    this.decode = makeDecoder(options, new Topics(TOPICS, series), series, this.intake)
  }

  one ({ topic, payload }: { readonly topic: string, readonly payload: Buffer }): Delivery {
    this.decode(topic, payload, INGEST)
    return this.intake.take(INGEST)
  }
}

/** Valid payloads of all shapes. */
const number = fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(0, -0, 1e308, 2 ** 53, 21.5))
const scalar = fc.oneof({ weight: 6, arbitrary: number }, fc.boolean(), fc.constant(null))
const time = fc.oneof(fc.integer({ min: 1_700_000_000, max: 1_750_000_000 }), fc.integer({ min: 1_700_000_000_000, max: 1_750_000_000_000 }), fc.constant('2024-02-29T12:00:00.5+02:00'))
const key = fc.constantFrom('temp', 'hum', 'a.b', 'value', 'v', 'été', 'x y')
const single = fc.record({ device: fc.constantFrom('d1', 'd2', 7), metric: fc.constantFrom('m1', 'm2'), value: scalar, ts: time }, { requiredKeys: ['value'] })
const several = fc.tuple(fc.dictionary(key, scalar, { minKeys: 1, maxKeys: 5 }), fc.record({ device: fc.constant('d1'), ts: time }, { requiredKeys: [] })).map(([values, more]) => ({ ...more, ...values }))
const inner = fc.tuple(fc.dictionary(key, scalar, { minKeys: 1, maxKeys: 5 }), time).map(([values, ts]) => ({ device: 'd1', ts, values }))
const columns = fc.integer({ min: 1, max: 8 }).chain(n => fc.tuple(fc.array(time, { minLength: n, maxLength: n }), fc.array(scalar, { minLength: n, maxLength: n }))).map(([t, v]) => ({ device: 'd1', t, v }))
const object = fc.oneof(single, several, inner, columns)
const shape = fc.oneof(scalar, object, fc.array(object, { minLength: 1, maxLength: 6 })).map(x => JSON.stringify(x))

/** What is done to their bytes. */
const TOKENS = ['1e999', '-1e999', 'NaN', 'Infinity', '9007199254740993', '"__proto__":', '\ufeff', '"\\ud800"', '[[[[', '{"a":', '\0', '0x1', '-0', '1e-400', '"ts":', '"ts":-1,', '"device":null,', ',', '"', '\\u0000', '"constructor":1,', 'null', '[]', '{}', '"value":', '1e', '[', ']', '}', '"metric":5,', '"values":{"q":1e999},']
const change = fc.record({ kind: fc.constantFrom('flip', 'cut', 'drop', 'insert', 'insert', 'double', 'swap'), at: fc.nat(1000), size: fc.integer({ min: 1, max: 24 }), byte: fc.nat(255), token: fc.constantFrom(...TOKENS) })
const topic = fc.constantFrom('acme/boiler/temp', 'acme/boiler', 'loose')
const mutated = fc.record({ topic, text: shape, changes: fc.array(change, { maxLength: 3 }) }).map(({ topic, text, changes }) => ({
  topic, payload: changes.reduce((bytes, { kind, at, size, byte, token }) => {
    const from = at % (bytes.length + 1), part = bytes.subarray(from, from + size), before = bytes.subarray(0, from), after = bytes.subarray(from + part.length)
    switch (kind) {
      case 'flip': return Buffer.concat([before, Buffer.from(part.map((b, i) => i === 0 ? byte : b)), after])
      case 'cut': return before
      case 'drop': return Buffer.concat([before, after])
      case 'insert': return Buffer.concat([before, Buffer.from(token), bytes.subarray(from)])
      case 'double': return Buffer.concat([before, part, part, after])
      default: return Buffer.concat([after, part, before])
    }
  }, Buffer.from(text))
}))

/**
 * How many readings a message claims to hold, counted from its JSON and nothing of the decoder's but its reader of times: accepted
 * or not, each of them must be accounted for.
 */
function claims (topic: string, payload: Buffer): number {
  const [, device, metric] = topic.split('/')
  let parsed: unknown
  try { parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload)) } catch { return 1 }
  if (depth(parsed) > 32 || hasForbidden(parsed)) return 1
  const named = (x: unknown) => typeof x === 'string' || Number.isSafeInteger(x)
  const good = (x: unknown) => named(x) && !['__proto__', 'constructor', 'prototype', ''].includes(String(x)) && !/[\0-\x1f\x7f\ufeff\ufffd+#]|\p{Surrogate}/u.test(String(x)) && String(x).length <= 256     // eslint-disable-line no-control-regex
  const of = (o: any): number => {
    const timeKey = ['ts', 'timestamp', 'time', 't'].find(k => o[k] !== undefined && o[k] !== null), times = timeKey === undefined ? undefined : o[timeKey]
    if (device === undefined && !good(o.device)) return 1
    if (times !== undefined && !Array.isArray(times) && Number.isNaN(readTime(times))) return 1
    if (metric === undefined && o.metric !== undefined && !named(o.metric)) return 1
    const values = Object.entries(o).filter(([k]) => k !== timeKey && k !== 'device' && k !== 'metric').flatMap(([k, v]) =>
      v === null && ['ts', 'timestamp', 'time', 't'].includes(k) ? [] : k === 'values' && isObject(v) ? Object.values(v as object) : [v])
    return Math.max(1, values.reduce((n: number, v) => n + (Array.isArray(times) && Array.isArray(v) && v.length === times.length && v.length > 0 ? v.length : 1), 0))
  }
  if (Array.isArray(parsed)) return Math.max(1, parsed.reduce((n: number, item) => n + (isObject(item) ? of(item) : 1), 0))
  return isObject(parsed) ? of(parsed) : 1
}
const isObject = (x: unknown): boolean => typeof x === 'object' && x !== null && !Array.isArray(x)
function depth (x: unknown): number {
  let deepest = 0
  for (const stack: [unknown, number][] = [[x, 0]]; stack.length > 0;) {
    const [value, at] = stack.pop()!
    deepest = Math.max(deepest, at)
    if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) stack.push([inner, at + 1])
    if (typeof value === 'object' && value !== null) deepest = Math.max(deepest, at + 1)
  }
  return deepest
}
function hasForbidden (x: unknown): boolean {
  return typeof x === 'object' && x !== null && (!Array.isArray(x) && Object.keys(x).some(k => ['__proto__', 'constructor', 'prototype'].includes(k)) || Object.values(x).some(hasForbidden))
}

const lost = (dead: readonly DeadLetter[]): number => dead.reduce((n, { count = 1 }) => n + count, 0)

/** What one input came to, or what was wrong with it. */
function faultOf ({ rows, dead, received, messages }: Delivery, claimed: number): string | undefined {
  if (messages !== 1) return `${messages} messages`
  if (received !== rows.time.length + lost(dead)) return `received ${received}, accepted ${rows.time.length}, dead ${lost(dead)}`
  if (received !== claimed) return `${received} readings are accounted for, ${claimed} are in it`
  if (rows.value.some(x => Math.abs(x) === Infinity) || !rows.time.every(t => t >= 0 && t < 253402300800000)) return 'a value or time that is not finite'
  const bad = dead.find(({ reason, detail }) => !(reason in reasons) || detail === '')
  return bad === undefined ? undefined : `no reason: ${JSON.stringify(bad)}`
}

export const torture: Row = {
  id: 'B1', name: 'JSON torture: a dead letter with a reason, or the exact value',
  rounds: { commit: 10_000, nightly: 1_000_000 },
  async run ({ seed, rounds, say }) {
    const faults: string[] = [], sample: { topic: string, payload: Buffer }[] = []
    let throws = 0, accepted = 0, dead = 0, slowest = 0, bench = new Bench()
    const attempt = (input: { topic: string, payload: Buffer }, name?: string): Delivery | undefined => {
      const began = performance.now()
      try {
        const delivery = bench.one(input)
        let ms = performance.now() - began
        for (let again = 0; ms > SLOW && again < 3; again++) ms = Math.min(ms, timed(input))      // it may have been the machine, or a collection of garbage
        slowest = Math.max(slowest, ms)
        accepted += delivery.rows.time.length
        dead += lost(delivery.dead)
        return delivery
      } catch (error) {
        throws++
        faults.push(`${name ?? JSON.stringify(input.payload.toString('latin1'))} on ${input.topic} throws: ${(error as Error).message}`)
        bench = new Bench()
        return undefined
      }
    }

    for (const { name, values, reasons, ...input } of corpus) {
      const delivery = attempt(input, name)
      if (delivery === undefined) continue
      const got = [...delivery.rows.value], why = delivery.dead.map(d => d.reason)
      if (got.length !== values.length || got.some((x, i) => !Object.is(x, values[i])) || String(why) !== String(reasons)) faults.push(`${name}: ${got.length} values ${got.slice(0, 5).join()} and reasons ${why.slice(0, 5).join()}, not ${values.length} values ${values.slice(0, 5).join()} and ${reasons.slice(0, 5).join()}`)
    }
    for (let done = 0; done < rounds; done += CHUNK) {
      const inputs = fc.sample(mutated, { seed: seed + done, numRuns: Math.min(CHUNK, rounds - done) })
      bench = new Bench()
      inputs.forEach((input, i) => {
        const delivery = attempt(input), fault = delivery && faultOf(delivery, claims(input.topic, input.payload))
        if (fault !== undefined) faults.push(`${JSON.stringify(input.payload.toString('latin1'))} on ${input.topic}: ${fault}`)
        if (done === 0 && i % Math.ceil(inputs.length / (SAMPLE - corpus.length)) === 0) sample.push(input)
      })
    }
    for (const fault of faults.slice(0, 10)) say(fault)
    const whole = await throughEngine([...corpus.filter(isSendable), ...sample])
    return judge({ inputs: corpus.length + rounds, corpus: corpus.length, accepted, dead_lettered: dead, throws, misread: faults.length, max_ms: Math.round(slowest * 10) / 10, ...whole.figures }, {
      [`${faults.length} inputs came out wrong`]: faults.length > 0, [`one input took ${slowest.toFixed(0)} ms`]: slowest > SLOW, ...whole.wrong
    }, say)
  }
}

function timed (input: { topic: string, payload: Buffer }): number {
  const bench = new Bench()
  return cpuOf(() => { bench.one(input) }) / 1e6
}

/** What a client can publish: no more bytes than the broker lets through. */
const isSendable = ({ payload }: Torture): boolean => payload.length <= MOST

/** All of them over MQTT into PostgreSQL, and one that is too large to be read: the sums must be those of the decoder alone. */
async function throughEngine (inputs: readonly Message[]) {
  const bench = new Bench()
  const alone = inputs.map(({ topic, payload }) => bench.one({ topic, payload: payload as Buffer }))
  const rows = alone.reduce((n, d) => n + d.rows.time.length, 0), letters = alone.reduce((n, d) => n + d.dead.length, 1), dead = alone.reduce((n, d) => n + lost(d.dead), 1)
  return await inPlace(async place => {
    const engine = await place.engine({ broker: { topics: [...TOPICS], maxPayload: MOST } })
    await place.publish(inputs)
    const cut = await cutOff(engine.port, MOST + 100_000, true)
    const counts = await place.settled(rows + dead)
    const [found] = await place.query(`SELECT (SELECT count(*)::int FROM dead_letters) AS letters, (SELECT count(*)::int FROM dead_letters WHERE reason = '' OR detail = '') AS without_reason, count(*)::int AS rows,
      count(*) FILTER (WHERE value IN ('NaN', 'Infinity', '-Infinity'))::int AS not_finite FROM readings`)
    return {
      figures: { engine_inputs: inputs.length + 1, engine_rows: found.rows, engine_duplicates: counts.deduplicated, engine_dead_lettered: counts.dead_lettered, engine_letters: found.letters },
      wrong: {
        [`${found.rows} rows and ${counts.deduplicated} duplicates are not the ${rows} readings`]: found.rows !== counts.written || found.rows + counts.deduplicated !== rows,
        [`${counts.dead_lettered} dead readings in ${found.letters} letters, not ${dead} in ${letters}`]: counts.dead_lettered !== dead || found.letters !== letters,
        'a value in the database is not finite': found.not_finite > 0, 'a dead letter has no reason': found.without_reason > 0,
        'a packet that is too large was not cut off': !cut, 'the accounting is off': engine.run.imbalance !== 0
      }
    }
  })
}
