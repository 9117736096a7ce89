import type { Fault } from '../models/faults.ts'
import { key } from '../models/random.ts'
import { round, type Benchmark, type Figures } from './measure.ts'
import { week, type Event } from './found/run.ts'
import { asked, EVERY, GROUP, healthy, kinds, metrics, plan, type Kind, type Sizes } from './found/world.ts'

const LEVELS = [1, 2, 3, 5, 10]
const sized = ['spike', 'shift', 'drift', 'noise'] as const
const REPEATS = 3                    // of each sized kind in the week of a device, for the recall by size
const GRACE = 3 * EVERY

/** A planted fault and what was said of it: whether in its time, and the name at its end. */
export interface Outcome { readonly fault: Fault, readonly found: boolean, readonly named: Kind | undefined }

/**
 * The faults of one group and what became of them. Found: an event of its series begins in the time of the fault. Named: what was
 * said last in that time. A spike is known with the reading behind it, and a clock that was ahead when it comes back: they have
 * three readings more.
 */
export function outcomes (faults: readonly Fault[], events: readonly Event[]): Outcome[] {
  return faults.map(fault => {
    const { device, metric, kind, from, to } = fault, until = kind === 'spike' || kind === 'clock' ? to + GRACE : to
    const own = events.filter(({ series, from: at }) => Math.floor(series / metrics.length) === device && (metric < 0 || series % metrics.length === metric) && at > from && at < until)
    const said = own.flatMap(event => event.names.filter(({ at }) => at < until)).sort((a, b) => a.at - b.at)
    return { fault, found: own.some(event => kind === 'spike' || event.from < to), named: said.at(-1)?.kind }
  })
}

/** Devices in groups that run together: seed and size of each. */
const groups = (seed: number, devices: number) => Array.from({ length: Math.ceil(devices / GROUP) }, (_, g) => ({ seed: key(seed, g), devices: Math.min(GROUP, devices - g * GROUP) }))

/** Devices that have each of these faults in their week. */
const faulty = (seed: number, devices: number, each: readonly Kind[], sizes: Sizes): Outcome[] => groups(seed, devices).flatMap(({ seed, devices }) => {
  const events: Event[] = [], faults = plan(seed, Array.from({ length: devices }, () => each), sizes, healthy(seed, devices))
  week(seed, devices, faults, event => events.push(event))
  return outcomes(faults, events)
})

const clean = (seed: number, devices: number): Event[] => groups(seed, devices).flatMap(({ seed, devices }) => {
  const events: Event[] = []
  week(seed, devices, [], event => events.push(event))
  return events
})

const share = (of: readonly unknown[], n: number): number => of.length === 0 ? NaN : n / of.length
const recall = (of: readonly Outcome[]): number => share(of, of.filter(o => o.found).length)

export const faultsFound: Benchmark = {
  summary: 'nine kinds of simulated faults of sensors: found, named right, and false alarms, by hygiene, anomaly, peers and fault together',
  unit: 'kind',
  options: {
    seed: { type: 'string', default: '2026' },
    faults: { type: 'string', default: '50' },        // of each kind; the figures in the docs are of 200
    weeks: { type: 'string', default: '25' },         // of a device without faults; of 100
    each: { type: 'string', default: '0' }            // faults of each kind and size, for the recall by size, 0: none; of 51
  },
  check (options) { for (const [name, text] of Object.entries(options)) if (!/^\d+$/.test(text)) throw new Error(`--${name} ${text}: must be a whole number`) },
  async run (say, options) {
    const [seed, count, weeks, each] = [options.seed, options.faults, options.weeks, options.each].map(Number)
    const all = faulty(key(seed, 1), count, kinds, asked)
    say(`${all.length} faults`)
    const events = clean(key(seed, 2), weeks), last = (event: Event) => event.names.at(-1)!.kind
    say(`${events.length} false alarms in ${weeks} weeks of a device`)
    const bySize = (unit: Sizes['unit']) => each === 0 ? [] : LEVELS.map((level, l) => {
      const outcomes = faulty(key(seed, 3, l, unit.length), Math.ceil(each / REPEATS), Array.from({ length: REPEATS }, () => sized).flat(), { sd: { spike: level, shift: level, drift: level, noise: level }, unit })
      say(`recall at ${level} sd of the ${unit}`)
      return outcomes
    })
    const metric = bySize('metric'), residual = bySize('residual')
    const table = (of: readonly (readonly Outcome[])[], kind: string): Record<string, number> => Object.fromEntries(of.map((outcomes, l) => [LEVELS[l], round(recall(outcomes.filter(o => o.fault.kind === kind)))]))
    return kinds.map((kind): Figures => {
      const mine = all.filter(o => o.fault.kind === kind), found = mine.filter(o => o.found)
      return {
        kind, recall: round(recall(mine)), false_alarms_per_device_week: round(share(Array.from({ length: weeks }), events.filter(e => last(e) === kind).length)),
        named_right: round(share(found, found.filter(o => o.named === kind).length)), faults: mine.length,
        false_alarms_of_all_kinds_per_device_week: round(events.length / weeks), device_weeks: weeks,
        named: Object.fromEntries([...new Set(found.map(o => o.named!))].map(name => [name, found.filter(o => o.named === name).length])),
        ...(sized as readonly string[]).includes(kind) && each > 0 && { recall_by_metric_sd: kind === 'spike' ? {} : table(metric, kind), recall_by_residual_sd: table(residual, kind) }
      }
    })
  }
}
