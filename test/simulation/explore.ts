/**
 * Arguments SEEDS SEED, by fork(): scenarios that fast-check draws are lived through one by one; what fails one is made smaller and told with its seed.
 * A process of its own because tap follows every promise of the one that its tests run in, which is two fifths of the time here.
 */
import fc from 'fast-check'
import { scenarios } from './scenario.ts'
import { simulate } from './simulate.ts'

/** Simulated seconds, seconds of CPU, and `failure`: what fast-check says of a scenario that broke a promise. */
export interface Explored { readonly seeds: number, readonly seconds: number, readonly cpu: number, readonly seen: Readonly<Record<string, number>>, readonly failure: string | undefined }

const [numRuns, seed] = process.argv.slice(2).map(Number)
const seen: Record<string, number> = {}
let seeds = 0, seconds = 0, failure: string | undefined
try {
  await fc.assert(fc.asyncProperty(scenarios, async scenario => {
    const { violation, hash, counts, seconds: lived } = await simulate(scenario)
    seeds++
    seconds += lived
    for (const [what, n] of Object.entries(counts)) seen[what] = (seen[what] ?? 0) + n
    if (violation === undefined) return
    const again = await simulate(scenario)
    throw new Error(`${violation.message} (${again.hash === hash ? 'the same when played again' : 'NOT the same when played again'})`, { cause: violation })
  }), { numRuns, seed, interruptAfterTimeLimit: 450_000, markInterruptAsFailure: true })
} catch (error) { failure = (error as Error).stack }
process.send!({ seeds, seconds, seen, failure, cpu: (process.cpuUsage().user + process.cpuUsage().system) / 1e6 } satisfies Explored)
