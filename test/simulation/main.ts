/** `npm run simulation -- [--seeds N] [--seed S] [--json] [--trace]` */
import { parseArgs } from 'node:util'
import { scenarioOf } from './scenario.ts'
import { simulate } from './simulate.ts'

const { values: { seeds, seed, from, json, trace } } = parseArgs({ options: { seeds: { type: 'string', default: '1000' }, seed: { type: 'string' }, from: { type: 'string', default: '1' }, json: { type: 'boolean', default: false }, trace: { type: 'boolean', default: false } } })
const first = Number(seed ?? from), last = seed === undefined ? first + Number(seeds) - 1 : first
const total: Record<string, number> = {}
let events = 0, seconds = 0, failed = 0
const began = process.cpuUsage(), wall = performance.now()
for (let s = first; s <= last; s++) {
  const result = await simulate(scenarioOf(s), { keep: trace ? 1e6 : 0 })
  events += result.events
  seconds += result.seconds
  for (const [what, n] of Object.entries(result.counts)) total[what] = (total[what] ?? 0) + n
  if (trace) for (const line of result.lines) console.log(line)
  if (result.violation === undefined) continue
  failed++
  const again = await simulate(scenarioOf(s), { keep: 40 })
  console.log(`seed ${s}: ${result.violation.stack}${result.violation.cause === undefined ? '' : `\n${(result.violation.cause as Error).stack}`}`)
  console.log(again.hash === result.hash ? `  the same again: ${result.hash}` : `  NOT the same again: ${result.hash}, ${again.hash}`)
  if (!trace && seed !== undefined) for (const line of again.lines) console.log(line)
}
const { user, system } = process.cpuUsage(began)
const cpu = (user + system) / 1e6
const report = { seeds: last - first + 1, violations: failed, events, simulatedSeconds: Math.round(seconds), cpuSeconds: cpu, wallSeconds: (performance.now() - wall) / 1000, simulatedPerCpuSecond: Math.round(seconds / cpu), ...total }
console.log(json ? JSON.stringify(report) : report)
process.exitCode = failed === 0 ? 0 : 1
