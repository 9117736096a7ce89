import type { Components } from './components.ts'
import { closed, Duration, Type } from './options.ts'
import { timeDefaults } from './pipeline.ts'

/** `time:` of a pipeline. */
export const TimeSchema = Type.Object({
  lateness: Duration({ description: 'How far the readings of one device may be out of order in event time.', default: timeDefaults.lateness }),
  ahead: Duration({ description: 'How far a reading may be ahead of its arrival; further ahead it is a dead letter.', default: timeDefaults.ahead }),
  idle: Duration({ description: 'Silence of a device after which its open windows are written provisionally.', default: timeDefaults.idle }),
  forget: Duration({ description: 'Silence of a device after which its open windows become final.', default: timeDefaults.forget })
})

const pair = (description: string) => Type.Optional(Type.Array(Type.Number(), { minItems: 2, maxItems: 2, description }))
const bound = (description: string) => Type.Optional(Type.Number({ description }))

/** What one column must be, in a condition. */
export const TestSchema = Type.Object({
  above: bound('Greater than this.'),
  below: bound('Less than this.'),
  atLeast: bound('This or greater.'),
  atMost: bound('This or less.'),
  equals: bound('Exactly this.'),
  outside: pair('Less than the first or greater than the second.'),
  inside: pair('From the first to the second, both included.')
})

/** An alert of a pipeline, without its conditions and receivers, which are read by themselves. */
export const AlertSchema = Type.Object({
  when: Type.Unknown({ description: 'The condition: columns (or value) and what they must be.' }),
  clear: Type.Optional(Type.Unknown({ description: 'Resolves when this holds; without it, as soon as `when` does not.' })),
  for: Type.Optional(Duration({ description: 'Event time that `when` must hold without a break.' })),
  severity: Type.Union([Type.Literal('info'), Type.Literal('warning'), Type.Literal('critical')], { description: 'How bad it is.', default: 'warning' }),
  message: Type.Optional(Type.String({ description: 'One sentence for people.' })),
  cooldown: Type.Optional(Duration({ description: 'Who was told of a series is told again no sooner, by wall clock; of what fires meanwhile only if it lasts until then.' })),
  flapping: Type.Optional(Type.Object({
    times: Type.Integer({ description: 'How often it may fire.', minimum: 1 }),
    within: Duration({ description: 'In this time, by wall clock.' })
  }, { description: 'What has fired more often than `times` in `within` is told only if it lasts for `within`.' })),
  group: Type.Optional(Type.Object({
    by: Type.Union([Type.Literal('device'), Type.Literal('site')], { description: 'What is told together.' }),
    wait: Duration({ description: 'How long others are waited for, by wall clock.', default: '30s' })
  }, { description: 'One notification for the alerts of a device or site.' })),
  to: Type.Optional(Type.Unknown({ description: 'Sinks that take alerts.' })),
  escalate: Type.Optional(Type.Array(Type.Object({
    after: Duration({ description: 'Since it was committed, by wall clock.' }),
    to: Type.Unknown({ description: 'Sinks that take alerts.' })
  }), { description: 'Who else is told of what nobody has acknowledged.' }))
})

export const ROUTE_KEYS = ['pipe', 'alerts', 'to'] as const
export const FILE_KEYS = ['name', 'from', 'time', 'devices', 'dedupe', 'pipe', 'branches', 'alerts', 'to', 'tests'] as const
/** Names of pipelines, branches and alerts: they become labels, keys and file names. */
export const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/

/** JSON Schema (draft 7) of a pipeline file, made from the declarations of all components: editors complete and check from it. */
export function jsonSchema (components: Components): Record<string, unknown> {
  const kinds = (kind: Readonly<Record<string, { readonly definition: { readonly summary: string, readonly options: any } }>>, extra: object = {}) => {
    const entries = Object.entries(kind)
    return {
      anyOf: [
        { enum: entries.map(([name]) => name) },
        {
          ...single,
          properties: Object.fromEntries(entries.map(([name, { definition }]) => {
            const options = written(definition.options)
            return [name, { ...options, description: definition.summary, properties: { ...options.properties, ...extra } }]
          }))
        }
      ]
    }
  }
  const route = {
    pipe: { description: 'Operators, one after the other.', type: 'array', items: { $ref: '#/definitions/operator' } },
    alerts: { description: 'When to tell people.', type: 'object', additionalProperties: { $ref: '#/definitions/alert' } },
    to: { description: 'Where the rows go.', type: 'array', items: { $ref: '#/definitions/sink' } }
  }
  const alert = written(AlertSchema)
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Millrace pipeline',
    type: 'object',
    required: ['name', 'from'],
    additionalProperties: false,
    properties: {
      name: { description: 'Name of the pipeline: its key in the store, in metrics and in the API.', type: 'string', pattern: NAME.source },
      from: { description: 'The source.', ...kinds(components.sources) },
      time: { description: 'How event time is judged.', ...written(TimeSchema) },
      devices: { description: 'CSV file (path from this file) with what is known of devices: device, and any of tenant, metric with unit, type, site and further columns as tags.', type: 'string' },
      dedupe: { description: 'Insert dedupe, before the first step with memory, when the pipeline has none.', type: 'boolean', default: true },
      ...route,
      branches: { description: 'Routes of their own for the rows that come out of the trunk.', type: 'object', additionalProperties: { type: 'object', additionalProperties: false, properties: route } },
      tests: {
        description: 'Tests in virtual time, run by `millrace test`.',
        type: 'array',
        items: { type: 'object', required: ['name', 'given', 'expect'], additionalProperties: false, properties: { name: { type: 'string' }, given: { type: 'string' }, tolerance: { type: 'number', minimum: 0, default: 1e-6 }, expect: { type: 'object' } } }
      }
    },
    definitions: {
      operator: kinds(components.operators, { id: { description: 'Name of the step; needed when an operator stands twice in a route.', type: 'string' } }),
      sink: kinds(components.sinks),
      condition: {
        type: 'object',
        minProperties: 1,
        properties: { any: { type: 'array', minItems: 1, items: { $ref: '#/definitions/condition' } }, all: { type: 'array', minItems: 1, items: { $ref: '#/definitions/condition' } } },
        additionalProperties: { ...written(TestSchema), minProperties: 1 }
      },
      alert: {
        ...alert,
        properties: {
          ...alert.properties,
          when: { $ref: '#/definitions/condition' },
          clear: { $ref: '#/definitions/condition' },
          to: { type: 'array', items: { $ref: '#/definitions/sink' } }
        }
      }
    }
  }
}

const single = { type: 'object', minProperties: 1, maxProperties: 1, additionalProperties: false }

/** A declaration as authors meet it: what has a default may be left out, and a number may come from the environment. */
function written (declared: object): any {
  const walk = (schema: any): any => {
    if (Array.isArray(schema)) return schema.map(walk)
    if (schema === null || typeof schema !== 'object') return schema
    const { 'x-duration': _, 'x-file': __, required, ...rest } = schema
    const copy: Record<string, any> = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, key === 'default' ? value : walk(value)]))
    const needed = (required as string[] | undefined)?.filter(key => schema.properties?.[key]?.default === undefined)
    if (needed !== undefined && needed.length > 0) copy.required = needed
    if (['number', 'integer', 'boolean'].includes(copy.type)) {
      const { description, default: preset, ...scalar } = copy
      return { ...description === undefined ? {} : { description }, ...preset === undefined ? {} : { default: preset }, anyOf: [scalar, { type: 'string', pattern: '^\\$\\{.*\\}$' }] }
    }
    return copy
  }
  return walk(closed(declared))
}
