import { stringify } from 'yaml'
import type { Components } from './components.ts'
import type { Environment } from './environment.ts'
import { MillraceError } from './errors.ts'
import { Flow } from './flow.ts'
import { normalise } from './lint.ts'
import { MASK } from './mask.ts'
import { optionAt } from './options.ts'
import { plainOf } from './pipeline-file.ts'
import type { Pipeline } from './pipeline.ts'
import { routesOf } from './plan.ts'
import { isError } from './report.ts'
import { SeriesTable } from './series.ts'
import type { Compared } from './snapshot.ts'
import { readYaml } from './yaml.ts'

const nothing = (): string => { throw Object.assign(new Error(), { code: 'a pipeline that is sent has no files beside it' }) }
/** What a pipeline that is sent sees of the machine: neither its environment nor its files. */
export const sent: Environment = { env: {}, read: nothing }

/** A pipeline that was sent, ready to run. Throws the first thing that is wrong with it, and says all. `name`: how it must be called. */
export function readDefinition (text: string, components: Components, name?: string): Pipeline {
  const { pipeline, findings } = readYaml(text, components, { file: 'pipeline.yaml', environment: sent })
  const errors = findings.filter(isError)
  if (pipeline === undefined) throw new MillraceError(errors[0].code, errors.map(({ message, place }) => place === undefined ? message : `line ${place.line}: ${message}`).join('; '), { help: errors[0].help })
  if (name !== undefined && pipeline.name !== name) throw new MillraceError('api/invalid', `the pipeline is called "${pipeline.name}", and was sent as "${name}"`)
  const file = filesOf(pipeline)[0]
  if (file !== undefined) throw new MillraceError('config/invalid', `${file} names a file of this machine, and a pipeline that is sent cannot`, { help: 'a pipeline with files is given to millrace run' })
  const hidden = partsOf(pipeline).flatMap(({ name, given }) => masksIn(given, name))[0]
  if (hidden !== undefined) throw new MillraceError('config/invalid', `${hidden} has ${MASK} in it, which stands for a secret that was not shown`, { help: 'write the secret itself' })
  return normalise(pipeline, components)
}

const partsOf = (pipeline: Pipeline) => [pipeline.source!, ...routesOf(pipeline).flatMap(([, { steps, sinks, alerts }]) => [...steps, ...sinks, ...alerts.flatMap(a => [...a.receivers, ...(a.escalations ?? []).flatMap(e => e.receivers)])])]

function masksIn (value: unknown, name: string): string[] {
  if (typeof value === 'string') return value.includes(MASK) ? [name] : []
  return value === null || typeof value !== 'object' ? [] : Object.entries(value).flatMap(([key, inner]) => masksIn(inner, `${name}.${key}`))
}

/** Options that name files, such as mqtt.ca. */
function filesOf (pipeline: Pipeline): string[] {
  return partsOf(pipeline).flatMap(({ name, definition, given }) => filesIn(definition.options, given, name))
}

function filesIn (schema: any, value: unknown, name: string): string[] {
  if (isFile(schema) && value !== undefined) return [name]
  if (value === null || typeof value !== 'object') return []
  return Object.entries(value).flatMap(([key, inner]) => filesIn(optionAt(schema, [key]), inner, `${name}.${key}`))
}
const isFile = (schema: any): boolean => Boolean(schema?.['x-file'] || schema?.anyOf?.some((part: any) => isFile(part) || isFile(part.items)))

/** What would become of what `before` remembers if `next` went on from it. */
export const compareMemory = (next: Pipeline, before: Pipeline): Compared => new Flow(next, new SeriesTable(1)).snapshots.compare(new Flow(before, new SeriesTable(1)).snapshots.layout)

/** As a file, with all that is said by default, and secrets masked. */
export const yamlOf = (pipeline: Pipeline): string => stringify(plainOf(pipeline), { flowCollectionPadding: true, lineWidth: 120 })
