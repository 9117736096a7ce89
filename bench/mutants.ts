/**
 * npm run mutants [-- --only name] [--json] [--save]: bugs planted in the safety code, one at a time, in a copy of the sources, and what
 * catches each: seeds of the simulation until the first violation (row X1), or a test that fails. Ends with 1 when one is not caught.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { keep } from './keep.ts'
import { mutants, type Mutant } from './mutants/list.ts'

const SEEDS = 200, CHUNK = 10        // of the simulation, at the most and at once
const WITHIN = 300_000               // ms for a test
const SOURCES = ['engine', 'connectors', 'operators', 'models', 'sinks', 'migrations', 'data', 'test', 'index.ts', 'package.json', 'tsconfig.json']

const { values: { only, json, save } } = parseArgs({ options: { only: { type: 'string' }, json: { type: 'boolean', default: false }, save: { type: 'boolean', default: false } } })
const root = fileURLToPath(new URL('..', import.meta.url)), copy = mkdtempSync(join(tmpdir(), 'millrace-mutants-'))
const lines: object[] = []
process.on('exit', () => rmSync(copy, { recursive: true, force: true }))
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))

const chosen = mutants.filter(m => only === undefined || m.name.includes(only))
fresh()
for (const by of new Set(chosen.map(m => m.by))) if ((by === 'X1' ? simulate(1) : run(by)) !== undefined) throw new Error(`${by} fails without a bug`)
for (const mutant of chosen) {
  fresh()
  plant(mutant)
  const found = mutant.by === 'X1' ? simulate() : run(mutant.by)
  const line = { mutant: mutant.name, row: mutant.row, caught: found !== undefined, ...mutant.by === 'X1' ? { seeds: found ?? SEEDS } : { test: mutant.by, runs: 1 } }
  lines.push(line)
  process.stdout.write(json ? `${JSON.stringify(line)}\n` : `${found === undefined ? 'NOT CAUGHT' : 'caught    '}  ${mutant.row.padEnd(5)} ${mutant.name}${mutant.by === 'X1' ? `, after ${found ?? SEEDS} seeds` : `, by ${mutant.by}`}\n`)
  if (found === undefined) process.exitCode = 1
}
if (save) keep('mutants', lines)

function fresh (): void {
  for (const name of SOURCES) if (existsSync(join(root, name))) cpSync(join(root, name), join(copy, name), { recursive: true, force: true })
}

/** Writes the bug into the copy. Throws when the line that it is in is not there any more. */
function plant ({ name, file, find, replace }: Mutant): void {
  const path = join(copy, file), text = readFileSync(path, 'utf8')
  if (text.split(find).length !== 2) throw new Error(`${name}: ${file} has ${text.split(find).length - 1} times: ${find}`)
  writeFileSync(path, text.replace(find, () => replace))
}

/** Seeds until the first violation. */
function simulate (seeds = SEEDS): number | undefined {
  for (let from = 1; from <= seeds; from += CHUNK) {
    const { status, stdout } = spawnSync(process.execPath, ['--import', 'tsx', 'test/simulation/main.ts', '--from', String(from), '--seeds', String(CHUNK)], { cwd: copy, encoding: 'utf8', timeout: WITHIN })
    if (status !== 0) return Number(/^seed (\d+):/m.exec(stdout)?.[1] ?? from)
  }
  return undefined
}

function run (test: string): 1 | undefined {
  const { status } = spawnSync(process.execPath, ['--import', 'tsx', test], { cwd: copy, encoding: 'utf8', timeout: WITHIN })
  return status === 0 ? undefined : 1
}
