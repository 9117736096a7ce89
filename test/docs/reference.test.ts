import t from 'tap'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { cases } from '../../bench/cost.ts'
import { costOf, pages } from '../../docs/reference/generate.ts'
import { readYaml } from '../../engine/yaml.ts'
import * as sources from '../../connectors/index.ts'
import * as operators from '../../operators/index.ts'
import * as sinks from '../../sinks/index.ts'

const folder = join(import.meta.dirname, '../../docs/reference')
const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(f => f.isFile()).map(f => join(f.parentPath, f.name).slice(folder.length + 1))

void t.test('the reference pages are what the generator makes of the declarations (node --import tsx docs/reference/generate.ts)', async t => {
  const made = pages()
  for (const [path, text] of made) t.equal(files.includes(path) ? readFileSync(join(folder, path), 'utf8') : undefined, text, path)
  t.strictSame(files.filter(f => !f.startsWith('notes/') && f !== 'generate.ts' && !made.has(f)), [], 'no page of a component that is gone')
})

void t.test('what every operator costs is measured, and stands on its page', async t => { for (const name of Object.keys(operators)) t.ok(costOf(name) !== undefined && Object.hasOwn(cases, name), `${name}: a line in bench/cost.ts, and npm run bench -- cost --save`) })

void t.test('every operator names its paper, or says that there is none', async t => {
  for (const name of Object.keys(operators)) t.match(readFileSync(join(folder, 'notes', `${name}.md`), 'utf8'), /Papers?: |## Source|There is no paper: /, name)
})

void t.test('every note belongs to a component', async t => {
  const names = [...Object.keys({ ...sources, ...operators, ...sinks, pipeline: 1 }), ...Object.keys(sinks).map(name => `sinks/${name}`)]
  t.strictSame(files.filter(f => f.startsWith('notes/') && !names.includes(f.slice(6, -3))), [])
})

void t.test('every pipeline in the pages is right', async t => {
  const rest = { name: 'example', from: { simulator: {} }, to: ['stdout'] }
  for (const file of files.filter(f => f.endsWith('.md') && !f.startsWith('notes/'))) {
    for (const [, text] of readFileSync(join(folder, file), 'utf8').matchAll(/```yaml\n(.*?)\n```/gs)) {
      const { findings } = readYaml(stringify({ ...rest, ...parse(text) }), { sources, operators, sinks }, { file, environment: { env: {}, unset: 'unset' } })
      t.strictSame(findings.map(f => f.message), [], file)
    }
  }
})
