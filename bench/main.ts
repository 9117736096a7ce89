/** npm run bench -- <name> [--json] [--save]: one benchmark; without a name the list of them. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { packageRoot, version } from '../engine/version.ts'
import { continuousAggregate } from './continuous-aggregate.ts'
import { ingest } from './ingest.ts'
import type { Benchmark } from './measure.ts'
import { operators } from './operators.ts'
import { wal } from './wal.ts'

const benchmarks: Readonly<Record<string, Benchmark>> = { operators, ingest, 'continuous-aggregate': continuousAggregate, wal }

const flags = process.argv.slice(2).filter(a => a.startsWith('--')), [name] = process.argv.slice(2).filter(a => !a.startsWith('--'))
const unknown = flags.find(f => f !== '--json' && f !== '--save')
const benchmark = benchmarks[name]

if (unknown !== undefined || (name !== undefined && benchmark === undefined)) {
  process.stderr.write(`there is no ${unknown ?? `benchmark "${name}"`}; there are: ${Object.keys(benchmarks).join(', ')}, and the flags --json and --save\n`)
  process.exitCode = 2
} else if (benchmark === undefined) {
  for (const [name, { summary }] of Object.entries(benchmarks)) process.stdout.write(`${name.padEnd(22)} ${summary}\n`)
} else {
  const json = flags.includes('--json')
  const results = await benchmark.run(line => { process.stderr.write(`${line}\n`) })
  for (const figures of results) process.stdout.write(json ? `${JSON.stringify({ benchmark: name, ...figures })}\n` : `${Object.entries(figures).map(([key, value]) => `${key.padEnd(32)} ${String(value)}`).join('\n')}\n\n`)
  if (flags.includes('--save')) save(name, results)
}

/** Keeps the figures with what they were measured on: bench/results/<name>.json. */
function save (name: string, results: readonly unknown[]): void {
  const folder = join(packageRoot, 'bench/results')
  mkdirSync(folder, { recursive: true })
  const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8', cwd: packageRoot }).trim()
  const machine = { cpu: cpus()[0].model, cores: cpus().length, memory_gib: Math.round(totalmem() / 2 ** 30), platform: `${process.platform} ${process.arch}` }
  const changed = git('status', '--porcelain', '--', 'engine', 'operators', 'connectors', 'sinks', 'models', 'bench/*.ts') !== ''
  const kept = { date: new Date().toISOString(), commit: `${git('rev-parse', 'HEAD')}${changed ? ' and changes' : ''}`, versions: { millrace: version, node: process.version }, machine, results }
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(kept, null, 2)}\n`)
}
