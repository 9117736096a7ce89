/** The broker: it dies and comes back, with nothing of what it held; and what stands between it and its name. */
import { spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { noMosquitto } from '../../test/support/mosquitto.ts'
import { uniform } from '../kill/readings.ts'
import { Stage } from '../kill/stage.ts'
import { until } from '../services.ts'
import { figuresOf } from './kills.ts'
import { between } from './network.ts'
import { exact, percentiles, Skipped, unless, type Bench, type Report, type Row } from './row.ts'

/**
 * A broker that loses what it held when it dies: what it had acknowledged and not yet delivered is lost with it, and is no
 * loss of the engine's. What the log has is worked out exactly as ever.
 */
async function death ({ rounds, progress, seed, stretch, say, signal, closing, server }: Bench, source: 'mqtt' | 'nats', back: string, within: number): Promise<Report> {
  if (source === 'mqtt' && noMosquitto) throw new Skipped(noMosquitto)
  const stage = await Stage.open({ source, seed, series: 64, rate: 400, server: await server() }, say, signal, closing), { broker } = stage.origin
  const life = await stage.begin(), reconnected: number[] = []
  for (let k = 0; k < rounds; k++) {
    progress(`round ${k + 1} of ${rounds}`)
    await sleep(200 + 500 * uniform(seed, k, 1), undefined, { signal })
    const before = life.times(back)
    await broker!.halt('SIGKILL')
    await sleep(300 * uniform(seed, k, 2), undefined, { signal })
    await broker!.start()
    const began = performance.now()
    await until(`the engine says "${back}"`, () => { signal.throwIfAborted(); return life.times(back) > before }, 60_000, 5)
    reconnected.push(performance.now() - began)
    await stage.progress()
  }
  await sleep(300)                   // the metrics are read every 100 ms
  const { session_lost: sessions = 0 } = life.events
  const outcome = await stage.finish(), { lost, ...engine } = outcome, { p99 } = percentiles(reconnected)
  return {
    figures: { deaths: rounds, ...source === 'mqtt' ? { session_lost: sessions } : {}, reconnect_ms: percentiles(reconnected), ...figuresOf(outcome), lost: 0, lost_by_broker: lost },
    wrong: [...exact({ ...engine, lost: 0 }), ...unless(source === 'nats' || sessions === rounds, `${sessions} lost sessions were counted, not ${rounds}`), ...unless(p99 <= within * stretch, `connected only after ${p99} ms`)]
  }
}

/** Engine, database and broker are stopped for a while, in turn, as a machine does that is short of something; and go on as if nothing had been. */
async function pause (bench: Bench): Promise<Report> {
  const { rounds, progress, seed, signal, closing } = bench
  const { stage } = await between(bench), server = await bench.server()
  const life = await stage.begin(), paused: Record<string, number> = { engine: 0, database: 0, broker: 0 }
  const all = (pids: readonly number[], what: NodeJS.Signals) => { for (const pid of pids) try { process.kill(pid, what) } catch {} }
  for (let k = 0; k < rounds; k++) {
    progress(`round ${k + 1} of ${rounds}`)
    const who = Object.keys(paused)[k % 3], ms = rounds >= 6 && k >= rounds - 3 ? 60_000 : 100 * 100 ** uniform(seed, k)      // the last of each
    const pids = who === 'engine' ? [life.child.pid!] : who === 'database' ? server.pids() : [stage.origin.broker!.pid!]
    closing.push(() => all(pids, 'SIGCONT'))
    all(pids, 'SIGSTOP')
    await sleep(ms, undefined, { signal }).finally(() => all(pids, 'SIGCONT'))
    paused[who] += Math.round(ms)
    await stage.progress()
  }
  const outcome = await stage.finish()
  return { figures: { pauses: rounds, paused_ms: paused, ...figuresOf(outcome) }, wrong: exact(outcome) }
}

const FAILOVER = 5000, DEAD = '127.0.0.9', NAME = 'broker.test'        // ms

/** The name of broker and database has two addresses, of which the first is dead: one where nobody listens, then one that never answers. The name is known to the engine alone. */
async function deadFirst (bench: Bench): Promise<Report> {
  const { rounds, progress, stretch, signal, closing } = bench
  if (spawnSync('unshare', ['--mount', 'true']).status !== 0) throw new Skipped('this user may not have mounts of its own: unshare --mount')
  const { stage, broker, database } = await between(bench, { host: NAME })
  const hosts = join(stage.folder, 'hosts')
  writeFileSync(hosts, `127.0.0.1 localhost\n${DEAD} ${NAME}\n127.0.0.1 ${NAME}\n`)
  const life = await stage.begin({ through: ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"', hosts] })
  const failover: number[] = []
  for (let k = 0; k < rounds; k++) {
    progress(`round ${k + 1} of ${rounds}`)
    if (k === Math.ceil(rounds / 2)) for (const { port } of [broker, database]) closing.push(await mute(port))
    await sleep(500, undefined, { signal })
    const before = life.times('subscribed'), began = performance.now()
    broker.cut()
    database.cut()
    await until('the engine is connected again', () => { signal.throwIfAborted(); return life.times('subscribed') > before }, 60_000, 5)
    await stage.progress()
    failover.push(performance.now() - began)
  }
  const outcome = await stage.finish(), slowest = Math.round(Math.max(...failover))
  return { figures: { rounds, failover_ms: percentiles(failover), ...figuresOf(outcome) }, wrong: [...exact(outcome), ...unless(slowest <= FAILOVER * stretch, `connected again only after ${slowest} ms`)] }
}

/** Nobody answers at this port of the dead address: its backlog is full, and its process is stopped. */
async function mute (port: number): Promise<() => void> {
  const child = spawn(process.execPath, ['-e', `require('net').createServer().listen({ port: ${port}, host: '${DEAD}', backlog: 1 }, () => process.stdout.write('x'))`], { stdio: ['ignore', 'pipe', 'ignore'] })
  await new Promise(resolve => child.stdout.once('data', resolve))
  child.kill('SIGSTOP')
  const fill = Array.from({ length: 4 }, () => connect(port, DEAD).on('error', () => {}))
  await sleep(200)
  return () => {
    for (const socket of fill) socket.destroy()
    child.kill('SIGKILL')
  }
}

export const brokers: readonly Row[] = [
  {
    id: 'K7', name: 'kill -9 of nats-server, core NATS', fault: 'SIGKILL and a new start', expected: 'connected within 2 s; what the log has is exact; what core NATS loses is lost by it',
    tiers: { nightly: 20, release: 100 },
    run: bench => death(bench, 'nats', 'nats: listening again', 2000)
  },
  {
    id: 'K8', name: 'kill -9 of mosquitto', fault: 'SIGKILL and a new start, without its sessions', expected: 'every lost session is counted; what the log has is exact',
    tiers: { nightly: 20, release: 100 },
    run: bench => death(bench, 'mqtt', 'subscribed', 30_000)
  },
  {
    id: 'N5', name: 'engine, database and broker are stopped for a while', fault: 'SIGSTOP for 0.1 to 10 s, in turn, at the end of each for 60 s', expected: 'go on, nothing lost, nothing twice',
    tiers: { nightly: 12, release: 60 },
    run: pause
  },
  {
    id: 'N6', name: 'a name whose first address is dead', fault: 'nobody listens there, then nobody answers there', expected: 'the other address within 5 s',
    tiers: { nightly: 6, release: 20 },
    run: deadFirst
  }
]
