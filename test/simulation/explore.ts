/**
 * Arguments SEEDS SEED, by fork(): scenarios that fast-check draws are lived through one by one; what fails one is made smaller and told with its seed.
 * A process of its own, so that there can be as many as cores.
 */
import { inspect } from 'node:util'
import fc from 'fast-check'
import { scenarios } from './scenario.ts'
import { simulate } from './simulate.ts'

/** Simulated seconds, seconds of CPU, and `failure`: the scenario that broke a promise, as small as fast-check makes it, and the promise. */
export interface Explored { readonly seeds: number, readonly seconds: number, readonly cpu: number, readonly seen: Readonly<Record<string, number>>, readonly failure: string | undefined }

/** Errors that the engine expects have no stacks: they are a twentieth of the time here. One that breaks a promise has, when it is played again. */
const FRAMES = Error.stackTraceLimit
Error.stackTraceLimit = 0
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
    Error.stackTraceLimit = FRAMES
    const again = await simulate(scenario)
    const told = new Error(`${violation.message} (${again.hash === hash ? 'the same when played again' : 'NOT the same when played again'})`, { cause: again.violation ?? violation })
    Error.stackTraceLimit = 0
    throw told
  }), { numRuns, seed, interruptAfterTimeLimit: 450_000, markInterruptAsFailure: true })
} catch (error) { failure = inspect(error) }
process.send!({ seeds, seconds, seen, failure, cpu: (process.cpuUsage().user + process.cpuUsage().system) / 1e6 } satisfies Explored)
