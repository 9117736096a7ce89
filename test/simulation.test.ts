import { fork } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import type { Explored } from './simulation/explore.ts'
import { find } from './simulation/find.ts'
import { plants } from './simulation/plants.ts'
import { scenarioOf } from './simulation/scenario.ts'
import { simulate } from './simulation/simulate.ts'

const SEEDS = Number(process.env.SIMULATION_SEEDS ?? 1000)

void t.test('a seed that is played again gives the same, event for event', async t => {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    const one = await simulate(scenarioOf(seed)), two = await simulate(scenarioOf(seed), { keep: 10 })
    t.equal(one.hash, two.hash, `seed ${seed}`)
    t.equal(one.events, two.events)
    t.not(one.hash, (await simulate({ ...scenarioOf(seed), seed: scenarioOf(seed).seed + 1 })).hash, 'and another seed gives something else')
  }
})

void t.test('it knows nothing of the time that the machine takes', async t => {
  const { hash } = await simulate(scenarioOf(1))
  let looks = 0
  const ms = () => ++looks * 10_000
  for (const of of [performance, Date]) t.intercept(of, 'now', { value: ms })
  t.intercept(process, 'hrtime', { value: Object.assign(() => [ms() / 1000, 0], { bigint: () => BigInt(ms()) * 1_000_000n }) })
  t.equal((await simulate(scenarioOf(1))).hash, hash, 'ten seconds from each look at a clock to the next')
})

void t.test('planted bugs are found', { timeout: 400_000 }, async t => {
  for (const plant of plants.filter(p => p.quick)) {
    const found = await find(plant, 60)
    t.ok(found, plant.name)
    t.comment(`${plant.name}: after ${found?.seeds} seeds: ${found?.why.slice(0, 120)}`)
  }
  t.ok(plants.filter(p => p.quick).length >= 8)
})

void t.test('through any faults every acknowledged message has one fate, and all that was worked out is right', { timeout: 500_000 }, async t => {
  const lanes = 2, all = await Promise.all(Array.from({ length: lanes }, (_, lane) => explored(t, SEEDS / lanes, Number(process.env.SIMULATION_SEED ?? 1) + lane)))
  for (const { failure } of all) t.equal(failure, undefined)
  const sum = (of: 'seeds' | 'seconds' | 'cpu') => all.reduce((n, one) => n + one[of], 0), seen: Record<string, number> = {}
  for (const one of all) for (const [what, n] of Object.entries(one.seen)) seen[what] = (seen[what] ?? 0) + n
  t.equal(sum('seeds'), SEEDS, 'all of them')
  t.comment(`${SEEDS} seeds, ${Math.round(sum('seconds'))} simulated seconds, ${Math.round(sum('seconds') / sum('cpu'))} of them per second of CPU: ${JSON.stringify(seen)}`)
  for (const what of ['commits', 'commits unknown', 'crashes', 'crash at a call', 'power', 'freeze', 'sync fails', 'disk full', 'sent again', 'sessions lost', 'segments dropped', 'snapshots', 'alerts sent again', 'store/fenced']) t.ok(seen[what] > 0, `seen: ${what}`)
})

/** So many scenarios from this seed on, in a process of its own. */
async function explored (t: Test, seeds: number, seed: number): Promise<Explored> {
  const child = fork(new URL('simulation/explore.ts', import.meta.url), [String(seeds), String(seed)], { execArgv: ['--import=./test/support/typescript.mjs'], env: { ...process.env, NODE_OPTIONS: undefined } })
  t.teardown(() => child.kill())
  const [told] = await Promise.race([once(child, 'message'), once(child, 'exit').then(([code]) => { throw new Error(`ended with ${code}`) })]) as [Explored]
  return told
}
