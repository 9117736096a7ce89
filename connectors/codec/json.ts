/**
 * JSON bytes -> columns. What a source needs of it:
 *   options:   ...codecOptions in its declaration
 *   topics:    new Topics(templates, host.series, { tenant: options.tenant, separator: '/' or '.' }); subscribe to topics.filters
 *   decoder:   const decode = makeDecoder(options, topics, host.series, intake)
 *   per message: decode(topic, payload, ingest, stamp, position); a source that listens names the decoder as its `decode`
 * Configuration faults as a sentence, for `check`: templateFault(template, separator) ?? codecFault(options).
 */
import { nameFault, short, Type, type Decode, type Intake, type SeriesTable, type Values } from '#engine'
import { isTooDeep, forbiddenKey, readText, unsafeIntegers } from './guard.ts'
import { parsePath, pick, type Path } from './path.ts'
import { Plain } from './plain.ts'
import { fromEpoch, readTime, type TimeUnit } from './time.ts'
import type { Place, Topics } from './topic.ts'

export const codecOptions = {
  tenant: Type.String({ description: 'Whose readings these are when the topic has no {tenant}.', default: 'default', minLength: 1 }),
  maxPayload: Type.Integer({ description: 'Largest payload, bytes; a larger one becomes a dead letter with its first 1,024 bytes.', minimum: 1, maximum: 1_048_576, default: 262_144 }),
  timeUnit: Type.Unsafe<TimeUnit>({ type: 'string', enum: ['auto', 's', 'ms', 'us', 'ns'], description: 'Unit of timestamps that are numbers; auto tells them apart by size.', default: 'auto' }),
  timeProperty: Type.String({ description: 'MQTT 5 user property (NATS header) with the timestamp, for payloads without one.', default: 'ts', minLength: 1 }),
  fields: Type.Optional(Type.Object({
    time: Type.Optional(Type.String({ description: 'Path of the timestamp.' })),
    device: Type.Optional(Type.String({ description: 'Path of the device name, for topics without {device}.' })),
    metric: Type.Optional(Type.String({ description: 'Path of the metric name, for topics without {metric}.' })),
    value: Type.Optional(Type.String({ description: 'Path of the value, when there is one.' })),
    metrics: Type.Optional(Type.Record(Type.String(), Type.String(), { description: 'Metric name: path of its value.' }))
  }, { description: 'Where things stand in payloads of another shape, as paths such as data.p[0]. What it does not name is not read.' }))
}
export type CodecOptions = Omit<Values<typeof codecOptions>, 'timeProperty'> & { readonly timeProperty?: string }

/**
 * Shapes, alone or many in an array: a number, boolean or null · `{device?, metric?, value, ts}` · `{temperature, humidity, ts}` ·
 * `{ts, values: {...}}` · columns `{device?, metric?, t: [...], v: [...], ...}`, where every array is as long as that of the times.
 * The time is the first there is of `ts`, `timestamp`, `time`, `t`. A device or metric that the topic names is not asked of
 * the payload; under a topic's (or payload's) metric `climate` a member `humidity` is the metric `climate.humidity`, and a
 * `value` is `climate` itself. Without any metric a value's is `value`. Of a key that stands twice the last one counts.
 * Booleans are 0 and 1, null is no value. `lines`: a payload is many, one a line; those that are empty do not count. Cost: npm run bench -- decode.
 */
export const makeDecoder = (options: CodecOptions, topics: Topics, series: SeriesTable, intake: Intake, { lines = false } = {}): Decode => {
  const decoder = new Decoder(options, topics, series, intake, lines)
  return (topic, payload, ingest, stamp, position) => decoder.decode(topic, payload, ingest, stamp, position)
}

/** What is wrong with codec options, as a sentence. */
export function codecFault ({ tenant, fields }: CodecOptions): string | undefined {
  if (fields !== undefined && fields.value === undefined && Object.keys(fields.metrics ?? {}).length === 0) return 'fields names neither a value nor metrics'
  const { metrics = {}, ...single } = fields ?? {}
  const broken = [...Object.values(single), ...Object.values(metrics)].find(path => parsePath(path!) === undefined)
  if (broken !== undefined) return `fields: "${broken}" is not a path such as meta.ts or data.p[0]`
  return [nameFault('tenant', tenant), ...Object.keys(metrics).map(m => nameFault('metric', m))].find(f => f !== undefined)?.detail
}

interface Fields { readonly time: Path | undefined, readonly device: Path, readonly metric: Path, readonly value: Path | undefined, readonly metrics: readonly (readonly [string, Path])[] }
type Members = Readonly<Record<string, unknown>>

const KEPT = 1024                    // bytes of a payload that is too large
const LIMIT = 2 ** 53
const NEWLINE = 0x0a, RETURN = 0x0d, SPACE = 0x20, TAB = 0x09
const NAMED = 10_000                 // devices named by payloads that are remembered per topic

class Decoder {
  private readonly options: CodecOptions
  private readonly topics: Topics
  private readonly series: SeriesTable
  private readonly intake: Intake
  private readonly unit: TimeUnit
  private readonly fields: Fields | undefined
  private readonly lines: boolean
  private readonly plain = new Plain()
  private place!: Place              // of the current message
  private ingest = 0
  private stamp: unknown
  private text = ''
  private unsafe: Set<number> | undefined
  private time = 0                   // of the current object, ms
  private times: readonly unknown[] | undefined      // when it holds columns

  constructor (options: CodecOptions, topics: Topics, series: SeriesTable, intake: Intake, lines: boolean) {
    this.options = options
    this.lines = lines
    this.topics = topics
    this.series = series
    this.intake = intake
    this.unit = options.timeUnit
    const { fields } = options
    const path = (text: string | undefined) => text === undefined ? undefined : parsePath(text)
    this.fields = fields && { time: path(fields.time), device: path(fields.device) ?? ['device'], metric: path(fields.metric) ?? ['metric'], value: path(fields.value), metrics: Object.entries(fields.metrics ?? {}).map(([name, text]) => [name, path(text)!] as const) }
  }

  decode (topic: string, payload: Uint8Array, ingest: number, stamp: unknown, place: number | undefined): number {
    const { intake, options: { maxPayload } } = this
    if (payload.length > maxPayload) {
      const position = intake.message(topic, payload.subarray(0, KEPT), ingest, place)
      intake.reject('too_large', `the payload has ${payload.length} bytes, ${maxPayload} are allowed (maxPayload)`)
      return position
    }
    const position = intake.message(topic, payload, ingest, place)
    const found = this.topics.resolve(topic)
    if ('reason' in found) intake.reject(found.reason, found.detail)
    else {
      this.place = found
      this.ingest = ingest
      this.stamp = stamp
      if (this.lines) this.each(payload)
      else this.payload(payload)
    }
    return position
  }

  private each (payload: Uint8Array): void {
    let found = false
    for (let from = 0; from < payload.length;) {
      const at = payload.indexOf(NEWLINE, from), end = at < 0 ? payload.length : at
      const line = payload.subarray(from, end > from && payload[end - 1] === RETURN ? end - 1 : end)
      if (line.some(byte => byte !== SPACE && byte !== TAB)) {
        found = true
        this.payload(line)
      }
      from = end + 1
    }
    if (!found) this.intake.reject('unparseable', 'the payload is empty')
  }

  /** A payload of the commonest form, whose series is known and whose numbers need no second look. False: nothing was taken, it is read as any other. */
  private takePlain (payload: Uint8Array): boolean {
    const { intake, unit, plain, place: { device = -1, metric = 'value' } } = this
    const id = device < 0 || this.fields !== undefined ? -1 : this.series.find(device, metric)
    if (id < 0) return false
    const n = plain.read(payload), { times, values } = plain
    const asIs = unit === 'auto' || unit === 'ms'
    for (let i = 0; i < n; i++) {
      const x = times[i]
      if (!(asIs && x >= 1e11 && x < 1e14 && Number.isInteger(x))) times[i] = fromEpoch(x, unit)      // of milliseconds, as most are
      if (!(times[i] === times[i] && values[i] < LIMIT && values[i] > -LIMIT)) return false
    }
    for (let i = 0; i < n; i++) intake.reading(id, times[i], values[i])
    return n > 0
  }

  private payload (payload: Uint8Array): void {
    if (this.takePlain(payload)) return
    if (payload.length === 0) return this.intake.reject('unparseable', 'the payload is empty')
    const text = readText(payload)
    if (typeof text !== 'string') return this.intake.reject(text.reason, text.detail)
    if (isTooDeep(text)) return this.intake.reject('too_deep', 'the payload nests deeper than 32')
    this.text = text
    this.unsafe = undefined
    let parsed: unknown
    try {
      parsed = JSON.parse(text)
    } catch (error) {
      return this.intake.reject('unparseable', short((error as Error).message, 200))
    }
    const forbidden = forbiddenKey(text, parsed)
    if (forbidden !== undefined) return this.intake.reject('forbidden_key', `the payload has a key ${forbidden}`)
    if (Array.isArray(parsed)) this.array(parsed)
    else if (isMembers(parsed)) this.object(parsed)
    else this.bare(parsed)
  }

  private bare (value: unknown): void {
    if (this.fields !== undefined) return this.intake.reject('wrong_shape', `the payload is ${show(value)}, fields reads objects`)
    const device = this.device(undefined)
    if (device !== undefined && this.at(undefined)) this.put(device, this.place.metric ?? 'value', value, this.time)
  }

  private array (items: readonly unknown[]): void {
    if (items.length === 0) this.intake.reject('wrong_shape', 'the payload is an empty array')
    for (let i = 0; i < items.length; i++) {
      const item = items[i]
      if (isMembers(item)) this.object(item)
      else this.intake.reject('wrong_shape', `item ${i} is ${show(item)}, an object with a reading is expected`)
    }
  }

  private object (o: Members): void {
    if (this.fields !== undefined) return this.mapped(o, this.fields)
    const timeKey = timeKeyOf(o)
    const device = this.device(o.device)
    if (device === undefined || !this.at(timeKey === undefined ? undefined : o[timeKey])) return
    const metric = this.metric(o.metric)
    if (metric === null) return
    let found = false
    for (const key in o) {
      if (key === timeKey || key === 'device' || key === 'metric') continue
      const value = o[key]
      if (value === null && TIME_KEYS.includes(key)) continue
      if (key === 'values' && isMembers(value)) {
        for (const name in value) {
          found = true
          this.member(device, under(metric, name), value[name])
        }
      } else {
        found = true
        this.member(device, key === 'value' || (key === 'v' && this.times !== undefined) ? metric ?? 'value' : under(metric, key), value)
      }
    }
    if (!found) this.intake.reject('wrong_shape', `${show(o)} has no value in it`)
  }

  private mapped (o: Members, fields: Fields): void {
    const timeKey = timeKeyOf(o)
    const device = this.device(pick(o, fields.device))
    if (device === undefined || !this.at(fields.time === undefined ? timeKey && o[timeKey] : pick(o, fields.time))) return
    const metric = this.metric(pick(o, fields.metric))
    if (metric === null) return
    const value = fields.value && pick(o, fields.value)
    let found = value !== undefined
    if (found) this.member(device, metric ?? 'value', value)
    for (const [name, path] of fields.metrics) {
      const value = pick(o, path)
      if (value === undefined) continue
      found = true
      this.member(device, under(metric, name), value)
    }
    if (!found) this.intake.reject('wrong_shape', `${show(o)} has nothing where fields says that values stand`)
  }

  /** Sets the time of the current object, or its times; false when it was rejected. */
  private at (raw: unknown): boolean {
    this.times = undefined
    if (Array.isArray(raw)) {
      this.times = raw
      return true
    }
    const absent = raw === undefined || raw === null
    const stamped = absent && this.stamp !== undefined
    this.time = !absent ? readTime(raw, this.unit) : stamped ? readTime(this.stamp, this.unit) : fromEpoch(this.ingest, 'ms')
    if (!Number.isNaN(this.time)) return true
    this.intake.reject('bad_time', `${show(stamped ? this.stamp : raw)} is no timestamp (ISO 8601, or ${this.unit === 'auto' ? 's, ms, us or ns' : this.unit} since 1970)`)
    return false
  }

  private member (device: number, metric: string, value: unknown): void {
    if (this.times === undefined) this.put(device, metric, value, this.time)
    else this.column(device, metric, value, this.times)
  }

  private column (device: number, metric: string, values: unknown, times: readonly unknown[]): void {
    if (!Array.isArray(values) || values.length !== times.length || times.length === 0) {
      return this.intake.reject('wrong_shape', `${short(metric)} has ${Array.isArray(values) ? values.length : 'not an array of'} values beside ${times.length} times`)
    }
    const { unit, intake } = this
    let id = device < 0 ? -1 : this.series.find(device, metric)
    for (let i = 0; i < times.length; i++) {
      const value: unknown = values[i], raw = times[i]
      const time = typeof raw === 'number' ? fromEpoch(raw, unit) : readTime(raw, unit)
      if (Number.isNaN(time)) intake.reject('bad_time', `${short(metric)} ${i}: ${show(raw)} is no timestamp`)
      else if (id >= 0 && typeof value === 'number' && value < LIMIT && value > -LIMIT) intake.reading(id, time, value)
      else {
        this.put(device, metric, value, time)
        if (id < 0 && device >= 0) id = this.series.find(device, metric)
      }
    }
  }

  private put (device: number, metric: string, value: unknown, time: number): void {
    let x: number
    if (typeof value === 'number') {
      if ((value >= LIMIT || value <= -LIMIT) && this.isUnsafe(value)) return this.intake.reject('unsafe_integer', `${short(metric)} is an integer beyond 2^53, read as ${value}`)
      x = value
    } else if (value === true) x = 1
    else if (value === false) x = 0
    else if (value === null) x = NaN
    else return this.intake.reject('not_a_number', `${short(metric)} is ${show(value)}`)
    let id = device < 0 ? -1 : this.series.find(device, metric)
    if (id < 0) {
      const fault = nameFault('metric', metric)
      if (fault !== undefined) return this.intake.reject(fault.reason, fault.detail)
      if (device >= 0) id = this.series.of(device, metric)
    }
    this.intake.reading(id, time, x)
  }

  private isUnsafe (value: number): boolean {
    return Number.isFinite(value) && (this.unsafe ??= unsafeIntegers(this.text)).has(value)
  }

  /** The device's id, -1 when the table is full; undefined when it was rejected. */
  private device (raw: unknown): number | undefined {
    const { place } = this
    if (place.device !== undefined) return place.device
    const name = nameOf(raw)
    if (name === undefined) {
      this.intake.reject('bad_name', raw === undefined ? 'neither topic nor payload names a device' : `the device is ${show(raw)}`)
      return undefined
    }
    let id = place.devices.get(name)
    if (id !== undefined) return id
    const fault = nameFault('device', name)
    if (fault !== undefined) {
      this.intake.reject(fault.reason, fault.detail)
      return undefined
    }
    id = this.series.device(place.tenant, name)
    if (place.devices.size >= NAMED) place.devices.clear()
    if (id >= 0) place.devices.set(name, id)
    return id
  }

  /** The metric that topic or payload names, undefined when none does; null when it was rejected. */
  private metric (raw: unknown): string | undefined | null {
    if (this.place.metric !== undefined) return this.place.metric
    if (raw === undefined) return undefined
    const name = nameOf(raw)
    if (name === undefined) this.intake.reject('bad_name', `the metric is ${show(raw)}`)
    return name ?? null
  }
}

const isMembers = (value: unknown): value is Members => typeof value === 'object' && value !== null && !Array.isArray(value)
const TIME_KEYS = ['ts', 'timestamp', 'time', 't']
const timeKeyOf = (o: Members): string | undefined =>
  o.ts !== undefined && o.ts !== null ? 'ts' : o.timestamp !== undefined && o.timestamp !== null ? 'timestamp' : o.time !== undefined && o.time !== null ? 'time' : o.t !== undefined && o.t !== null ? 't' : undefined
const nameOf = (raw: unknown): string | undefined => typeof raw === 'string' ? raw : Number.isSafeInteger(raw) ? String(raw) : undefined
const under = (metric: string | undefined, key: string): string => metric === undefined ? key : `${metric}.${key}`
const show = (value: unknown): string => short(JSON.stringify(value) ?? 'missing')
