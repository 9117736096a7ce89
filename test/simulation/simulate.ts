import { MillraceError, Transient, type Pipeline } from '#engine'
import { Journal } from '../../engine/journal.ts'
import type { Holder } from '../../engine/lock.ts'
import { Run } from '../../engine/run.ts'
import { checkAll } from './check.ts'
import { Database } from './database.ts'
import { Disk } from './disk.ts'
import { Ledger } from './ledger.ts'
import { Peer, SimulatedListener, type Sent } from './peers.ts'
import { HIGH, MAX, NAME, payloadOf, pipelineOf, TIME } from './pipeline.ts'
import { Process } from './process.ts'
import { MINUTES, type Fault, type Scenario } from './scenario.ts'
import { Follower, Receipts } from './sinks.ts'
import { SimulatedStore, type Omissions, type StoreTemper } from './store.ts'
import { EPOCH, turn, World } from './world.ts'

export interface Result { readonly violation: Error | undefined, readonly hash: string, readonly events: number, readonly seconds: number, readonly counts: Readonly<Record<string, number>>, readonly lines: readonly string[] }

const FOLDER = '/log'
const CALM = 300_000                 // ms in which all must have come to rest after the last fault
const EXPECTED: readonly string[] = ['store/fenced', 'store/unreachable', 'log/locked', 'log/failed', 'log/full']

/** Everything outside the engine, and the processes that run it. */
export class Life {
  readonly world: World
  readonly disk: Disk
  readonly database: Database
  readonly ledger: Ledger
  readonly follower: Follower
  readonly receipts: Receipts
  readonly peers: Peer[]
  readonly sent: Sent[] = []
  readonly scenario: Scenario
  readonly omit: Omissions
  readonly processes: Process[] = []
  calm = false
  private storeDown = 0              // until when
  private damaged = false
  private ending = false             // nobody starts it again
  private count = 0

  constructor (scenario: Scenario, { keep = 0, omit = {} }: { readonly keep?: number, readonly omit?: Omissions } = {}) {
    const world = this.world = new World(scenario.seed, keep)
    this.scenario = scenario
    this.omit = omit
    this.disk = new Disk(world, scenario.disk)
    this.database = new Database(world)
    this.ledger = new Ledger(world, this.disk, () => this.database.needed)
    this.follower = new Follower(world)
    this.receipts = new Receipts(world, this.database)
    this.peers = Array.from({ length: scenario.peers }, (_, i) => new Peer(world, `peer${i}`, { window: scenario.window, ids: scenario.window + 5 }))
  }

  /** Lives it and holds that all is as it must be in the end. */
  async live (): Promise<Result> {
    const { world, scenario } = this
    const unhandled = (error: unknown) => world.violate(error instanceof Error ? error : new Error(String(error)))
    process.on('unhandledRejection', unhandled)
    try {
      this.plan()
      for (const fault of scenario.faults) world.at(fault.at, () => this.strike(fault))
      this.start('a')
      await world.run(MINUTES * 60_000 + 1)
      this.rest()
      await this.settle()
      await world.run(world.now + TIME.forget + 5000)      // silence, so that provisional rows become final
      await this.settle()
      await this.end()
      if (world.violation === undefined) try { checkAll(this) } catch (error) { world.violate(error as Error) }
    } finally {
      for (const p of this.processes) p.kill('the end')
      await turn()
      process.off('unhandledRejection', unhandled)
    }
    return { violation: world.violation, hash: world.hash, events: world.events, seconds: world.now / 1000, counts: world.counts, lines: world.lines }
  }

  private async settle (): Promise<void> {
    const { world } = this
    const rested = await world.run(world.now + CALM, () => this.rested())
    if (world.violation === undefined && !rested) world.violate(`not at rest ${CALM / 1000} s after the last fault: ${this.unrest()}`)
  }

  /** A clean stop: after it nothing is left to be done. */
  private async end (): Promise<void> {
    this.ending = true
    for (const p of this.processes) if (p.alive) p.stop()
    await this.world.run(this.world.now + 60_000, () => this.processes.every(p => !p.alive))
    if (this.world.violation === undefined && this.processes.some(p => p.alive)) this.world.violate('a stop was asked for 60 s ago')
  }

  private rested (): boolean {
    return this.peers.every(p => p.idle) && [...this.database.outbox.values()].every(e => e.state === 'delivered')
      && (this.database.position ?? 0) >= this.ledger.message && this.processes.some(p => p.alive) && !this.processes.some(p => p.alive && p.paused)
  }

  private unrest (): string {
    return `${this.peers.filter(p => !p.idle).length} peers have messages left, ${[...this.database.outbox.values()].filter(e => e.state !== 'delivered').length} alerts wait, position ${this.database.position}, ${this.processes.filter(p => p.alive).map(p => `${p.name}${p.paused ? ' paused' : ''}`).join(' ')} live`
  }

  /** What the devices will say, and when. */
  private plan (): void {
    const { world, scenario: { messages, devices, budget, big, dedupe }, peers } = this
    const highs = Array.from({ length: devices }, () => [world.between(0, MINUTES * 60_000), world.between(0, MINUTES * 60_000)].sort((a, b) => a - b))
    for (let id = 0; id < messages; id++) {
      const device = world.random.below(devices), at = world.between(0, MINUTES * 60_000)
      const readings = Array.from({ length: 1 + world.random.below(3) }, (_, k) => {
        const time = Math.floor(EPOCH + at - k * 100 - (world.chance(0.1) ? world.between(0, 15_000) : world.between(0, 500)) + (world.chance(0.01) ? 120_000 : 0)) + (4 * id + k) / 1024
        const high = at > highs[device][0] && at < highs[device][1]
        const value = world.chance(0.03) ? NaN : world.chance(0.03) ? MAX + 1 : Math.floor(world.between(high ? HIGH - 3 : 20, high ? MAX : HIGH)) + id / 1024
        return [world.pick(['x', 'y']), time, value] as const
      })
      const size = big > 0 && world.chance(big) ? world.random.below(Math.floor(budget / 9)) : 0
      const payload = (world.chance(0.02) ? `?${id}` : payloadOf(dedupe && world.chance(0.1) ? [...readings, readings[0]] : readings)).padEnd(size)
      world.at(at, () => {
        const message: Sent = { id, topic: `d${device}`, payload, acked: false, lost: false, tries: 0 }
        this.sent.push(message)
        peers[device % peers.length].publish(message)
      })
    }
  }

  private strike ({ kind, n }: Fault): void {
    const { world, disk } = this
    const live = this.processes.filter(p => p.alive && !p.paused)
    const someone = live.length === 0 ? undefined : world.pick(live)
    world.note(`fault: ${kind} ${n}`)
    world.count(kind)
    if (kind === 'kill') someone?.kill('killed')
    else if (kind === 'crash at a call') { if (someone !== undefined) someone.fuse = n }
    else if (kind === 'power') {
      for (const p of this.processes) p.kill('power')
      disk.lose()
    } else if (kind === 'pause' && someone !== undefined) {
      someone.pause()
      world.at(n * 600, () => { world.note(`${someone.name} goes on`); someone.resume() })
      world.at(n * 300, () => { if (!this.calm && this.processes.filter(p => p.alive).length < 2 && disk.names.has(`${FOLDER}/log.json`)) this.start(world.pick(['b', 'c'])) })
    } else if (kind === 'freeze' && someone !== undefined) {
      someone.freezes = ['store: begin', 'store: update', 'store: rows', 'store: commit'][n % 4]
      someone.frozen = () => {
        world.at(25_000 + n * 300, () => { world.note(`${someone.name} goes on`); someone.resume() })
        if (!this.calm && this.processes.filter(p => p.alive).length < 2) this.start('b')
      }
    } else if (kind === 'stop') someone?.stop()
    else if (kind === 'cut') world.pick(this.peers).cut()
    else if (kind === 'session') {
      const peer = world.pick(this.peers)
      peer.forgets = { keeps: n > 50 && this.scenario.dedupe }
      peer.cut()
    } else if (kind === 'store down') this.storeDown = world.now + n * 200
    else if (kind === 'disk full') {
      disk.full = true
      world.at(n * 200, () => { disk.full = false })
    } else if (kind === 'sync fails') disk.failing = 1
    else if (kind === 'clock') for (const p of live) p.step += (n - 50) * 2000
    else if (kind === 'follower down') this.whileDown(this.follower, n * 200)
    else if (kind === 'receiver down') this.whileDown(this.receipts, n * 300)
    else if (kind === 'damage' && !this.damaged) {
      for (const p of this.processes) p.kill('killed, and a snapshot damaged')
      this.damaged = this.database.damages = true
    }
  }

  private whileDown (who: { down: boolean }, after: number): void {
    who.down = true
    this.world.at(after, () => { who.down = false })
  }

  /** Nothing more goes wrong. */
  private rest (): void {
    this.world.note('calm')
    this.calm = true
    this.storeDown = 0
    this.disk.full = this.follower.down = this.receipts.down = false
    this.disk.failing = 0
    for (const p of this.processes) { p.fuse = Infinity; p.freezes = '' }
    const [one, ...others] = this.processes.filter(p => p.alive && !p.paused)
    if (one !== undefined) for (const other of others) other.kill('one is enough')
  }

  private temper (): StoreTemper {
    const { store, whole } = this.scenario
    return this.calm ? { slow: Math.min(store.slow, 20), before: 0, unknown: 0, aside: 0, whole } : { ...store, whole }
  }

  start (host: string): void {
    const p = new Process(this.world, { pid: ++this.count, host, skew: host === 'a' ? 0 : this.world.between(-2000, 2000) })
    this.processes.push(p)
    this.world.note(`${p.name} starts`)
    p.died.push(why => {
      if (!this.ending && !(this.calm && this.processes.some(other => other.alive))) this.world.at(this.world.between(200, 3000), () => { if (!this.processes.some(other => other.alive && other.host === host)) this.start(host) })
      if (why.startsWith('kill')) this.world.count('crashes')
    })
    void this.engine(p)
  }

  private async engine (p: Process): Promise<void> {
    const { world, scenario } = this
    const stop = new AbortController()
    let asked = false
    p.stop = () => { asked = true; stop.abort() }
    const pipeline = this.pipeline(p)
    let journal: Journal | undefined, failure: unknown
    try {
      journal = await Journal.open(pipeline.source!, {
        folder: FOLDER, log: p.log, client: 'simulated', pipelines: [NAME], tick: 2000, budget: scenario.budget, keep: scenario.seed % 2 === 0 ? scenario.budget / 4 : 0, clock: p.clock, fs: this.disk.mount(p),
        self: { pid: p.pid, started: undefined, host: p.host, alive: (holder: Holder) => this.processes.some(other => other.alive && other.pid === holder.pid) },
        failed: error => { failure ??= error; stop.abort() }
      }, stop.signal)
      const run = new Run(pipeline, {
        log: p.log, folder: FOLDER, maxSeries: 64, fallback: () => { throw new Error('no store') }, journal, clock: p.clock,
        snapshots: { replay: scenario.replay, slice: scenario.slice, lastSlice: 4 * scenario.slice }
      })
      this.watch(p, run, journal)
      journal.listen()
      await run.run(stop.signal)
    } catch (error) {
      failure ??= error
    }
    try { await journal?.close() } catch (error) { failure ??= error }
    if (!p.alive) return
    const errno = (failure as NodeJS.ErrnoException | undefined)?.code ?? ''
    const expected = failure === undefined ? asked : failure instanceof Transient ? asked : failure instanceof MillraceError && EXPECTED.includes(failure.code) || ['EIO', 'ENOSPC'].includes(errno)
    const { owners } = this.database, overtaken = owners.includes(p.name) && owners.at(-1) !== p.name        // what it says then matters to nobody
    if (!expected && !overtaken) world.violate(failure === undefined ? `${p.name} ends though nobody has asked it to` : new Error(`${p.name} fails: ${(failure as Error).message}`, { cause: failure }))
    if (failure instanceof MillraceError) world.count(failure.code)
    p.kill(failure === undefined ? 'stopped' : `ended by ${(failure as Error).message}`)
  }

  /** Memory is bounded, at every moment. */
  private watch (p: Process, run: Run, journal: Journal): void {
    const { world, scenario } = this
    const look = () => {
      if (!p.alive) return
      world.check(run.credits.delivered <= run.credits.slots, () => `${run.credits.delivered} deliveries are under way, ${run.credits.slots} may be`)
      world.check(run.credits.used <= run.credits.limit, () => `${run.credits.used} bytes are taken in, ${run.credits.limit} may be`)
      world.check(journal.wal.bytes <= scenario.budget + 200, () => `the log has ${journal.wal.bytes} bytes of ${scenario.budget}`)
      world.at(997, look)
    }
    world.at(997, look)
  }

  private pipeline (p: Process): Pipeline {
    const { world, database, scenario, omit } = this
    return pipelineOf({
      listen: host => new SimulatedListener(p, host, this.peers, () => this.ledger.durable),
      store: series => new SimulatedStore(p, database, series, { temper: () => this.temper(), down: () => world.now < this.storeDown, omit }),
      follow: series => this.follower.open(p, series, () => this.calm ? { ...scenario.follower, before: 0, after: 0 } : scenario.follower),
      receive: () => this.receipts.open(p, () => this.calm ? { ...scenario.receiver, before: 0, after: 0 } : scenario.receiver)
    }, scenario.dedupe)
  }
}

export const simulate = (scenario: Scenario, options: { readonly keep?: number, readonly omit?: Omissions } = {}): Promise<Result> => new Life(scenario, options).live()
