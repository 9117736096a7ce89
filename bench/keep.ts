import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { packageRoot, version } from '../engine/version.ts'

const git = (...args: string[]): string => execFileSync('git', args, { encoding: 'utf8', cwd: packageRoot }).trim()

/** What is measured: the commit, and whether the code that is measured has changed since. */
export const commitOf = (): string => `${git('rev-parse', 'HEAD')}${git('status', '--porcelain', '--', 'engine', 'operators', 'connectors', 'sinks', 'models', 'bench/*.ts') === '' ? '' : ' and changes'}`

/** Keeps the figures with what they were measured on: bench/results/<name>.json. */
export function keep (name: string, benchmark: string, results: readonly unknown[]): void {
  const folder = join(packageRoot, 'bench/results')
  mkdirSync(folder, { recursive: true })
  const machine = { cpu: cpus()[0].model, cores: cpus().length, memory_gib: Math.round(totalmem() / 2 ** 30), platform: `${process.platform} ${process.arch}` }
  const kept = { benchmark, date: new Date().toISOString(), commit: commitOf(), versions: { millrace: version, node: process.version }, machine, results }
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(kept, null, 2)}\n`)
}
