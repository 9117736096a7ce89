import type { AlertEvent } from './alert.ts'
import { isoMicros } from './iso.ts'
import { Type } from './options.ts'
import type { Notice } from './sink.ts'

const Value = Type.Union([Type.Number(), Type.Null()]), Moment = (description: string) => Type.String({ format: 'date-time', description })

/** An alert as receivers get it. */
export const AlertBody = Type.Object({
  id: Type.String({ description: 'Of this transition: the same whenever the same data is processed again.' }),
  incident: Type.String({ description: 'The same for firing and resolved.' }),
  state: Type.Union([Type.Literal('firing'), Type.Literal('resolved')]),
  tenant: Type.String(), pipeline: Type.String(), alert: Type.String(),
  severity: Type.Union([Type.Literal('info'), Type.Literal('warning'), Type.Literal('critical')]),
  device: Type.String(), metric: Type.String(),
  since: Moment('Event time at which the condition began to hold.'), time: Moment('Event time of this transition.'),
  value: Type.Union([Type.Number(), Type.Null()], { description: 'The reading that made it.' }),
  evidence: Type.Record(Type.String(), Value, { description: 'The columns that the condition reads, at that reading.' }),
  message: Type.String({ description: 'One sentence for people.' }),
  expected: Type.Optional(Type.Object({ low: Value, high: Value }, { description: 'Where the value was expected.' })),
  p: Type.Optional(Type.Number({ description: 'The p-value, 0 to 1: the least of those that steps give.' })),
  signals: Type.Optional(Type.Array(Type.Object({ name: Type.String(), by: Type.String({ description: 'The step that says so.' }), weight: Type.Optional(Type.Number()) }), { description: 'What contributes, the most first, by step.' })),
  verdict: Type.Optional(Type.String({ description: 'device, model or sensor: what is to blame.' })),
  learning: Type.Optional(Type.Array(Type.Object({ by: Type.String({ description: 'The step.' }), learned: Type.Number(), of: Type.Number() }), { description: 'Steps that have not learned enough to say all that they can: readings so far, of so many.' })),
  simulated: Type.Optional(Type.Literal(true, { description: 'Of a device that there is not: somebody tries out what happens.' })),
  version: Type.Optional(Type.String({ description: 'Of the pipeline, as it was written.' })),
  reason: Type.Optional(Type.String({ description: 'Why it is over, when no data ended it.' })),
  position: Type.Integer({ description: 'Number of the message that made it, in `origin`.' }), origin: Type.Optional(Type.String({ description: 'What position counts in: a log, or a stream.' }))
})

/** The body of a webhook: one alert, or several of a group. */
export const NoticeBody = Type.Object({
  type: Type.Union([Type.Literal('alert.firing'), Type.Literal('alert.resolved'), Type.Literal('alert.group')]),
  timestamp: Moment('Of the newest transition in it.'),
  test: Type.Optional(Type.Boolean({ description: 'true: somebody tries whether it arrives.' })),
  simulated: Type.Optional(Type.Literal(true, { description: 'All of it is of devices that there are not.' })),
  data: Type.Union([AlertBody, Type.Object({ id: Type.String({ description: 'Of the group.' }), alerts: Type.Array(AlertBody, { minItems: 2 }) })]),
  links: Type.Optional(Type.Record(Type.String(), Type.String(), { description: 'Where more stands about it.' }))
}, { description: 'What receivers of alerts get.' })

/** JSON Schema (2020-12) of what receivers get. New fields may come: it does not forbid them. */
export const noticeSchema = (): Record<string, unknown> => ({ $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'Millrace alert', ...JSON.parse(JSON.stringify(NoticeBody)) })

/** As JSON has it. The same for the same notice. */
export function plainNotice ({ id, events, links, test }: Notice): Record<string, unknown> {
  const [first, ...others] = events
  return {
    type: others.length === 0 ? `alert.${first.state}` : 'alert.group', timestamp: isoMicros(Math.max(...events.map(e => e.time))), ...test === true ? { test } : {}, ...events.every(isUnreal) ? { simulated: true } : {},
    data: others.length === 0 ? plainAlert(first) : { id, alerts: events.map(plainAlert) },
    ...links === undefined ? {} : { links }
  }
}

export function plainAlert ({ id, incident, state, tenant, pipeline, alert, severity, device, metric, since, time, value, evidence, message, details, position, origin = '' }: AlertEvent): Record<string, unknown> {
  return { id, incident, state, tenant, pipeline, alert, severity, device, metric, since: isoMicros(since), time: isoMicros(time), value, evidence, message, ...details, position, ...origin === '' ? {} : { origin } }
}

const isUnreal = ({ details }: AlertEvent): boolean => details?.simulated === true
const shown = (x: number | null | undefined): string => x === null || x === undefined ? '...' : String(Number(x.toPrecision(6)))
const word = ({ state, severity }: AlertEvent): string => state === 'resolved' ? 'RESOLVED' : severity.toUpperCase()

/** A line for the subject of a message, and lines for its text: what, since when, how much, what was expected, why. */
export function readableNotice ({ events, links = {}, test }: Notice): { readonly title: string, readonly lines: readonly string[] } {
  const [first, ...others] = events
  const title = others.length === 0 ? `[${word(first)}] ${first.alert}: ${first.device} ${first.metric}` : `[${events.length} alerts] ${[...new Set(events.map(e => e.device))].slice(0, 3).join(', ')}`
  return {
    title: `${test === true ? 'TEST ' : ''}${events.every(isUnreal) ? 'SIMULATED ' : ''}${title}`,
    lines: [...test === true ? ['This is a test: somebody tries whether it arrives.'] : [], ...events.flatMap(e => [...others.length === 0 ? [] : [`[${word(e)}]`], ...isUnreal(e) ? ['Simulated: there is no such device.'] : [], e.message, ...factsOf(e)]), ...Object.entries(links).map(([name, url]) => `${name}: ${url}`)]
  }
}

function factsOf ({ since, time, value, tenant, pipeline, details }: AlertEvent): string[] {
  const { expected, p, signals, verdict, learning, version } = details ?? {}
  return [
    `since ${isoMicros(since)}, as of ${isoMicros(time)}`, `value ${shown(value)}${expected === undefined ? '' : `, expected ${shown(expected.low)} to ${shown(expected.high)}`}`,
    ...p === undefined ? [] : [`p-value ${shown(p)}`], ...signals === undefined ? [] : [`signals ${signals.map(s => `${s.name} (${s.by}${s.weight === undefined ? '' : ` ${shown(s.weight)}`})`).join(', ')}`],
    ...verdict === undefined ? [] : [`verdict ${verdict}`], ...learning === undefined ? [] : [`learning: ${learning.map(l => `${l.by} ${l.learned} of ${l.of}`).join(', ')}`], `tenant ${tenant}, pipeline ${pipeline}${version === undefined ? '' : ` ${version}`}`
  ]
}
