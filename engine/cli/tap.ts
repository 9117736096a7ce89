import { Option, type Command } from 'commander'
import { liveKinds } from '../live.ts'
import { openLog } from '../log.ts'
import { visible } from '../names.ts'
import { duration } from '../options.ts'
import { countOf } from './arguments.ts'
import { streams } from './program.ts'
import { follow, remote, type RemoteOptions } from './remote.ts'
import { stopSignal } from './work.ts'

interface Options extends RemoteOptions { readonly pipeline?: string, readonly tenant?: string, readonly device?: string, readonly metric?: string, readonly kind?: string, readonly count?: string, readonly for?: string, readonly json?: boolean }
type Row = Readonly<Record<string, unknown>>

/** `millrace tap`: what a process commits, as it does. */
export function tap (program: Command): void {
  remote(program.command('tap').description('print rows, alerts or scores of a process that runs, as they are committed'))
    .option('--pipeline <name>', 'only of this pipeline')
    .option('--tenant <name>', 'only of this tenant')
    .option('--device <name>', 'only of this device')
    .option('--metric <name>', 'only of this metric')
    .addOption(new Option('--kind <kind>', 'only these; without it rows and alerts').choices(liveKinds))
    .option('--count <n>', 'stop after so many')
    .option('--for <span>', 'stop after this time, such as 20s')
    .option('--json', 'one JSON object a line')
    .action(async ({ pipeline, tenant, device, metric, kind, count, for: span, json = false, ...options }: Options) => {
      const { out, err } = streams(program), stop = stopSignal(openLog({ level: 'warn' }))
      const signal = span === undefined ? stop.signal : AbortSignal.any([stop.signal, AbortSignal.timeout(duration(span))])
      let left = count === undefined ? Infinity : countOf('--count', count)
      for await (const { event, data } of follow(options, { pipeline, tenant, device, metric, kind }, signal, notice => { err(`${notice}\n`) })) {
        const { rows = [], alerts = [], pipeline, branch, table } = JSON.parse(data) as { rows?: Row[], alerts?: Row[], pipeline: string, branch: string, table: string }
        for (const item of event === 'alerts' ? alerts : rows) {
          if (left-- <= 0) break
          out(json ? `${JSON.stringify(event === 'alerts' ? { ...item, pipeline } : { pipeline, branch, table, ...item })}\n` : event === 'alerts' ? alertLine(item) : line(table, item))
        }
        if (left <= 0) break
      }
      process.exitCode = stop.code()
    })
}

const line = (table: string, { time, tenant, device, metric, value, ...columns }: Row): string =>
  `${String(time)}  ${table}  ${visible(`${String(tenant)}/${String(device)}/${String(metric)}`)}  ${String(value)}${Object.entries(columns).map(([name, x]) => `  ${name} ${shown(x)}`).join('')}\n`
const alertLine = ({ time, severity, state, alert, message }: Row): string => `${String(time)}  ${String(severity)}  ${String(state)}  ${visible(`${String(alert)}: ${String(message)}`)}\n`
const shown = (x: unknown): string => typeof x === 'number' ? String(Number(x.toPrecision(6))) : String(x)
