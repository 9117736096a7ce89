import type { Command } from 'commander'
import type { Parts } from '../components.ts'
import { openLog } from '../log.ts'
import { describe } from '../api/status.ts'
import { sleep } from '../clock.ts'
import { duration } from '../options.ts'
import { load } from './load.ts'
import { address, seriesOf, stopSignal, work } from './work.ts'

interface Options { readonly database?: string, readonly folder: string, readonly http: string, readonly maxSeries: string, readonly for?: string, readonly json?: boolean, readonly logLevel?: string, readonly logFormat?: 'auto' | 'json' | 'pretty' }

/** `millrace run`: pipelines until they are told to stop. */
export function run (program: Command, parts: Parts): void {
  program.command('run')
    .description('run pipelines until SIGTERM or Ctrl-C, then commit what is under way and stop')
    .argument('<pipeline...>', 'files: .yaml, or .ts/.js with a pipeline as default export')
    .option('--database <url>', 'where postgres sinks go that name no url (or MILLRACE_DATABASE)')
    .option('--folder <folder>', 'where local files are kept', '.millrace')
    .option('--http <address>', 'host:port of /livez, /readyz, /metrics and the status page; "off": none', '127.0.0.1:8080')
    .option('--max-series <n>', 'how many series memory is reserved for', '100000')
    .option('--for <span>', 'stop after this time, such as 20s')
    .option('--json', 'print the counts as JSON when stopped')
    .action(async (files: string[], options: Options) => {
      const log = openLog({ level: options.logLevel, format: options.logFormat })
      const stop = stopSignal(log)
      const enough = new AbortController()
      if (options.for !== undefined) void sleep(duration(options.for), stop.signal).then(() => enough.abort())
      const pipelines = await Promise.all(files.map(file => load(file, parts)))
      const runs = await work(pipelines, {
        parts, log, folder: options.folder, database: options.database ?? process.env.MILLRACE_DATABASE,
        http: options.http === 'off' ? undefined : address(options.http), maxSeries: seriesOf(options.maxSeries), signal: AbortSignal.any([stop.signal, enough.signal]),
        started: (_, url) => { if (url !== undefined) log.info(`status page ${url}/`) }
      })
      if (options.json) for (const run of runs) process.stdout.write(`${JSON.stringify(describe(run))}\n`)
      process.exitCode = stop.code()
    })
}
