import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import type { Parts } from '../components.ts'
import { MillraceError } from '../errors.ts'
import { packageRoot } from '../version.ts'
import { exit } from './program.ts'

/** `millrace bench`: `npm run bench` of a source checkout. Benchmarks measure a checkout and are not part of the package. */
export function bench (program: Command, _parts: Parts): void {
  program.command('bench')
    .description('run a benchmark of a source checkout; without a name, list them')
    .argument('[name]', 'of the benchmark')
    .option('--json', 'print one JSON object a line')
    .option('--save', 'keep the figures in bench/results/')
    .action(async (name: string | undefined, { json, save }: { json?: boolean, save?: boolean }) => {
      if (!existsSync(join(packageRoot, 'bench', 'main.ts'))) throw new MillraceError('usage/command', 'bench: there are no benchmarks here', { help: 'clone the repository, npm ci, then npm run bench' })
      const args = [...name === undefined ? [] : [name], ...json ? ['--json'] : [], ...save ? ['--save'] : []]
      const child = spawn('npm', ['run', '--silent', 'bench', '--', ...args], { cwd: packageRoot, stdio: 'inherit' })
      exit(await new Promise<number>((resolve, reject) => { child.on('error', reject).on('exit', code => resolve(code ?? 1)) }))
    })
}
