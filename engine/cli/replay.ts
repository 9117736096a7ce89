import type { Command } from 'commander'
import { address, egress, networksOf, pairOf, publicUrl, REPLAYED, SERIES, seriesOf, urlOf } from './arguments.ts'
import { describe } from '../api/status.ts'
import type { Parts } from '../components.ts'
import { openLog, type LogOptions } from '../log.ts'
import type { Pipeline, Route } from '../pipeline.ts'
import { load } from './load.ts'
import { streams } from './program.ts'
import { stopSignal, work } from './work.ts'

interface Options {
  readonly data: readonly string[], readonly speed: string, readonly option?: readonly string[], readonly name?: string, readonly send?: boolean, readonly database?: string, readonly folder: string, readonly http: string
  readonly maxSeries: string, readonly json?: boolean, readonly egress?: string, readonly publicUrl?: string, readonly logLevel?: string, readonly logFormat?: LogOptions['format']
}

/**
 * `millrace replay`: a pipeline on files instead of its own source. It runs under a name of its own, so that it neither takes over
 * nor moves the place of the live pipeline; its rows go to the same tables. Alerts are stored and sent to nobody, unless asked for.
 */
export function replay (program: Command, parts: Parts): void {
  program.command('replay')
    .description('run a pipeline on CSV files instead of its own source, to their end')
    .argument('<pipeline>', 'file: .yaml, or .ts/.js with a pipeline as default export')
    .requiredOption('--data <file...>', 'files, folders or patterns')
    .option('--speed <multiple|max>', 'multiple of real time, or as fast as possible', 'max')
    .option(...REPLAYED)
    .option('--name <name>', 'name in the store; given again it goes on after the last committed row (default: a new one)')
    .option('--send', 'send alerts to their receivers')
    .option('--database <url>', 'where postgres sinks go that name no url (or MILLRACE_DATABASE)')
    .option('--folder <folder>', 'where local files are kept', '.millrace')
    .option('--http <address>', 'host:port of /livez, /readyz, /metrics and the status page; "off": none', 'off')
    .option(...SERIES)
    .addOption(egress())
    .addOption(publicUrl())
    .option('--json', 'print the counts as JSON at the end')
    .action(async (file: string, options: Options) => {
      const log = openLog({ level: options.logLevel, format: options.logFormat })
      const stop = stopSignal(log)
      const source = parts.sources.replay({ files: options.data, speed: options.speed === 'max' ? 'max' : Number(options.speed), ...Object.fromEntries((options.option ?? []).map(pairOf)) })
      const [run] = await work([apart(await load(file, parts), options)], {
        parts, log, folder: options.folder, database: options.database ?? process.env.MILLRACE_DATABASE,
        http: options.http === 'off' ? undefined : address(options.http), maxSeries: seriesOf(options.maxSeries), egress: networksOf(options.egress), links: urlOf('--public-url', options.publicUrl), source, signal: stop.signal
      })
      const { received, written, late, dead_lettered } = run.counts['']
      streams(program).out(options.json ? `${JSON.stringify(describe(run))}\n` : `${received} readings: ${written} written, ${late} late, ${dead_lettered} dead letters\n`)
      process.exitCode = stop.code()
    })
}

function apart (pipeline: Pipeline, { name = `${pipeline.name}-replay-${Date.now().toString(36)}`, send = false }: Options): Pipeline {
  const muted = <R extends Route>(route: R): R => send ? route : { ...route, alerts: route.alerts.map(({ name, options }) => ({ name, options, receivers: [] })) }
  return { ...muted(pipeline), name, branches: Object.fromEntries(Object.entries(pipeline.branches).map(([branch, route]) => [branch, muted(route)])) }
}
