import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { stringify } from 'yaml'
import type { Components } from '../components.ts'
import { MillraceError } from '../errors.ts'
import { normalise } from '../lint.ts'
import type { AlertSpec, Pipeline, Route } from '../pipeline.ts'
import { optionAt, span, suggest } from '../options.ts'
import { named, page } from '../page.ts'
import { jsonSchema } from '../schema.ts'
import { InvalidPipeline, loadPipeline } from './load.ts'
import { exit, streams } from './program.ts'

/** `millrace show`: a pipeline as it runs, the page of a component, or the JSON Schema of pipeline files. */
export function show (program: Command, components: Components): void {
  program.command('show')
    .description('print a pipeline as it runs (defaults filled in, secrets masked), or the page of a component')
    .argument('[what]', 'a pipeline file, or the name of a component')
    .option('--json', 'print as JSON')
    .option('--schema', 'print the JSON Schema of pipeline files, or of the options of a component')
    .action(async (what: string | undefined, { json = false, schema = false }: { json?: boolean, schema?: boolean }) => {
      const { out } = streams(program)
      const print = (value: unknown) => { out(`${JSON.stringify(value, null, 2)}\n`) }
      if (what === undefined) {
        if (!schema) throw new MillraceError('usage/command', 'show: nothing to show', { help: 'name a pipeline file or a component, or ask for --schema' })
        return print(jsonSchema(components))
      }
      const found = named(components, what)
      if (found.length > 0) {
        if (schema) return print(found[0].definition.options)
        if (json) return print(found.map(({ kind, definition: { name, summary, options } }) => ({ kind, name, summary, options })))
        return out(found.map(({ kind, definition }) => page(kind, definition)).join('\n'))
      }
      if (!/\.(ya?ml|[mc]?[jt]s)$/.test(what) && !existsSync(what)) {
        throw new MillraceError('usage/command', `there is no component and no file "${what}"`, { help: suggest(what, Object.values({ ...components.sources, ...components.operators, ...components.sinks }).map(c => c.definition.name)) })
      }
      const { pipeline, findings } = await loadPipeline(what, components)
      if (pipeline === undefined) throw new InvalidPipeline(what, findings)
      const plain = plainOf(normalise(pipeline, components))
      if (json) print(plain)
      else out(stringify(plain, { flowCollectionPadding: true, lineWidth: 120 }))
      exit(0)
    })
}

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

const routeOf = ({ steps, alerts, sinks }: Route): Record<string, unknown> => ({
  ...steps.length === 0 ? {} : { pipe: steps.map(step => ({ [step.name]: { ...step.id === step.name ? {} : { id: step.id }, ...readable(step.definition.options, step.options) as object } })) },
  ...alerts.length === 0 ? {} : { alerts: Object.fromEntries(alerts.map(alertOf)) },
  ...sinks.length === 0 ? {} : { to: sinks.map(sinkOf) }
})
const alertOf = ({ name, options, receivers }: AlertSpec): [string, unknown] => [name, { ...options, severity: options.severity ?? 'warning', to: receivers.map(sinkOf) }]
const sinkOf = ({ name, definition, options }: Route['sinks'][number]) => ({ [name]: readable(definition.options, options) })

const SECRET = /password|passphrase|secret|token|authorization|api-?key|private/i
const MASK = '***'

/** Checked options as they would be written: spans as text, secrets masked. */
function readable (schema: any, value: unknown, name = ''): unknown {
  if (typeof value === 'number' && isSpan(schema)) return span(value)
  if (typeof value === 'string') return SECRET.test(name) || schema?.['x-secret'] ? MASK : value.replace(/^(\w[\w+.-]*:\/\/[^/@:]*:)[^/@]*@/, `$1${MASK}@`)
  if (Array.isArray(value)) return value.map((item, i) => readable(optionAt(schema, [i]), item, name))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, readable(optionAt(schema, [key]), item, `${name}.${key}`)]))
}
const isSpan = (schema: any): boolean => Boolean(schema?.['x-duration'] || schema?.anyOf?.some(isSpan))
