/** Receivers of alerts that misbehave in every way that one can over HTTP, beside others that do not. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { noCounts, SeriesTable, type AlertEvent, type Store } from '#engine'
import { Dispatcher } from '../../engine/dispatch.ts'
import { postgres } from '../../sinks/postgres.ts'
import { webhook } from '../../sinks/webhook.ts'
import { freshDatabase, until } from '../services.ts'
import { unless, type Bench, type Report } from './row.ts'

const GOOD = ['good-1', 'good-2', 'good-3'], ALERTS = 60, PER_COMMIT = 1, EVERY = 60         // ms between commits
const HANGS = 1000, TIMES_ALONE = 10, SOON = 200      // ms until a send to an ill one is given up; what is still bearable: times p99 of the good ones alone, or ms
const GIGABYTE = 2 ** 30, PIECE = Buffer.alloc(65_536, 46)

type Turn = 'well' | 'ill' | 'alone'
type Answer = (response: ServerResponse, trap: string) => void
const drip = (response: ServerResponse, write: () => void): void => {
  const timer = setInterval(write, 100)
  response.on('close', () => { clearInterval(timer) })
}
function flood (response: ServerResponse, status: number): void {
  response.writeHead(status, { 'content-length': GIGABYTE })
  let sent = 0
  const more = () => { while (!response.destroyed && sent < GIGABYTE) { sent += PIECE.length; if (!response.write(PIECE)) return void response.once('drain', more) } }
  more()
}
const bad: Readonly<Record<string, Answer>> = {
  hang: () => {},
  500: response => { response.writeHead(500).end('no') },
  429: response => { response.writeHead(429, { 'retry-after': '2' }).end() },
  302: (response, trap) => { response.writeHead(302, { location: trap }).end() },
  307: (response, trap) => { response.writeHead(307, { location: trap }).end() },
  flood: response => { flood(response, 500) },
  'flood-200': response => { flood(response, 200) },
  'drip-body': response => { response.writeHead(500); drip(response, () => response.write('.')) },
  'drip-head': response => { drip(response, () => { response.writeProcessing() }) }
}

/** What a receiver has heard: id -> when first, and its body. */
type Heard = Map<string, { readonly at: number, readonly body: string }>

class World {
  readonly heard = new Map<string, Heard>()
  redirected = 0
  repeats = 0
  changed = 0
  ill = false                        // the bad ones are
  private readonly servers: ReturnType<typeof createServer>[] = []
  private trap = ''
  private url = ''

  async open (): Promise<void> {
    this.trap = await this.listen((_, response) => { this.redirected++; response.end() })
    this.url = await this.listen((request, response) => {
      const name = request.url!.slice(1)
      let body = ''
      request.on('data', piece => { body += piece }).on('end', () => {
        this.take(name, String(request.headers['webhook-id']), body)
        if (this.ill && name in bad) bad[name](response, this.trap)
        else response.end()
      })
    })
  }

  target (name: string): string { return `${this.url}/${name}` }

  close (): void { for (const server of this.servers) { server.closeAllConnections(); server.close() } }

  private take (name: string, id: string, body: string): void {
    const heard = this.heard.get(name) ?? new Map() as Heard, before = heard.get(id)
    this.heard.set(name, heard)
    if (before === undefined) heard.set(id, { at: performance.now(), body })
    else {
      this.repeats++
      if (before.body !== body) this.changed++
    }
  }

  private async listen (take: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
    const server = createServer(take)
    this.servers.push(server)
    await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
}

/**
 * What is wrong with how long the good ones wait, p99 in ms. A machine that has other work may `stretch` the ratio to the same receivers
 * when all are well, and nothing else: where that is noise, the two others still tell good ones that wait for ill ones, which hang for HANGS.
 */
export function delayed ({ well, ill, alone }: Readonly<Record<Turn, number>>, stretch: number) {
  const [ratio, ratioAlone] = [well, alone].map(of => Math.round(ill / of * 100) / 100)
  return {
    figures: { ratio, ratio_alone: ratioAlone },
    wrong: [
      ...unless(ratio <= 1.2 * stretch, `the good ones wait ${ratio} times as long beside the ill ones`), ...unless(ill < HANGS, `the good ones wait ${ill} ms beside the ill ones, as long as one of those hangs`),
      ...unless(ratioAlone <= TIMES_ALONE || ill <= SOON, `the good ones wait ${ratioAlone} times as long as alone`)
    ]
  }
}

/**
 * The same alerts go to receivers of which some are ill, to the same when all are well, and to the good ones alone, in turns: how long the
 * good ones wait is compared. Those that are ill are given much less than when they are well, so the good ones alone are compared too. Then the ill ones recover, the clock of the dispatcher is turned on, and everything must have arrived everywhere, under its own id.
 */
export async function isolated ({ rounds, stretch, seed, say, signal, closing, server }: Bench): Promise<Report> {
  const database = await freshDatabase((await server()).url), world = new World()
  closing.push(() => database.stop(), () => { world.close() })
  await world.open()
  const names = [...GOOD, ...Object.keys(bad)], waits: Record<Turn, number[]> = { well: [], ill: [], alone: [] }
  let expected = 0
  await turn('warm', 'well')
  const order: readonly Turn[] = ['well', 'ill', 'alone']
  for (let k = 0; k < rounds; k++) for (const kind of k % 2 === 0 ? order : order.toReversed()) waits[kind].push(...await turn(`p${k}`, kind))
  const [well, ill, alone] = order.map(kind => p99Of(waits[kind])), delay = delayed({ well, ill, alone }, stretch)
  const missing = expected - [...world.heard.values()].reduce((n, heard) => n + heard.size, 0)
  return {
    figures: { rounds, receivers: names.length, expected, missing, repeats: world.repeats, repeats_changed: world.changed, redirects_followed: world.redirected, well_p99_ms: well, alone_p99_ms: alone, ill_p99_ms: ill, ...delay.figures },
    wrong: [
      ...delay.wrong, ...unless(missing === 0, `${missing} alerts have not arrived`), ...unless(world.redirected === 0, `${world.redirected} redirects were followed`),
      ...unless(world.changed === 0, `${world.changed} repeats with another body`), ...unless(world.repeats > 0, 'nothing was repeated: the ill ones were not ill')
    ]
  }

  /** One pipeline's alerts, a few at a time. Returns how long each took to each of the good receivers, in ms. */
  async function turn (name: string, kind: Turn): Promise<number[]> {
    const to = kind === 'alone' ? GOOD : names, pipeline = `${name}-${kind}-${seed}`, log = pino({ level: 'silent' })
    const host = { pipeline, series: new SeriesTable(10), log, database: undefined, folder: '.', egress: ['127.0.0.0/8'] }
    const store = postgres.definition.store!([postgres({ table: 'readings', url: database.url }).options as never], { pipeline, tables: [] }, host)
    const { epoch, version } = await store.open(signal)
    const receivers = new Map(names.map(name => [name, webhook.definition.receive!(webhook({ url: world.target(name), timeout: `${HANGS}ms` }).options as never, host)]))
    let shift = 0
    const dispatcher = new Dispatcher({ store, receivers, log, now: () => Date.now() + shift })
    world.ill = kind === 'ill'
    dispatcher.start()
    const committed = new Map<string, number>()
    for (let k = 0; k < ALERTS; k += PER_COMMIT) {
      const events = Array.from({ length: PER_COMMIT }, (_, i) => eventOf(pipeline, k + i))
      await commit(store, events, to, { epoch, version: version + k / PER_COMMIT })
      for (const { id } of events) committed.set(id, performance.now())
      dispatcher.wake()
      await new Promise(resolve => { setTimeout(resolve, EVERY) })
    }
    expected += ALERTS * to.length
    const arrived = (of: readonly string[]) => of.every(name => [...committed.keys()].every(id => world.heard.get(name)?.has(id) === true))
    await until('the good ones have everything', async () => { signal.throwIfAborted(); return arrived(GOOD) }, 60_000, 5)
    world.ill = false
    await until('everybody has everything', async () => { signal.throwIfAborted(); shift += 120_000; dispatcher.wake(); return arrived(to) && dispatcher.counts.delivered === ALERTS * to.length }, 60_000, 50)
    await dispatcher.stop()
    await store.close()
    say(`${pipeline}: ${world.repeats} repeats so far`)
    return [...committed].flatMap(([id, at]) => GOOD.map(name => world.heard.get(name)!.get(id)!.at - at))
  }

  async function commit (store: Store, events: readonly AlertEvent[], receivers: readonly string[], { epoch, version }: { readonly epoch: number, readonly version: number }): Promise<void> {
    await store.commit({
      writes: [], late: [], deadLetters: [], partitions: [0], marks: [], position: version + 1, ingest: Date.now(), epoch, version,
      alerts: events.map(event => ({ event, receivers })), counts: () => ({ '': noCounts() })
    })
  }
}

const p99Of = (ms: readonly number[]): number => Math.round(ms.toSorted((a, b) => a - b)[Math.ceil(0.99 * ms.length) - 1] * 10) / 10

const eventOf = (pipeline: string, k: number): AlertEvent => ({
  id: `${pipeline}-${k}.firing`, incident: `${pipeline}-${k}`, state: 'firing', tenant: 'acme', pipeline, alert: 'hot', severity: 'warning', device: `pump-${k}`, metric: 'temp',
  since: k, time: k, value: k, evidence: {}, message: 'hot', position: k
})
