import { createHash } from 'node:crypto'
import { canonical } from './fingerprint.ts'
import { isSecret, MASK, masked, maskedPath } from './mask.ts'
import { optionAt, span } from './options.ts'
import type { AlertSpec, Pipeline, Route } from './pipeline.ts'

/** A pipeline in the form of its YAML file: everything said, nothing secret. */
export function plainOf (pipeline: Pipeline): Record<string, unknown> {
  const { source, time, branches, tests } = pipeline
  return {
    name: pipeline.name,
    ...source === undefined ? {} : { from: { [source.name]: readable(source.definition.options, source.options) } },
    time: Object.fromEntries(Object.entries(time).map(([key, ms]) => [key, span(ms)])),
    dedupe: pipeline.dedupe,
    ...routeOf(pipeline),
    ...Object.keys(branches).length === 0 ? {} : { branches: Object.fromEntries(Object.entries(branches).map(([name, route]) => [name, routeOf(route)])) },
    ...tests.length === 0 ? {} : { tests }
  }
}

/** Which pipeline it is, as it is written: 8 digits of SHA-256 over its form without secrets and tests. */
export const versionOf = (pipeline: Pipeline): string => {
  const { tests: _, ...plain } = plainOf(pipeline)
  return createHash('sha256').update(canonical(plain)).digest('hex').slice(0, 8)
}

const routeOf = ({ steps, alerts, sinks }: Route): Record<string, unknown> => ({
  ...steps.length === 0 ? {} : { pipe: steps.map(step => ({ [step.name]: { ...step.id === step.name ? {} : { id: step.id }, ...readable(step.definition.options, step.options) as object } })) },
  ...alerts.length === 0 ? {} : { alerts: Object.fromEntries(alerts.map(alertOf)) },
  ...sinks.length === 0 ? {} : { to: sinks.map(sinkOf) }
})
const alertOf = ({ name, options, receivers, escalations }: AlertSpec): [string, unknown] => [name, {
  ...options, severity: options.severity ?? 'warning', to: receivers.map(sinkOf), ...escalations === undefined ? {} : { escalate: escalations.map(({ after, receivers }) => ({ after, to: receivers.map(sinkOf) })) }
}]
const sinkOf = ({ name, definition, options }: Route['sinks'][number]) => ({ [name]: readable(definition.options, options) })

/** Checked options as they would be written: spans as text, secrets masked. */
function readable (schema: any, value: unknown, name = ''): unknown {
  if (typeof value === 'number' && isSpan(schema)) return span(value)
  if (typeof value === 'string') return isSecret(name) || schema?.['x-secret'] ? MASK : schema?.['x-secret-path'] ? maskedPath(value) : masked(value)
  if (Array.isArray(value)) return value.map((item, i) => readable(optionAt(schema, [i]), item, name))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, readable(optionAt(schema, [key]), item, `${name}.${key}`)]))
}
const isSpan = (schema: any): boolean => Boolean(schema?.['x-duration'] || schema?.anyOf?.some(isSpan))
