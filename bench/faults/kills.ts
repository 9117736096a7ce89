/** The engine is killed: again and again, while it starts and stops, in bursts, when its memory is full. */
import { setTimeout as sleep } from 'node:timers/promises'
import { COMMITS, SEVERAL, soak } from '../kill/soak.ts'
import { uniform } from '../kill/readings.ts'
import { Stage, type Outcome } from '../kill/stage.ts'
import { exact, once, percentiles, unless, type Bench, type Report, type Row } from './row.ts'


/** What rows about kills say. */
export const figuresOf = ({ attempted, acked, unknown, rows, lost, duplicated, phantom, state_mismatches, feature_rows, alerts, commits, repeated, suppressed, ready, recovered }: Outcome) => ({
  attempted, acked, unknown, rows, lost, duplicated, phantom, state_mismatches, feature_rows, alerts, commits, log_repeats: repeated, redeliveries_suppressed: suppressed, ready_ms: percentiles(ready), recovery_ms: percentiles(recovered)
})

async function kill ({ rounds, seed, stretch, say, signal, closing, server }: Bench, source: 'mqtt' | 'broker' | 'http' | 'jetstream', protocol: 4 | 5 = 4): Promise<Report> {
  const outcome = await soak({ source, protocol, kills: rounds, seed, series: 64, rate: source === 'http' ? 500 : 2000, seconds: 0, stretch, server: await server() }, say, signal, closing)
  const commits = Math.round(outcome.commits / rounds * 10) / 10
  return {
    figures: { kills: rounds, ...source === 'mqtt' ? { protocol } : {}, commits_per_kill: commits, ...figuresOf(outcome) },
    wrong: [...exact(outcome), ...source === 'jetstream' ? [] : once(outcome), ...unless(commits >= COMMITS, `only ${commits} commits per kill`), ...unless(source !== 'mqtt' || rounds < SEVERAL || outcome.suppressed > 0, 'no redelivery was suppressed: the kills show nothing')]
  }
}

/** Kills during start-up, recovery and shut-down, in turn: after each of the first two the next start must be a clean one. */
async function edges ({ rounds, progress, seed, say, signal, closing, server }: Bench): Promise<Report> {
  const stage = await Stage.open({ source: 'mqtt', seed, series: 64, rate: 800, server: await server() }, say, signal, closing)
  let life = await stage.begin(), clean = 0
  const usual = await life.ready()
  for (let k = 0; k < rounds; k++) {
    progress(`round ${k + 1} of ${rounds}`)
    await life.destroy()
    const cut = stage.start()
    await sleep(1.2 * usual * uniform(seed, k, 1), undefined, { signal })
    await cut.destroy()
    life = await stage.again()
    clean++
    await stage.progress()
    life.child.kill('SIGTERM')
    await sleep(250 * uniform(seed, k, 2), undefined, { signal })
  }
  await life.destroy()
  await stage.again()
  const outcome = await stage.finish()
  return { figures: { start_kills: rounds, stop_kills: rounds, clean_starts: clean, ...figuresOf(outcome) }, wrong: [...exact(outcome), ...unless(clean === rounds, `${clean} of ${rounds} starts were clean`)] }
}

const CALM = 10_000                  // ms

async function burst ({ rounds, progress, seed, stretch, say, signal, closing, server }: Bench): Promise<Report> {
  const stage = await Stage.open({ source: 'mqtt', seed, series: 64, rate: 800, server: await server() }, say, signal, closing)
  let life = await stage.begin()
  const usual = await life.ready()
  for (let k = 0; k < rounds; k++) {
    progress(`round ${k + 1} of ${rounds}`)
    await life.destroy()
    life = stage.start()
    await sleep(1.5 * usual * uniform(seed, k, 1), undefined, { signal })
  }
  await life.destroy()
  await stage.again()
  const since = stage.lives.at(-1)!.spawned
  await stage.progress()
  const back = performance.now() - since
  const outcome = await stage.finish()
  return { figures: { kills: rounds, back_ms: Math.round(back), ...figuresOf(outcome) }, wrong: [...exact(outcome), ...unless(back <= CALM * stretch, `it worked again only after ${Math.round(back)} ms`)] }
}

export const kills: readonly Row[] = [
  {
    id: 'K1', name: 'kill -9 of the engine, JetStream', fault: 'as K2', expected: 'goes on from the position of the store; nothing lost, nothing twice',
    tiers: { commit: 4, nightly: 20, release: 400 }, alone: true,      // of commits between kills there are few on a machine that is shared: 0.8 of 3 at a load of 15
    run: bench => kill(bench, 'jetstream')
  },
  {
    id: 'K2', name: 'kill -9 of the engine, MQTT client', fault: 'SIGKILL 0.25 to 0.85 s after ready, a few during start-up and shut-down', expected: 'nothing lost, nothing twice; redeliveries are suppressed',
    tiers: { commit: 4, nightly: 20, release: 400 },
    run: bench => kill(bench, 'mqtt', 5)
  },
  {
    id: 'K2v4', name: 'the same over MQTT 3.1.1', fault: 'as K2', expected: 'as K2',
    tiers: { nightly: 20, release: 200 },
    run: bench => kill(bench, 'mqtt', 4)
  },
  {
    id: 'K3', name: 'kill -9 of the engine with its embedded broker', fault: 'as K2, the broker dies with it', expected: 'nothing lost that a device has a PUBACK for, nothing twice',
    tiers: { commit: 3, nightly: 20, release: 200 },
    run: bench => kill(bench, 'broker', 4)
  },
  {
    id: 'K3http', name: 'kill -9 of the engine that readings are posted to', fault: 'as K2', expected: 'nothing lost that was answered 202, nothing twice that was sent again under its Idempotency-Key',
    tiers: { nightly: 20, release: 200 },
    run: bench => kill(bench, 'http')
  },
  {
    id: 'K5', name: 'kill -9 during start-up, recovery and shut-down', fault: 'SIGKILL at any moment of a start, and up to 0.25 s after SIGTERM', expected: 'every start after it is a clean one',
    tiers: { commit: 2, nightly: 20, release: 100 },
    run: edges
  },
  {
    id: 'K6', name: 'a burst of kills, then calm', fault: 'each life is killed before or shortly after it is ready', expected: 'works again within 10 s',
    tiers: { nightly: 20, release: 20 },
    run: burst
  }
]
