/** What people write by hand and what the code says must agree; and what must not stand anywhere. */
import t from 'tap'
import { Command } from 'commander'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as sources from '../connectors/index.ts'
import { commands } from '../engine/cli/index.ts'
import { addCommands } from '../engine/cli/program.ts'
import type { Parts } from '../engine/components.ts'
import * as operators from '../operators/index.ts'
import * as sinks from '../sinks/index.ts'
import { leftOut } from './support/together.ts'

const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' }).split('\0').filter(f => /\.(ts|md|sql|ya?ml|sh|json|conf)$|^\.ci\//.test(f) && f !== 'package-lock.json')

t.test('a component is called like its file', async t => {
  for (const [folder, list] of Object.entries({ connectors: sources, operators, sinks })) {
    for (const [name, { definition }] of Object.entries<{ readonly definition: { readonly name: string } }>({ ...list })) {
      t.equal(definition.name, name)
      t.match(read(`${folder}/index.ts`), `export { ${name} } from './${name}.ts'\n`)
    }
  }
})

t.test('the README names every source, operator, sink and command', async t => {
  const program = addCommands(new Command('millrace'), { sources, operators, sinks } as unknown as Parts, commands)
  const there = { Sources: Object.keys(sources), Operators: Object.keys(operators), Sinks: Object.keys(sinks), Commands: program.commands.map(c => c.name()) }
  for (const [what, names] of Object.entries(there)) {
    const [row] = new RegExp(`^\\| \\[${what}\\].*$`, 'm').exec(read('README.md'))!
    t.strictSame(names.filter(name => !row.includes(`\`${name}\``)), [], what)
  }
})

t.test('the README has a figure for everything it calls measured', async t => {
  const [, table] = /<!-- figures -->\n([\s\S]*?)<!-- \/figures -->/.exec(read('README.md'))!
  const rows = table.trim().split('\n').slice(2).map(row => row.split('|').map(cell => cell.trim()))
  t.ok(rows.length > 0)
  for (const [, what, figure, command] of rows) t.ok(/\d/.test(figure) && command.startsWith('`npm run'), what)
})

t.test('the change log has this version, and says what is in it', async t => {
  const { version } = JSON.parse(read('package.json')) as { version: string }
  t.match(read('CHANGELOG.md'), new RegExp(`^## ${version.replaceAll('.', '\\.')}\\n\\n\\S`, 'm'))
})

t.test('nothing is left for later, skipped or kept alone, and no path of somebody\'s machine is there', async t => {
  const unwanted = new RegExp(['\\bTO' + 'DO\\b', '\\bFIX' + 'ME\\b', '\\.on' + 'ly\\(', 'test\\.sk' + 'ip\\(', '/ho' + 'me/\\w', '/Us' + 'ers/\\w'].join('|'))
  for (const path of tracked) t.equal(unwanted.exec(read(path))?.[0], undefined, path)
})

t.test('each test that .taprc leaves out is run by a file that it does not', async t => {
  const run = tracked.filter(path => /^test\/[\w-]+\.test\.ts$/.test(path)).flatMap(path => Array.from(read(path).matchAll(/^await together\('(.+)'\)$/gm), m => m[1]))
  t.strictSame(leftOut.map(pattern => run.filter(begin => pattern.startsWith(begin)).length), leftOut.map(() => 1), 'each pattern once')
})
