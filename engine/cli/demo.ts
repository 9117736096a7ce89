import { createServer } from 'node:http'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Command } from 'commander'
import { sleep } from '../clock.ts'
import type { Parts } from '../components.ts'
import { MillraceError } from '../errors.ts'
import { openLog, type Logger } from '../log.ts'
import { duration } from '../options.ts'
import type { Run } from '../run.ts'
import { addCounts, noCounts } from '../tally.ts'
import { packageRoot } from '../version.ts'
import { load } from './load.ts'
import { stopSignal, work } from './work.ts'

interface Options { readonly for?: string, readonly json?: boolean, readonly folder: string, readonly httpPort: string, readonly logLevel?: string }

/** `millrace demo`: everything in one process, with nothing installed. What `npm start` runs. */
export function demo (program: Command, parts: Parts): void {
  program.command('demo')
    .description('run the example: embedded broker and database, a simulated plant, alerts to a receiver on this machine')
    .option('--for <span>', 'stop after this time, such as 20s')
    .option('--json', 'print one JSON object at the end')
    .option('--folder <folder>', 'where the database and other files are kept', '.millrace')
    .option('--http-port <port>', 'port of the status page; 0: any free one', '0')
    .action(async (options: Options) => { process.exitCode = await show(options, parts) })
}

async function show (options: Options, parts: Parts): Promise<number> {
  const log = openLog({ level: options.logLevel ?? 'warn' })
  const stop = stopSignal(log)
  const say = (line: string) => { process.stderr.write(`${line}\n`) }
  const unlock = lock(options.folder)
  const database = await parts.openDatabase(join(options.folder, 'postgres'), log)
  const receiver = await openReceiver()
  try {
    process.env.MILLRACE_DEMO_RECEIVER = receiver.url
    const pipeline = await load(join(packageRoot, 'data', 'demo.yaml'), parts)
    const ending = new AbortController()
    let begin!: (run: Run) => void
    const begun = new Promise<Run>(resolve => { begin = resolve })
    const working = work([pipeline], {
      parts, log, folder: options.folder, database: database.url, egress: ['127.0.0.0/8'], http: { host: '127.0.0.1', port: Number(options.httpPort) }, signal: ending.signal, changes: true,
      started ([run], http) {
        say(`status page   ${http}/`)
        say(`metrics       ${http}/metrics`)
        say(`database      ${database.url}${database.takenOver ? '  (was still running: taken over)' : ''}`)
        say(`its files     ${database.folder}`)
        say(`alerts go to  ${receiver.url}`)
        begin(run)
      }
    }).finally(() => ending.abort())
    const limit = options.for === undefined ? Infinity : duration(options.for)
    const run = await Promise.race([begun, working.then(([run]) => run)])
    try {
      await drive(run, { parts, log, say, stop: stop.signal, over: ending.signal, limit, receiver, quiet: options.json === true })
    } finally {
      ending.abort()
      await working
    }
    const summary = summarise(run, receiver)
    process.stdout.write(options.json ? `${JSON.stringify(summary)}\n` : `\n${Object.entries(summary).map(([k, v]) => `${k.padEnd(18)} ${typeof v === 'object' ? `p50 ${v.p50}, p99 ${v.p99}` : v}`).join('\n')}\n`)
  } finally {
    await receiver.close()
    await database.stop()
    unlock()
  }
  return options.for === undefined ? stop.code() : 0
}

/** About 1,000 readings a second of 50 pumps. One overheats after 6 s; later ones go wrong at random, about one every two minutes. */
const plant = {
  tenant: 'plant',
  prefix: 'pump',
  devices: 50,
  rate: 1000,
  seed: 7,
  faults: [{ device: 'pump-7', metric: 'temperature', kind: 'shift', at: '6s', for: '6s', size: 60 }],
  rates: { shift: 60, spike: 30, stuck: 10 }
}

interface Drive { readonly parts: Parts, readonly log: Logger, readonly say: (line: string) => void, readonly stop: AbortSignal, readonly over: AbortSignal, readonly limit: number, readonly receiver: DemoReceiver, readonly quiet: boolean }

/** Publishes to the broker until it is time to stop, showing what happens; then lets what is under way arrive. */
async function drive (run: Run, { parts, log, say, stop, over, limit, receiver, quiet }: Drive): Promise<void> {
  while (run.source?.address?.() === undefined && !stop.aborted && !over.aborted) await sleep(20, stop)
  if (stop.aborted || over.aborted) return
  const broker = run.source!.address!()!
  say(`broker        ${broker}  (publish to <tenant>/<device>/<metric>)`)
  const enough = new AbortController()
  const started = performance.now()
  const fleet = await parts.publishFleet({ ...plant, url: broker, log, signal: enough.signal })
  const tty = process.stderr.isTTY && !quiet
  while (!stop.aborted && !over.aborted && performance.now() - started < limit) {
    await sleep(Math.min(500, Math.max(1, limit - (performance.now() - started))), AbortSignal.any([stop, over]))
    if (tty) process.stderr.write(`\r\x1b[K${progress(run, receiver)}`)
  }
  if (tty) process.stderr.write('\n')
  enough.abort()
  await fleet.done
  for (let i = 0; i < 250 && !over.aborted && (run.inFlight > 0 || receiver.ids.size < run.observed.alerts.firing + run.observed.alerts.resolved); i++) await sleep(20)
}

const progress = (run: Run, receiver: DemoReceiver): string => {
  const c = run.counts['']
  return `${c.written.toLocaleString('en')} readings stored, ${rows(run).toLocaleString('en')} feature rows, ${receiver.ids.size} alerts delivered, publish to row p50 ${ms(run, 50)} ms p99 ${ms(run, 99)} ms`
}
const ms = (run: Run, percentile: number): number => Math.round(run.observed.latency.ever(percentile) / 100) / 10
const rows = (run: Run): number => Object.values(run.counts).reduce((sum, c) => sum + c.rows, 0)

/** Figures of this run alone, not of those before it on the same database. */
function summarise (run: Run, receiver: DemoReceiver) {
  const before = run.recovered
  const { written, late, filtered, deduplicated, dead_lettered, aggregated, derived } = addCounts({ ...run.counts[''] }, negative(before[''] ?? noCounts()))
  return {
    received: run.received - (before['']?.received ?? 0), written, late, filtered, deduplicated, dead_lettered, in_flight: run.inFlight,
    ...aggregated > 0 ? { aggregated } : {}, ...derived > 0 ? { derived } : {},
    feature_rows: rows(run) - Object.values(before).reduce((sum, c) => sum + c.rows, 0),
    alerts_fired: run.observed.alerts.firing, alerts_delivered: receiver.ids.size,
    publish_to_row_ms: { p50: ms(run, 50), p99: ms(run, 99) }
  }
}
const negative = (counts: ReturnType<typeof noCounts>) => Object.fromEntries(Object.entries(counts).map(([key, n]) => [key, -n])) as unknown as ReturnType<typeof noCounts>

interface DemoReceiver { readonly url: string, readonly ids: Set<string>, close (): Promise<void> }

/** A receiver of alerts as anybody would write one: takes a POST, remembers its id. */
async function openReceiver (): Promise<DemoReceiver> {
  const ids = new Set<string>()
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      ids.add(String(request.headers['webhook-id']))
      response.writeHead(204).end()
    })
  })
  await new Promise<void>((resolve, reject) => { server.on('error', reject).listen(0, '127.0.0.1', resolve) })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/alerts`, ids, close: async () => { server.closeAllConnections(); await new Promise(resolve => server.close(resolve)) } }
}

/** One demo at a time in a folder. A lock left by a killed one is taken over. */
function lock (folder: string): () => void {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'demo.pid')
  let pid: number | undefined
  try { pid = Number(readFileSync(file, 'utf8')) } catch {}
  if (pid !== undefined && pid !== process.pid && alive(pid)) throw new MillraceError('usage/command', `a demo is running in ${folder} already (process ${pid})`, { help: 'stop it first, or use another folder: --folder' })
  writeFileSync(file, String(process.pid))
  return () => rmSync(file, { force: true })
}
const alive = (pid: number): boolean => { try { process.kill(pid, 0); return true } catch { return false } }
