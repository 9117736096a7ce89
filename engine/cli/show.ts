import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { stringify } from 'yaml'
import type { Components } from '../components.ts'
import { MillraceError } from '../errors.ts'
import { normalise } from '../lint.ts'
import { suggest } from '../options.ts'
import { plainOf } from '../pipeline-file.ts'
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
