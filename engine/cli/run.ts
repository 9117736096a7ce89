import { Option, type Command } from 'commander'
import { address, bytesOf, countOf, egress, keptOf, LOG_KEEP, networksOf, publicUrl, SERIES, seriesOf, urlOf } from './arguments.ts'
import type { Parts } from '../components.ts'
import { MillraceError } from '../errors.ts'
import { readLimits } from '../limits.ts'
import { openLog } from '../log.ts'
import { describe } from '../api/status.ts'
import { whenDown, type SharedKeysOptions } from '../shared-keys.ts'
import { sleep } from '../clock.ts'
import { duration } from '../options.ts'
import { load } from './load.ts'
import type { TlsFiles } from '../tls.ts'
import { stopSignal, work } from './work.ts'

interface Options { readonly database?: string, readonly folder: string, readonly http: string, readonly tlsCert?: string, readonly tlsKey?: string, readonly openMetrics?: boolean, readonly trustedProxies?: string, readonly maxSeries: string, readonly logBudget: string, readonly logKeep: string, readonly limits?: string, readonly jwt?: string, readonly redis?: string, readonly redisDown: SharedKeysOptions['down'], readonly retain: string, readonly maxPoison: string, readonly acceptLoss?: boolean, readonly for?: string, readonly json?: boolean, readonly egress?: string, readonly hosts?: string, readonly publicUrl?: string, readonly logLevel?: string, readonly logFormat?: 'auto' | 'json' | 'pretty' }

/** `millrace run`: pipelines until they are told to stop. */
export function run (program: Command, parts: Parts): void {
  program.command('run')
    .description('run pipelines until SIGTERM or Ctrl-C, then commit what is under way and stop')
    .argument('[pipeline...]', 'files: .yaml, or .ts/.js with a pipeline as default export; without any, those that are put over HTTP (needs --database)')
    .option('--database <url>', 'where postgres sinks go that name no url (or MILLRACE_DATABASE)')
    .option('--folder <folder>', 'where local files are kept', '.millrace')
    .option('--http <address>', 'host:port of /livez, /readyz, /metrics and the status page; "off": none', '127.0.0.1:8080')
    .option('--tls-cert <file>', 'PEM file of a certificate: HTTP speaks TLS, and may listen on more than loopback')
    .option('--tls-key <file>', 'PEM file of its private key')
    .option('--open-metrics', 'show /metrics, /status, /version and the status page to everybody, also on more than loopback or behind a proxy')
    .option('--no-open-metrics', 'show them to nobody without a key, also on loopback without --trusted-proxies')
    .option('--trusted-proxies <networks>', 'proxies that are believed from which address a request comes, with commas between, such as 127.0.0.1,10.0.0.0/8')
    .option(...SERIES)
    .addOption(egress())
    .addOption(publicUrl())
    .addOption(new Option('--hosts <hosts>', 'what pipelines that are put over HTTP may have their brokers, databases and mail servers on, with commas between: names, *.domain, addresses or networks, each with a port or any, such as mqtt.example.com:8883,10.0.0.0/8').env('MILLRACE_HOSTS'))
    .option('--log-budget <size>', 'how large the write-ahead log of a source may become; then the source is not read any more', '1GiB')
    .option('--log-keep <size>', 'how much of it stays when nobody needs it any more, to trace rows to the messages they are from; at most half of it, and none while the disk is full; 0: none', LOG_KEEP)
    .option('--retain <span>', 'how long the log keeps the place of a pipeline that does not run', '24h')
    .option('--limits <file>', 'how much keys and tenants may have: requests, readings, series, silences and more; YAML')
    .option('--jwt <file>', 'tokens of an issuer that do as well as API keys: who it is, its keys, which claims say tenant and scopes; YAML')
    .addOption(new Option('--redis <url>', 'the Redis in which instances that are fed the same requests share their Idempotency-Keys, such as rediss://user:password@host:6380').env('MILLRACE_REDIS'))
    .addOption(new Option('--redis-down <what>', 'requests with an Idempotency-Key while it cannot be asked: refuse with 503, or take those that this instance alone does not know').choices(whenDown).default('refuse'))
    .option('--max-poison <n>', 'how many readings in a row an operator may throw on before the pipeline stops', '10')
    .option('--accept-loss', 'go on although the log or stream that a pipeline had read is not there any more, or a step is not as it was and what it remembers does not fit')
    .option('--for <span>', 'stop after this time, such as 20s')
    .option('--json', 'print the counts as JSON when stopped')
    .action(async (files: string[], options: Options) => {
      const database = options.database ?? (process.env.MILLRACE_DATABASE || undefined)
      if (files.length === 0 && database === undefined) throw new MillraceError('usage/command', 'run: no pipeline, and no database that has some', { help: 'name a pipeline, or --database with those that were put over HTTP' })
      const log = openLog({ level: options.logLevel, format: options.logFormat })
      const stop = stopSignal(log)
      const enough = new AbortController()
      if (options.for !== undefined) void sleep(duration(options.for), stop.signal).then(() => enough.abort())
      const pipelines = await Promise.all(files.map(file => load(file, parts)))
      const runs = await work(pipelines, {
        parts, log, folder: options.folder, database, changes: true,
        http: options.http === 'off' ? undefined : { ...address(options.http), tls: tlsOf(options), proxies: networksOf(options.trustedProxies, '--trusted-proxies'), ...options.openMetrics === undefined ? {} : { closed: !options.openMetrics } }, maxSeries: seriesOf(options.maxSeries), ...options.jwt === undefined ? {} : { tokens: (await import('../token.ts')).readTokens(options.jwt, { log, get: url => parts.getJson(url, networksOf(options.egress)) }) }, ...options.limits === undefined ? {} : { limits: readLimits(options.limits) }, ...options.redis === undefined ? {} : { redis: { url: options.redis, down: options.redisDown } }, egress: networksOf(options.egress), hosts: (options.hosts ?? '').split(',').map(h => h.trim()).filter(h => h !== ''), links: urlOf('--public-url', options.publicUrl), logBudget: bytesOf(options.logBudget), logKeep: keptOf(options.logKeep), retain: duration(options.retain), maxPoison: countOf('--max-poison', options.maxPoison), acceptLoss: options.acceptLoss, signal: AbortSignal.any([stop.signal, enough.signal]),
        started: (_, url) => { if (url !== undefined) log.info(`status page ${url}/`) }
      })
      if (options.json) for (const run of runs) process.stdout.write(`${JSON.stringify(describe(run))}\n`)
      process.exitCode = stop.code()
    })
}

function tlsOf ({ tlsCert: cert, tlsKey: key }: Options): TlsFiles | undefined {
  if (cert === undefined && key === undefined) return undefined
  if (cert === undefined || key === undefined) throw new MillraceError('usage/command', `--tls-${cert === undefined ? 'key' : 'cert'} stands alone`, { help: 'give --tls-cert and --tls-key' })
  return { cert, key }
}
