import type { Command } from 'commander'
import type { Components } from '../components.ts'
import { MillraceError } from '../errors.ts'
import { normalise } from '../lint.ts'
import { runTests } from '../trial.ts'
import { InvalidPipeline, loadPipeline } from './load.ts'
import { exit, streams } from './program.ts'

/** `millrace test`: the tests that stand in pipelines, in virtual time. */
export function test (program: Command, components: Components): void {
  program.command('test')
    .description('run the tests of pipelines in virtual time: no clock, no database, no network')
    .argument('<pipeline...>', 'pipeline files')
    .option('--json', 'print the results as JSON')
    .action(async (files: string[], { json = false }: { json?: boolean }) => {
      const { out, err, color } = streams(program)
      const paint = (style: string, text: string) => color ? `\x1b[${style}m${text}\x1b[0m` : text
      const results = []
      for (const file of files) {
        const { pipeline, findings } = await loadPipeline(file, components, { env: process.env, unset: 'unset' })
        if (pipeline === undefined) throw new InvalidPipeline(file, findings)
        for (const result of runTests(normalise(pipeline, components))) {
          results.push({ file, ...result })
          if (json) continue
          out(`${result.ok ? paint('32', 'ok    ') : paint('31', 'failed')}  ${file}: ${result.name}\n`)
          for (const { what, lines } of result.differences) {
            out(`          ${what}\n`)
            for (const line of lines) out(`            ${line.startsWith('-') ? paint('31', line) : line.startsWith('+') ? paint('32', line) : line}\n`)
          }
        }
      }
      if (results.length === 0) throw new MillraceError('test/failed', `there are no tests in ${files.join(', ')}`, { help: 'write some under "tests:" of the pipeline' })
      const failed = results.filter(r => !r.ok).length
      if (json) out(`${JSON.stringify(results, null, 2)}\n`)
      else err(`${results.length} tests, ${failed} failed${failed > 0 ? ' (- expected, + what came)' : ''}\n`)
      exit(failed > 0 ? 1 : 0)
    })
}
