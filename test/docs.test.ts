/**
 * Every example of the documentation is executed, or checked as far as it can be; every link and every name in it leads
 * somewhere. The page on adding an operator has a test of its own: docs/guide.test.ts.
 */
import t from 'tap'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Command } from 'commander'
import { tmpdir } from 'node:os'
import { dirname, join, normalize } from 'node:path'
import pg from 'pg'
import { parse, stringify } from 'yaml'
import * as sources from '../connectors/index.ts'
import { commands } from '../engine/cli/index.ts'
import { addCommands } from '../engine/cli/program.ts'
import type { Parts } from '../engine/components.ts'
import { errors } from '../engine/errors.ts'
import { Limits } from '../engine/limits.ts'
import { normalise } from '../engine/lint.ts'
import { isError } from '../engine/report.ts'
import { runTests } from '../engine/trial.ts'
import { readYaml } from '../engine/yaml.ts'
import * as operators from '../operators/index.ts'
import * as sinks from '../sinks/index.ts'
import { migrate } from '../sinks/postgres-migrate.ts'
import { ROLE } from '../sinks/postgres-wall.ts'
import { codec } from './support/decode.ts'
import { at, blocksOf, commandsOf, GUIDE, matches, pages, Place, proseOf, read, root, type Block } from './support/docs.ts'
import { mosquitto, noMosquitto } from './support/mosquitto.ts'
import { freshDatabase, quiet } from './support/postgres.ts'

const components = { sources, operators, sinks }
const executed = pages.filter(p => p === 'README.md' || /^docs\/(tutorial|how-to|explain)\//.test(p))
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
const program = addCommands(new Command('millrace'), components as unknown as Parts, commands)

t.test('the blocks that cannot be run are few', async t => {
  const kept = executed.flatMap(blocksOf).filter(b => b.words.includes('no-run'))
  t.ok(kept.length <= 2, kept.map(at).join(', '))
})

t.test('a command in a page is one that there is, with flags that it has', async t => {
  for (const page of pages) {
    for (const block of blocksOf(page).filter(b => b.lang === 'sh')) for (const words of commandsOf(block.text)) t.equal(faultOf(words), undefined, `${at(block)}: ${words.join(' ')}`)
    for (const [, code] of proseOf(page).matchAll(/`((?:npm|millrace) [^`]+)`/g)) for (const words of commandsOf(code)) t.equal(faultOf(words), undefined, `${page}: ${code}`)
  }
})

t.test('a link leads somewhere', async t => {
  for (const page of pages.filter(p => !p.startsWith('docs/reference/notes/'))) {
    for (const [, link] of proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link)) continue
      const [path, heading] = link.split('#')
      const target = path === '' ? page : normalize(join(dirname(page), path))
      t.ok(existsSync(join(root, target)), `${page}: ${link}`)
      if (heading !== undefined) t.ok(headingsOf(target).includes(heading), `${page}: ${link}`)
    }
  }
})

t.test('every page can be reached from the README', async t => {
  const reached = new Set<string>()
  const visit = (page: string): void => {
    if (reached.has(page) || !page.endsWith('.md') || !existsSync(join(root, page))) return
    reached.add(page)
    for (const [, link] of proseOf(page).matchAll(/\]\(([^)\s#]+)/g)) if (!/^https?:/.test(link)) visit(normalize(join(dirname(page), link)))
  }
  visit('README.md')
  t.strictSame(pages.filter(p => !reached.has(p) && !p.startsWith('docs/reference/notes/')), [])
})

t.test('files, metrics and error codes that a page names are there', async t => {
  const metrics = read('engine/metrics.ts')
  const made = blocksOf(GUIDE).flatMap(b => b.values.file ?? [])
  for (const page of pages) {
    for (const [, code] of proseOf(page).matchAll(/`([^`\s]+)`/g)) {
      if (code.includes('NNN')) continue
      if (/^(engine|connectors|operators|models|sinks|test|bench|migrations|\.ci)\/[\w./-]+\.\w+$/.test(code)) t.ok(existsSync(join(root, code)) || made.includes(code), `${page}: ${code}`)
      else if (/^(config|usage|source|store|engine)\/[a-z-]+$/.test(code)) t.ok(code in errors, `${page}: ${code}`)
    }
    for (const [name] of read(page).matchAll(/\bmillrace_[a-z_]+\b/g)) t.ok(metrics.includes(`'${name}'`) || name === ROLE, `${page}: ${name}`)
  }
})

t.test('the TypeScript of the pages has the right types', async t => {
  const folder = t.testdir()
  for (const block of executed.filter(p => p !== GUIDE).flatMap(blocksOf).filter(b => b.lang === 'ts')) writeFileSync(join(folder, `${at(block).replaceAll(/\W/g, '-')}.ts`), `${block.text}\n`)
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ extends: join(root, 'tsconfig.json'), compilerOptions: { paths: { millrace: [join(root, 'index.ts')] } }, include: ['*.ts'] }))
  t.equal(await tsc(folder), '')
})

type Test = Pick<typeof t, 'ok' | 'equal' | 'strictSame' | 'fail' | 'comment' | 'teardown'>
type Check = (t: Test, block: Block, open: () => Promise<Place>) => Promise<string | undefined>

/** What becomes of a block, by its language: its output, when it has one. */
const check: Record<string, Check> = {
  async sh (t, block, open) {
    if (commandsOf(block.text).some(words => !isRun(words))) return undefined
    const place = await open()
    if (block.words.includes('background')) {
      const stopped = await place.stop()
      if (stopped !== undefined) t.equal(stopped.code, 130, stopped.out)
      await place.background(block.text)
      return undefined
    }
    const { code, out } = await place.run(block.text)
    t.equal(code, Number(block.values.exit ?? 0), `${at(block)}\n${out}`)
    return out
  },

  async yaml (t, block) {
    const given = parse(block.text) as Record<string, unknown>
    if (block.words.includes('jwt')) return undefined          // the command that names the file reads it
    if (block.words.includes('limits')) {
      t.ok(new Limits(given, at(block)).process.pipelines > 0, at(block))
      return undefined
    }
    const text = given.name === undefined ? stringify({ name: 'example', from: 'simulator', to: ['stdout'], ...given }) : block.text
    const { pipeline, findings } = readYaml(text, components, { file: at(block), environment: { env: {}, unset: 'unset' } })
    const wrong = block.words.includes('wrong') || blocksOf(block.page).some(b => b.lang === 'sh' && b.values.exit === '78' && b.line > block.line && b.line < nextFile(block))
    if (wrong) t.ok(findings.some(isError), `${at(block)} has a mistake`)
    else t.strictSame(findings.map(f => f.message), [], at(block))
    if (pipeline !== undefined) for (const { name, ok, differences } of runTests(normalise(pipeline, components))) t.ok(ok, `${at(block)}: ${name}`, { differences })
    return undefined
  },

  async ts (t, block, open) {
    const place = await open(), name = `block-${block.line}.ts`
    place.write(name, block.text)
    const { code, out } = await (/^export default pipeline/m.test(block.text) ? place.run(`millrace lint ${name}`) : place.node(name))
    t.equal(code, 0, `${at(block)}\n${out}`)
    return out
  },

  async sql (t, block, open) {
    const client = new pg.Client((await open()).env.MILLRACE_DATABASE)
    await client.connect()
    try {
      const { rows, fields } = await client.query(block.text)
      if (block.values.rows !== 'any') t.ok(rows.length > 0, `${at(block)} finds rows`)
      return rows.map(row => String(row[fields[0].name])).join('\n')
    } finally { await client.end() }
  },

  async json (t, block) {
    const { read } = codec()
    for (const payload of JSON.parse(block.text)) {
      const { readings, dead } = read('plant/pump-1', payload)
      t.ok(readings.length > 0 && dead.length === 0, `${at(block)}: ${JSON.stringify(payload)}`)
    }
    return undefined
  },

  async conf (t, block) {
    if (noMosquitto) { t.comment(noMosquitto); return undefined }
    const folder = mkdtempSync(join(tmpdir(), 'millrace-docs-'))
    const config = block.text.split('\n').filter(line => !/^(listener|allow_anonymous) /.test(line)).join('\n').replace('/var/lib/mosquitto/', `${folder}/`)
    const broker = await mosquitto({ config })
    await broker.stop()
    rmSync(folder, { recursive: true })
    return undefined
  },

  csv: async () => undefined
}
const unknown: Check = async (t, block) => { t.fail(`${at(block)}: nothing checks a block of "${block.lang}"`); return undefined }

/** Where the file of a block is written anew. */
function nextFile (block: Block): number { return blocksOf(block.page).find(b => b.line > block.line && b.values.file !== undefined)?.line ?? Infinity }

for (const page of executed.filter(p => p !== GUIDE)) {
  t.test(`${page} does what it says`, async t => {
    const blocks = blocksOf(page)
    let place: Place | undefined
    const open = async () => place ??= await Place.open(t.testdir(), blocks.some(b => b.lang === 'sql') ? await database(t) : undefined)
    let said: string | undefined             // by the block before
    for (const block of blocks) {
      const before = said
      said = undefined
      if (block.words.includes('no-run')) continue
      if (block.lang === 'text') {
        if (block.values.in !== undefined) t.ok(block.text.split('\n').every(line => read(block.values.in).includes(line)), `${at(block)} stands in ${block.values.in}`)
        else if (before === undefined) t.fail(`${at(block)} is the output of nothing`)
        else if (!matches(block.text, before)) t.equal(before, block.text, at(block))
        continue
      }
      if (block.values.file !== undefined) (await open()).write(block.values.file, block.text)
      said = await (check[block.lang] ?? unknown)(t, block, open)
    }
    const stopped = await place?.stop()
    if (stopped !== undefined) t.equal(stopped.code, 130, stopped.out)
  })
}

/** An empty database with the tables that all pipelines share. */
async function database (t: Test): Promise<string> {
  const url = (await freshDatabase(t))!
  await migrate(url, quiet)
  return url
}

/** What is only checked, since it starts or installs everything there is, measures for minutes, or belongs to a shell at a prompt. */
function isRun ([name, ...args]: readonly string[]): boolean { return !(name === 'alias' || (name === 'npm' && !args.includes('millrace'))) }

/** What is wrong with a command, when it is one of ours. */
function faultOf ([name, ...words]: readonly string[]): string | undefined {
  if (name === 'alias') return faultOf(words.join(' ').split('=')[1].split(' '))
  if (name === 'node') { const file = words.find(w => w.endsWith('.ts')); return file === undefined || existsSync(join(root, file)) ? undefined : `there is no ${file}` }
  if (name === 'npm') {
    const [verb, ...rest] = words.filter(w => w !== '--silent')
    const script = verb === 'run' ? rest.shift()! : verb
    if (script === 'ci') return undefined
    if (!Object.hasOwn(scripts, script)) return `there is no script "${script}"`
    const args = rest.slice(rest.indexOf('--') + 1)
    if (script === 'start') return faultOf(['millrace', 'demo', ...args])
    if (script === 'millrace') return args.length === 0 ? undefined : faultOf(['millrace', ...args])
    if (script === 'bench') return args[0] === undefined || existsSync(join(root, 'bench', `${args[0]}.ts`)) ? undefined : `there is no benchmark "${args[0]}"`
    return undefined
  }
  if (name !== 'millrace' || words.length === 0 || words[0].startsWith('-')) return undefined
  let command = program.commands.find(c => c.name() === words[0] || c.aliases().includes(words[0]))
  if (command === undefined) return `there is no command "${words[0]}"`
  if (command.commands.length > 0 && words.length > 1) command = command.commands.find(c => c.name() === words[1])
  if (command === undefined) return `${words[0]} has no command "${words[1]}"`
  const flag = words.slice(1).find(w => w.startsWith('-') && !command.options.some(o => o.short === w || o.long === w.split('=')[0]))
  return flag === undefined ? undefined : `${words[0]} has no ${flag}`
}

/** As GitHub calls them in links. */
function headingsOf (page: string): string[] {
  return Array.from(proseOf(page).matchAll(/^#+ (.*)$/gm), m => m[1].toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, '').trim().replaceAll(' ', '-'))
}

/** What tsc says; nothing when all is well. Without NODE_OPTIONS: see package.test.ts. */
function tsc (folder: string): Promise<string> {
  return new Promise(resolve => {
    execFile('env', ['-u', 'NODE_OPTIONS', join(root, 'node_modules/.bin/tsc'), '-p', folder], (error, stdout, stderr) => resolve(error === null ? '' : stdout + stderr))
  })
}
