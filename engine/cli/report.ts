import { writeFile } from 'node:fs/promises'
import { Option, type Command } from 'commander'
import { fileOf } from './arguments.ts'
import { streams } from './program.ts'
import { ask, remote, type RemoteOptions } from './remote.ts'

interface Options extends RemoteOptions { readonly to?: string, readonly format?: 'json' | 'html', readonly tenant?: string, readonly device?: string, readonly site?: string, readonly table?: string, readonly from?: string, readonly until?: string, readonly every?: string, readonly limit?: string }

/** `millrace report`: how devices did, as JSON or as a page. */
export function report (program: Command): void {
  remote(program.command('report').description('how devices did in a span of time: availability, anomalies, alerts by verdict, data quality'))
    .option('--to <file>', 'a file instead of stdout; .html is a page to print')
    .addOption(new Option('--format <format>', 'instead of what the ending of the file says').choices(['json', 'html']))
    .option('--tenant <name>', 'only of this tenant')
    .option('--device <name>', 'only of this device')
    .option('--site <name>', 'only of this site')
    .option('--table <name>', 'a table of readings; without it the first there is')
    .option('--from <time>', 'from this event time on, ISO 8601; without it a day before --until')
    .option('--until <time>', 'before this event time, ISO 8601; without it now')
    .option('--every <span>', 'length of the parts in which a device is heard or not')
    .option('--limit <n>', 'devices at the most')
    .action(async ({ to, format = to?.endsWith('.html') === true ? 'html' : 'json', tenant, device, site, table, from, until, every, limit, ...options }: Options) => {
      const file = to === undefined ? undefined : fileOf(to)
      const text = await (await ask(options, { path: '/api/v1/reports', query: { format, tenant, device, site, table, from, to: until, every, limit } })).text()
      if (file === undefined) streams(program).out(`${text}\n`)
      else await writeFile(file, text)
    })
}
