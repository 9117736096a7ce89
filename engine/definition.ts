import { stringify } from 'yaml'
import type { Components } from './components.ts'
import { sent } from './environment.ts'
import { MillraceError } from './errors.ts'
import { Flow } from './flow.ts'
import { normalise } from './lint.ts'
import { MASK } from './mask.ts'
import { plainOf } from './pipeline-file.ts'
import type { Pipeline } from './pipeline.ts'
import { partsOf } from './plan.ts'
import { isError } from './report.ts'
import { SeriesTable } from './series.ts'
import type { Compared } from './snapshot.ts'
import { readYaml } from './yaml.ts'

/** A pipeline that was sent, ready to run. Throws the first thing that is wrong with it, and says all. `name`: how it must be called. */
export function readDefinition (text: string, components: Components, name?: string): Pipeline {
  const { pipeline, findings } = readYaml(text, components, { file: 'pipeline.yaml', environment: sent })
  const errors = findings.filter(isError)
  if (pipeline === undefined) throw new MillraceError(errors[0].code, errors.map(({ message, place }) => place === undefined ? message : `line ${place.line}: ${message}`).join('; '), { help: errors[0].help })
  if (name !== undefined && pipeline.name !== name) throw new MillraceError('api/invalid', `the pipeline is called "${pipeline.name}", and was sent as "${name}"`)
  const hidden = partsOf(pipeline).flatMap(({ name, given }) => masksIn(given, name))[0]
  if (hidden !== undefined) throw new MillraceError('config/invalid', `${hidden} has ${MASK} in it, which stands for a secret that was not shown`, { help: 'write the secret itself' })
  return normalise(pipeline, components)
}

function masksIn (value: unknown, name: string): string[] {
  if (typeof value === 'string') return value.includes(MASK) ? [name] : []
  return value === null || typeof value !== 'object' ? [] : Object.entries(value).flatMap(([key, inner]) => masksIn(inner, `${name}.${key}`))
}

/** What would become of what `before` remembers if `next` went on from it. */
export const compareMemory = (next: Pipeline, before: Pipeline): Compared => new Flow(next, new SeriesTable(1)).snapshots.compare(new Flow(before, new SeriesTable(1)).snapshots.layout)

/** As a file, with all that is said by default, and secrets masked. */
export const yamlOf = (pipeline: Pipeline): string => stringify(plainOf(pipeline), { flowCollectionPadding: true, lineWidth: 120 })
