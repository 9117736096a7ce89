import { createHash } from 'node:crypto'
import { Batch, type Numbers } from './batch.ts'
import { columnsOf, describe, evaluate, FAILS, faultOf, HOLDS, UNKNOWN, type Condition } from './condition.ts'
import { MillraceError } from './errors.ts'
import { detailsOf, explainedBy, type Details } from './explain.ts'
import { canonical } from './fingerprint.ts'
import { defineOperator, type Host, type Operator, type Stage } from './operator.ts'
import { Duration, span, suggest, Type } from './options.ts'
import { Memory, type Records } from './memory.ts'
import type { AlertOptions, AlertSpec } from './pipeline.ts'
import type { SeriesName, SeriesTable } from './series.ts'
import { isSimulated } from './simulated.ts'
import { STALE, type Arrival } from './stale.ts'

export type Severity = 'info' | 'warning' | 'critical'

/** One transition of one incident, as it is stored and sent. */
export interface AlertEvent {
  readonly id: string                // incident id + '.' + state: the same whenever the same data is processed again
  readonly incident: string          // see incidentId
  readonly state: 'firing' | 'resolved'
  readonly tenant: string
  readonly pipeline: string
  readonly alert: string
  readonly severity: Severity
  readonly device: string
  readonly metric: string
  readonly since: number             // event time at which the condition began to hold (pending), ms
  readonly time: number              // event time of this transition, ms
  readonly value: number | null      // the reading that made it
  readonly evidence: Readonly<Record<string, number | null>>   // the columns that the condition reads, at that reading
  readonly message: string           // one sentence for a person: what, where, how much, compared with what
  readonly details?: Details         // why it is one, as far as steps say so
  readonly position: number          // of the message that made it
  readonly origin?: string           // what that counts in: a log, or a stream
}

/** An incident whose condition holds, not for long enough yet. It may never fire: a look at memory, which nothing keeps. `time`: event time of the newest row that was looked at. */
export interface Pending extends Omit<AlertEvent, 'state' | 'value' | 'evidence' | 'details' | 'position' | 'origin'> { readonly state: 'pending' }

/** What an alert belongs to: the name and version of its pipeline, and what the steps before it explain. */
export interface Context { readonly pipeline: string, readonly version: string, readonly explains: ReturnType<typeof explainedBy> }

/** A running alert of one pipeline. */
export interface Alert {
  readonly name: string
  /**
   * The transitions that these rows make, in their order. `stale`: nobody is to be told yet, because what fired is of a backlog
   * (`arrival`). It comes once more, under its id and as of that row, with the first row in which `when` still holds and
   * that is of no backlog, or that arrived STALE or more after the one that fired: a clock that is off, or was, delays an
   * alert and silences none. An end is told to whoever was told of the beginning, however late it comes.
   */
  process (batch: Batch<any>, arrival?: (time: number, position: number) => Arrival): { readonly event: AlertEvent, readonly stale: boolean }[]
  /** What is pending now, under the ids of the incidents that these would be. Looks at the state of every series, and copies none. */
  pending (): Pending[]
  readonly stage: Stage              // its memory
}

export function openAlert (spec: AlertSpec, context: Context, host: Host): Alert {
  const operator = alertOperator(spec.options)
  checkMessage(spec)
  const stage = operator.open(host), untold = new Memory({ untold: 0 }, host.series.capacity)       // when the incident that fires arrived, ms, if nobody was told
  return {
    name: spec.name,
    process (batch, arrival = () => ({ at: 0, stale: false })) {
      const rows = stage.process(batch), { firing } = rows.columns, { held: { untold: cells } } = untold
      const said: number[] = [], stales: boolean[] = []
      for (let i = 0; i < rows.length; i++) {
        const s = rows.series[i]
        if (firing[i] === ON && cells[s] === 0) continue
        if (firing[i] !== OVER) {
          const { at, stale } = arrival(rows.time[i], rows.position[i])
          if (firing[i] === FIRES) cells[s] = stale ? at : 0
          else if (stale && at - cells[s] < STALE) continue
          else cells[s] = 0
        }
        said.push(i)
        stales.push(cells[s] !== 0)
      }
      if (said.length === 0) return []
      return toEvents(rows.take(Int32Array.from(said)), spec, context, host.series).map((event, k) => ({ event, stale: stales[k] }))
    },
    pending () {
      const held = operator.options.for as number, { data, width, field } = stage.held.incident as Records<keyof typeof incident>, found: Pending[] = []
      for (let s = 0, at = 0; held > 0 && s < host.series.size; s++, at += width) {
        if (data[at + field.phase] !== PENDING) continue
        const since = data[at + field.since], time = data[at + field.seen], series = host.series.name(s), id = incidentId(series, context.pipeline, spec.name, since, ordinalOf(since, data[at + field.last], data[at + field.ordinal]))
        found.push({ id: `${id}.pending`, incident: id, state: 'pending', ...series, pipeline: context.pipeline, alert: spec.name, severity: spec.options.severity ?? 'warning', since, time, message: `${spec.name}: ${series.device} ${series.metric}: what it asks for has held for ${span(time - since)} of ${span(held)}` })
      }
      return found
    },
    stage: {
      ...stage,
      forms: { ...stage.forms, series: [...untold.forms, ...stage.forms.series] },
      write (to, series, devices) {
        untold.appear(host.series.size)
        untold.write(to, series)
        stage.write(to, series, devices)
      },
      save (series, devices) {
        const saved = stage.save(series, devices)
        untold.appear(host.series.size)
        return { ...saved, series: { ...saved.series, ...untold.save(series) } }
      },
      load ({ series: { untold: told, ...series }, ...rest }, ofSeries, ofDevices) {
        stage.load({ ...rest, series }, ofSeries, ofDevices)
        untold.load(told === undefined ? {} : { untold: told }, ofSeries)      // absent in older snapshots
      }
    }
  }
}

const IDLE = 0, PENDING = 1, FIRING = 2
const OVER = 0, FIRES = 1, ON = 2
const incident = { phase: IDLE, since: NaN, ordinal: 0, seen: -Infinity, last: NaN }
const ordinalOf = (since: number, last: number, ordinal: number): number => last === since ? ordinal + 1 : 0

/**
 * The state of one alert for each series: idle -> pending -> firing -> idle. Gives the rows that make a transition, and those in
 * which `when` holds while it fires, with `firing` (1: fires, 0: resolved, 2: fires still), `since` (event time at which it
 * began to hold) and `ordinal`.
 *
 * Decided by rows alone, so a replay decides the same. It fires at the first row that is `for` or more after the one
 * with which `when` began to hold, if `when` failed at none between; a row in which the condition is unknown changes nothing.
 * Rows older than the newest of their series are not looked at: what has been said is not taken back. 40 bytes per series.
 */
const alertStep = defineOperator({
  name: 'alert',
  summary: 'The rows in which an alert begins to fire, still does, or is resolved.',
  options: Type.Object({
    when: Type.Unsafe<Condition>({ type: 'object', description: 'What must hold.' }),
    clear: Type.Optional(Type.Unsafe<Condition>({ type: 'object', description: 'What must hold for it to be resolved; when absent, that `when` does not hold.' })),
    for: Duration({ description: 'Event time that `when` must hold without a break.', default: '0s' })
  }),
  needs: reads,
  adds: ['firing', 'since', 'ordinal'],
  tuning: ['when', 'clear', 'for'],
  tuned (before, now, { incident: { data, width, field } }, series) {      // what was pending was pending for something else
    if (canonical(before.when) !== canonical(now.when)) for (const s of series) if (data[s * width + field.phase] === PENDING) data[s * width + field.phase] = IDLE
  },
  perSeries: { incident },
  drops: 'filtered',
  check: ({ when, clear }) => faultOf(when) ?? (clear === undefined ? undefined : faultOf(clear)),

  process (batch, { when, clear, for: span }, { incident }) {
    const holds = evaluate(when, batch)
    const clears = clear === undefined ? undefined : evaluate(clear, batch)
    const { data, width, field: { phase, since, ordinal, seen, last } } = incident
    const rows: number[] = [], firings: number[] = [], sinces: number[] = [], ordinals: number[] = []
    const give = (row: number, at: number, firing: number) => {
      rows.push(row)
      firings.push(firing)
      sinces.push(data[at + since])
      ordinals.push(data[at + ordinal])
    }
    for (let i = 0; i < batch.length; i++) {
      const at = batch.series[i] * width, time = batch.time[i]
      if (time < data[at + seen]) continue
      data[at + seen] = time
      if (data[at + phase] === FIRING) {
        if (clears === undefined ? holds[i] === FAILS : clears[i] === HOLDS) {
          give(i, at, OVER)
          data[at + phase] = IDLE
        } else if (holds[i] === HOLDS) give(i, at, ON)
      } else if (holds[i] === HOLDS) {
        if (data[at + phase] === IDLE) {
          data[at + phase] = PENDING
          data[at + since] = time
        }
        if (time - data[at + since] >= span) {
          data[at + phase] = FIRING
          data[at + ordinal] = ordinalOf(data[at + since], data[at + last], data[at + ordinal])
          data[at + last] = data[at + since]
          give(i, at, FIRES)
        }
      } else if (holds[i] !== UNKNOWN) data[at + phase] = IDLE
    }
    return batch.take(Int32Array.from(rows)).with({ firing: Float64Array.from(firings), since: Float64Array.from(sinces), ordinal: Float64Array.from(ordinals) })
  }
})

/** The step that decides an alert, from the part of its options that decides. */
export function alertOperator (options: AlertOptions): Operator<string, 'firing' | 'since' | 'ordinal'> {
  return alertStep({ when: options.when, ...options.clear === undefined ? {} : { clear: options.clear }, ...options.for === undefined ? {} : { for: options.for } })
}

/** The columns, besides the value, that an alert reads. */
function reads ({ when, clear }: { readonly when: Condition, readonly clear?: Condition }): string[] {
  return [...new Set([...columnsOf(when), ...clear === undefined ? [] : columnsOf(clear)])].filter(c => c !== 'value')
}

/**
 * The id of an incident: 160 bits of SHA-256 in base32 (RFC 4648, lower case). `since` is the event time at which it began;
 * `ordinal` counts incidents of one series that began at the same time. Nothing else, so processing again gives the same id.
 */
export function incidentId ({ tenant, device, metric }: SeriesName, pipeline: string, alert: string, since: number, ordinal: number): string {
  const hash = createHash('sha256').update(JSON.stringify([tenant, pipeline, alert, device, metric, since, ordinal])).digest()
  return base32(hash.subarray(0, 20))
}

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'
const base32 = (bytes: Uint8Array): string => {
  let text = '', bits = 0, held = 0
  for (const byte of bytes) {
    held = held << 8 | byte
    for (bits += 8; bits >= 5; bits -= 5) text += ALPHABET[held >>> bits - 5 & 31]
    held &= (1 << bits) - 1
  }
  return text
}

/** What the step's rows say, for people and machines. */
export function toEvents (batch: Batch<any>, { name, options }: AlertSpec, { pipeline, version, explains }: Context, table: SeriesTable): AlertEvent[] {
  const columns: Record<string, Numbers> = batch.columns
  const read = reads(options)
  return Array.from(batch.time, (time, i): AlertEvent => {
    const series = table.name(batch.series[i])
    const since = columns.since[i]
    const incident = incidentId(series, pipeline, name, since, columns.ordinal[i])
    const state = columns.firing[i] === OVER ? 'resolved' : 'firing'
    const event = {
      id: `${incident}.${state}`, incident, state, ...series, pipeline, alert: name, severity: options.severity ?? 'warning',
      since, time, value: orNull(batch.value[i]), evidence: Object.fromEntries(read.map(c => [c, orNull(columns[c][i])])), details: { ...detailsOf(explains, batch, i, version), ...isSimulated(series.device) ? { simulated: true as const } : {} }, position: batch.position[i]
    } as const
    return { ...event, message: options.message === undefined ? sentence(event, options) : fill(options.message, event) }
  })
}

const orNull = (x: number): number | null => Number.isFinite(x) ? x : null
const shown = (x: number | null): string => x === null ? 'unknown' : String(Number(x.toPrecision(6)))

type Facts = Omit<AlertEvent, 'message'>

/** 'overheating: zscore of boiler-1 temp is 5.2 (above 4) for 30s; its value is 93.1' */
function sentence (event: Facts, { when, clear, for: held }: AlertOptions): string {
  const where = `${event.device} ${event.metric}`
  const now = { value: event.value, ...event.evidence }
  const has = (condition: Condition) => describe(condition, column => shown(now[column as 'value'] ?? null))
  const value = `its value is ${shown(event.value)}`
  if (event.state === 'firing') return `${event.alert}: ${where}: ${has(when)}${held === undefined ? '' : ` for ${span(event.time - event.since)}`}; ${value}`
  return `${event.alert} is over: ${where}: ${has(clear ?? when)}${clear === undefined ? ' no longer holds' : ''}; ${value}`
}

const PLACE = /\{(\w+)\}/g
const facts = ['tenant', 'device', 'metric', 'alert', 'severity', 'state', 'value', 'time', 'since']

function fill (template: string, event: Facts): string {
  return template.replaceAll(PLACE, (_, name: string) => {
    if (name === 'value') return shown(event.value)
    if (name === 'time' || name === 'since') return new Date(event[name]).toISOString()
    return facts.includes(name) ? String(event[name as 'device']) : shown(event.evidence[name] ?? null)
  })
}

function checkMessage ({ name, options }: AlertSpec): void {
  const known = [...facts, ...reads(options)]
  for (const [, place] of (options.message ?? '').matchAll(PLACE)) {
    if (!known.includes(place)) throw new MillraceError('config/invalid', `alert "${name}": message has "{${place}}", which nothing fills`, { help: suggest(place, known) })
  }
}
