import fc from 'fast-check'
import t from 'tap'
import { find } from './simulation/find.ts'
import { plants } from './simulation/plants.ts'
import { scenarioOf, scenarios } from './simulation/scenario.ts'
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

void t.test('planted bugs are found', { timeout: 400_000 }, async t => {
  for (const plant of plants.filter(p => p.quick)) {
    const found = await find(plant, 60)
    t.ok(found, plant.name)
    t.comment(`${plant.name}: after ${found?.seeds} seeds: ${found?.why.slice(0, 120)}`)
  }
  t.ok(plants.filter(p => p.quick).length >= 8)
})

void t.test('through any faults every acknowledged message has one fate, and all that was worked out is right', { timeout: 500_000 }, async t => {
  const seen: Record<string, number> = {}
  let seeds = 0, seconds = 0
  const began = process.cpuUsage()
  // each run is one scenario that fast-check draws; what fails it makes smaller, and prints with its seed
  await fc.assert(fc.asyncProperty(scenarios, async scenario => {
    const { violation, hash, counts, seconds: lived } = await simulate(scenario)
    seeds++
    seconds += lived
    for (const [what, n] of Object.entries(counts)) seen[what] = (seen[what] ?? 0) + n
    if (violation === undefined) return
    const again = await simulate(scenario)
    throw new Error(`${violation.message} (${again.hash === hash ? 'the same when played again' : 'NOT the same when played again'})`, { cause: violation })
  }), { numRuns: SEEDS, seed: Number(process.env.SIMULATION_SEED ?? 1), interruptAfterTimeLimit: 450_000, markInterruptAsFailure: true })
  t.equal(seeds, SEEDS, 'all of them')
  const { user, system } = process.cpuUsage(began)
  t.comment(`${seeds} seeds, ${Math.round(seconds)} simulated seconds, ${Math.round(seconds / ((user + system) / 1e6))} of them per second of CPU: ${JSON.stringify(seen)}`)
  for (const what of ['commits', 'commits unknown', 'crashes', 'crash at a call', 'power', 'freeze', 'sync fails', 'disk full', 'sent again', 'sessions lost', 'segments dropped', 'snapshots', 'alerts sent again', 'store/fenced']) t.ok(seen[what] > 0, `seen: ${what}`)
})
