import type { Command } from 'commander'
import type { Components } from '../components.ts'
import { exitOf, isError, plainFinding, report, sorted, type Finding } from '../report.ts'
import { loadPipeline } from './load.ts'
import { exit, streams } from './program.ts'

interface Options { readonly denyWarnings?: boolean, readonly environment: boolean, readonly json?: boolean }

/** `millrace lint`: everything that is wrong with pipelines, without running them. */
export function lint (program: Command, components: Components): void {
  program.command('lint')
    .alias('validate')
    .description('check pipelines: every error at once, with file, line and column')
    .argument('<pipeline...>', 'files: .yaml, or .ts/.js with a pipeline as default export')
    .option('--deny-warnings', 'exit with 1 when there are warnings')
    .option('--no-environment', 'do not mind environment variables that are not set')
    .option('--json', 'print the findings as JSON')
    .action(async (files: string[], { denyWarnings = false, environment, json = false }: Options) => {
      const { out, err, color } = streams(program)
      const findings: Finding[] = []
      for (const file of files) {
        const read = await loadPipeline(file, components, { env: process.env, ...environment ? {} : { unset: 'unset' } })
        if (!json) out(report(read.findings, { color }) + (read.findings.length > 0 ? '\n' : ''))
        findings.push(...sorted(read.findings))
      }
      if (json) out(`${JSON.stringify(findings.map(plainFinding), null, 2)}\n`)
      else err(`${count(files.length, 'pipeline')}: ${count(findings.filter(isError).length, 'error')}, ${count(findings.filter(f => !isError(f)).length, 'warning')}\n`)
      exit(exitOf(findings, denyWarnings))
    })
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`
