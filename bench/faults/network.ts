/** The network between the engine and its database and broker. */
import { setTimeout as sleep } from 'node:timers/promises'
import { uniform } from '../kill/readings.ts'
import { Stage, type Outcome, type Setting } from '../kill/stage.ts'
import { until } from '../services.ts'
import { UNKNOWN } from './database.ts'
import { figuresOf } from './kills.ts'
import { FaultProxy } from './proxy.ts'
import { exact, once, percentiles, unless, type Bench, type Report, type Row } from './row.ts'

const WATCH = { statementTimeout: '5s', keepalive: '5s', connectTimeout: '5s' } as const

export interface Between { readonly stage: Stage, readonly broker: FaultProxy, readonly database: FaultProxy }

/** A stage whose engine reaches its broker and its database through proxies, at a host of this name, and is quick to notice that one is gone. */
export async function between ({ seed, say, signal, closing, server }: Bench, { host = '127.0.0.1', ...setting }: Partial<Setting> & { readonly host?: string } = {}): Promise<Between> {
  let broker!: FaultProxy, database!: FaultProxy, n = 0
  const stage = await Stage.open({
    source: 'mqtt', seed, series: 64, rate: 400, server: await server(), ...setting,
    reach: async direct => {
      const url = new URL(direct.database), random = () => uniform(seed, n++, 99)
      broker = await FaultProxy.open(direct.broker, random)
      database = await FaultProxy.open(Number(url.port), random)
      closing.push(() => broker.close(), () => database.close())
      url.host = `${host}:${database.port}`
      return { broker: broker.port, database: url.href }
    },
    change: pipeline => JSON.parse(JSON.stringify(watched(pipeline)).replaceAll('://127.0.0.1', `://${host}`))
  }, say, signal, closing)
  return { stage, broker, database }
}

function watched (pipeline: any): unknown {
  const { statementTimeout, ...source } = WATCH
  const sinks = (to: any[]) => to.map(sink => sink.postgres === undefined ? sink : { postgres: { ...sink.postgres, statementTimeout } })
  return {
    ...pipeline, to: sinks(pipeline.to), from: pipeline.from.mqtt === undefined ? pipeline.from : { mqtt: { ...pipeline.from.mqtt, ...source } },
    branches: { windows: { ...pipeline.branches.windows, to: sinks(pipeline.branches.windows.to) } }
  }
}

const DETECTED = 15_000, LONG = 115_000        // ms

/** Nothing comes through any more, and nobody says so: once to the database, once to the broker, in turn. */
async function hole (bench: Bench): Promise<Report> {
  const { rounds, progress, seed, stretch, signal } = bench
  const { stage, broker, database } = await between(bench), detected: number[] = []
  const life = await stage.begin()
  for (let k = 0; k < rounds; k++) {
    progress(`round ${k + 1} of ${rounds}`)
    await stage.progress()
    const [proxy, said] = k % 2 === 0 ? [database, 'store failed, trying again'] as const : [broker, 'not connected to the broker, trying again'] as const
    const before = life.times(said), began = performance.now()
    proxy.up = proxy.down = { timeout: 0 }
    await until(`the engine says "${said}"`, () => { signal.throwIfAborted(); return life.times(said) > before }, 60_000, 10)
    detected.push(performance.now() - began)
    await sleep(rounds >= 6 && k >= rounds - 2 ? LONG : 5000 * uniform(seed, k, 1), undefined, { signal })      // the last on either connection
    proxy.heal()
    await stage.progress()
  }
  const outcome = await stage.finish(), slowest = Math.max(...detected)
  return {
    figures: { holes: rounds, detected_ms: percentiles(detected), ...figuresOf(outcome) },
    wrong: [...exact(outcome), ...unless(slowest <= DETECTED * stretch, `noticed only after ${Math.round(slowest)} ms`)]
  }
}

/** Slow, late and in pieces, both ways, on both connections. */
async function slow (bench: Bench): Promise<Report> {
  const { rounds, signal } = bench
  const { stage, broker, database } = await between(bench, { series: 32, rate: 100 })
  await stage.begin()
  for (const proxy of [broker, database]) proxy.up = proxy.down = { latency: 200, jitter: 100, slicer: 1024, bandwidth: 64 * 1024 }
  const began = performance.now()
  await sleep(rounds * 1000, undefined, { signal })
  for (let k = 0; k < 3; k++) await stage.progress()
  const outcome = await stage.finish()
  return { figures: { seconds_slow: rounds, messages_s: Math.round(outcome.rows / (performance.now() - began) * 1000), ...figuresOf(outcome) }, wrong: exact(outcome) }
}

const FEW = 12                       // resets of the broker's connection: after each the engine waits longer, up to 30 s, before it dials again

/** Both connections are reset after a random number of bytes, again and again. */
async function reset (bench: Bench): Promise<Report> {
  const { rounds, signal } = bench
  const { stage, broker, database } = await between(bench)
  const life = await stage.begin()
  database.up = { resetPeer: [1000, 2_000_000] }       // rows; now and then a large commit must get through
  broker.down = { resetPeer: [200, 20_000] }           // messages
  const few = Math.min(FEW, Math.ceil(rounds / 5))
  await until(`${rounds} resets`, () => {
    signal.throwIfAborted()
    if (broker.resets >= few) broker.heal()
    return broker.resets >= few && broker.resets + database.resets >= rounds
  }, 1_200_000)
  database.heal()
  const figures = { resets: broker.resets + database.resets, of_broker: broker.resets, of_database: database.resets, commit_unknown: life.times(UNKNOWN) }
  await stage.progress()
  const outcome = await stage.finish()
  return {
    figures: { ...figures, ...figuresOf(outcome) },
    wrong: [...exact(outcome), ...once(outcome), ...unless(figures.of_broker > 0 && figures.of_database > 0, 'one of the two was never reset'), ...unless(outcome.suppressed > 0, 'no redelivery was suppressed: the resets show nothing')]
  }
}

/** What the engine acknowledges never arrives, then the connection is gone; what the database answers, likewise. */
async function deaf (bench: Bench): Promise<Report> {
  const { rounds, progress, seed, signal } = bench
  const { stage, broker, database } = await between(bench)
  const life = await stage.begin()
  for (let k = 0; k < rounds; k++) {
    progress(`round ${k + 1} of ${rounds}`)
    await sleep(300 * uniform(seed, k, 1), undefined, { signal })
    if (k % 2 === 0) broker.up = { timeout: 0 }
    else database.down = { timeout: 0 }
    await sleep(100 + 400 * uniform(seed, k, 2), undefined, { signal })
    for (const proxy of [broker, database]) {
      proxy.heal()
      proxy.cut()
    }
    await stage.progress()
  }
  const outcome: Outcome = await stage.finish(), unknown = life.times(UNKNOWN)
  return { figures: { rounds, commit_unknown: unknown, ...figuresOf(outcome) }, wrong: [...exact(outcome), ...once(outcome), ...unless(outcome.suppressed > 0, 'no redelivery was suppressed: nothing was redelivered')] }
}

export const network: readonly Row[] = [
  {
    id: 'N1', name: 'black hole to the database and to the broker', fault: 'the proxy swallows everything, both ways; the last of each for two minutes', expected: 'noticed within 15 s, connected anew, nothing lost, nothing twice',
    tiers: { nightly: 6, release: 20 },
    run: hole
  },
  {
    id: 'N2', name: 'a slow network', fault: '200 +- 100 ms, pieces of 1 KB, 64 KB/s, both ways', expected: 'slower, and right',
    tiers: { nightly: 30, release: 120 },
    run: slow
  },
  {
    id: 'N3', name: 'connections that are reset', fault: 'both sides get a reset after a random number of bytes', expected: 'connected anew, nothing lost, nothing twice',
    tiers: { commit: 12, nightly: 500, release: 500 },
    run: reset
  },
  {
    id: 'N4', name: 'acknowledgements that never arrive', fault: 'one direction is swallowed, then the connection is gone', expected: 'what is redelivered has no second effect',
    tiers: { commit: 6, nightly: 60, release: 200 },
    run: deaf
  }
]
