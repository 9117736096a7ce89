/**
 * npm run mutants [-- --only name] [--json] [--save]: bugs planted in the safety code, one at a time, in a copy of the sources, and what
 * catches each: seeds of the simulation until the first violation (row X1), or a test that fails, or one that does not end. Ends with 1 when one is not caught.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { keep } from './keep.ts'
import { find } from '../test/simulation/find.ts'
import { plants } from '../test/simulation/plants.ts'
import { mutants, type Mutant } from './mutants/list.ts'

const SEEDS = 400                    // of the simulation, at the most
const LEAST = 60_000, TIMES = 5       // a test that does not end within 60 s, or five times what it takes without a bug, has found one
const MOST = 600_000                 // ms for a test without a bug
const SOURCES = ['engine', 'connectors', 'operators', 'models', 'sinks', 'migrations', 'data', 'test', 'index.ts', 'package.json', 'tsconfig.json']

const { values: { only, json, save } } = parseArgs({ options: { only: { type: 'string' }, json: { type: 'boolean', default: false }, save: { type: 'boolean', default: false } } })
const root = fileURLToPath(new URL('..', import.meta.url)), copy = mkdtempSync(join(tmpdir(), 'millrace-mutants-'))
const lines: object[] = []
process.on('exit', () => rmSync(copy, { recursive: true, force: true }))
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))

const isAsked = ({ name }: { readonly name: string }) => only === undefined || name.includes(only)
for (const plant of plants.filter(isAsked)) {
  const found = await find(plant, SEEDS)
  tell({ mutant: plant.name, row: 'X1', caught: found !== undefined, seeds: found?.seeds ?? SEEDS, why: found?.why })
}
const chosen = mutants.filter(isAsked)
fresh()
const within = new Map<string, number>()
for (const by of new Set(chosen.map(m => m.by))) {
  const began = performance.now(), why = failing(by, MOST)
  if (why !== undefined) throw new Error(`${by} fails without a bug: ${why}`)
  within.set(by, Math.max(LEAST, TIMES * (performance.now() - began)))
}
for (const mutant of chosen) {
  fresh()
  plantIn(mutant)
  const why = failing(mutant.by, within.get(mutant.by)!)
  tell({ mutant: mutant.name, row: mutant.row, caught: why !== undefined, runs: 1, why: `${mutant.by}${why === undefined ? '' : `: ${why}`}` })
}
if (save) keep('mutants', 'mutants', lines)

function fresh (): void {
  for (const name of SOURCES) if (existsSync(join(root, name))) cpSync(join(root, name), join(copy, name), { recursive: true, force: true })
}

/** Writes the bug into the copy. Throws when the line that it is in is not there any more. */
function plantIn ({ name, file, find, replace }: Mutant): void {
  const path = join(copy, file), text = readFileSync(path, 'utf8')
  if (text.split(find).length !== 2) throw new Error(`${name}: ${file} has ${text.split(find).length - 1} times: ${find}`)
  writeFileSync(path, text.replace(find, () => replace))
}

/** The first thing that fails, or that the test does not end; undefined when nothing does. Throws when the test cannot begin, such as for a bug that does not parse. */
function failing (test: string, ms: number): string | undefined {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', test], { cwd: copy, encoding: 'utf8', env: { ...process.env, TAP_TIMEOUT: String(2 * MOST / 1000) }, timeout: Math.ceil(ms), killSignal: 'SIGKILL' })
  if (status === 0) return undefined
  if (status === null) return `does not end within ${Math.round(ms / 1000)} s`
  const [, what] = /^\s*not ok \d+ - (.*)$/m.exec(stdout) ?? []
  if (what === undefined) throw new Error(`${test}: ${stderr.slice(-1000)}`)
  return what
}

function tell (line: { readonly mutant: string, readonly row: string, readonly caught: boolean, readonly seeds?: number, readonly runs?: number, readonly why: string | undefined }): void {
  lines.push(line)
  const { mutant, row, caught, seeds, why } = line
  process.stdout.write(json ? `${JSON.stringify(line)}\n` : `${caught ? 'caught    ' : 'NOT CAUGHT'}  ${row.padEnd(5)} ${mutant}${seeds === undefined ? '' : `, after ${seeds} seeds`}: ${why ?? ''}\n`)
  if (!caught) process.exitCode = 1
}
