import { join, resolve } from 'node:path'
import { WEEK, type Fault } from '../models/faults.ts'
import { roomFor } from '../models/fleet.ts'
import { key } from '../models/random.ts'
import { devicesIn, readDevice, readLabelled, writeDevice, writeLabelled, type Labelled } from './device-files.ts'
import { atLeast, atMost, missed, round, type Benchmark, type Figures } from './measure.ts'
import { fleetOf, inputOf, listen, week, type Event, type Input } from './found/run.ts'
import { asked, EVERY, GROUP, healthy, kinds, metrics, plan, type Kind, type Sizes } from './found/world.ts'
import { files, wrong } from './series-files.ts'

const LEVELS = [1, 2, 3, 5, 10]
const sized = ['spike', 'shift', 'drift', 'noise'] as const
const REPEATS = 3                    // of each sized kind in the week of a device, for the recall by size
const GRACE = 3 * EVERY
const FAULTS = 200, WEEKS = 100      // what is asked for is asked for at this size

/** A planted fault and what was said of it: whether in its time, the name at its end, and events on other metrics of its device in its time. */
export interface Outcome { readonly fault: Fault, readonly found: boolean, readonly named: Kind | undefined, readonly neighbours: number }

/**
 * The faults of one group and what became of them. Found: an event of its series begins in the time of the fault. Named: what was
 * said last in that time. A spike is known with the reading behind it, and a clock that was ahead when it comes back: they have
 * three readings more. Neighbours: events that begin in that time on the other metrics of the device, which are healthy.
 */
export function outcomes (faults: readonly Fault[], events: readonly Event[], width = metrics.length): Outcome[] {
  const end = ({ kind, to }: Fault) => kind === 'spike' || kind === 'clock' ? to + GRACE : to
  const within = (fault: Fault, { series, from: at }: Event) => Math.floor(series / width) === fault.device && at > fault.from && at < end(fault)
  const hits = (fault: Fault, event: Event) => within(fault, event) && (fault.metric < 0 || event.series % width === fault.metric)
  return faults.map(fault => {
    const { kind, to } = fault, own = events.filter(event => hits(fault, event))
    const said = own.flatMap(event => event.names.filter(({ at }) => at < end(fault))).sort((a, b) => a.at - b.at)
    return { fault, found: own.some(event => kind === 'spike' || event.from < to), named: said.at(-1)?.kind, neighbours: events.filter(event => within(fault, event) && !faults.some(other => hits(other, event))).length }
  })
}

/** Devices in groups that run together: seed and size of each. */
const groups = (seed: number, devices: number) => Array.from({ length: Math.ceil(devices / GROUP) }, (_, g) => ({ seed: key(seed, g), devices: Math.min(GROUP, devices - g * GROUP) }))

/** Devices that have each of these faults in their week. */
const faulty = (seed: number, devices: number, each: readonly Kind[], sizes: Sizes, write = '', labels: Labelled[] = []): Outcome[] => groups(seed, devices).flatMap(({ seed, devices }, g) => {
  const events: Event[] = [], faults = plan(seed, Array.from({ length: devices }, () => each), sizes, healthy(seed, devices))
  if (write !== '') labels.push(...writeGroup(write, fleetOf(seed, devices, faults), faults, g))
  week(seed, devices, faults, event => events.push(event))
  return outcomes(faults, events)
})

const clean = (seed: number, devices: number, write = ''): Event[] => groups(seed, devices).flatMap(({ seed, devices }, g) => {
  const events: Event[] = []
  if (write !== '') writeGroup(write, fleetOf(seed, devices, []), [], g)
  week(seed, devices, [], event => events.push(event))
  return events
})

/** Writes what comes from a group, a file a device, and gives the labels of its faults. */
export function writeGroup (folder: string, { devices, names, to, fill }: Input, faults: readonly Fault[], group = 0): Labelled[] {
  const all = Array.from({ length: devices }, (_, d) => ({ name: `${group * GROUP + d}`, metrics: names, arrival: [] as number[], time: [] as number[], metric: [] as number[], value: [] as number[] })), out = roomFor(4096)
  for (let n; (n = fill(out, to - 1)) > 0;) for (let i = 0; i < n; i++) {
    const device = all[Math.floor(out.series[i] / names.length)]
    device.arrival.push(out.truth[i])
    device.time.push(out.time[i])
    device.metric.push(out.series[i] % names.length)
    device.value.push(out.value[i])
  }
  for (const readings of all) writeDevice(folder, readings)
  return faults.map(({ device, metric, kind, from, to }) => ({ device: all[device].name, metric: metric < 0 ? '' : names[metric], kind, verdict: '', from, to }))
}

/** The faults that labels name, and what became of them, device by device. */
function given (folder: string): Outcome[] {
  const labels = readLabelled(folder), files = devicesIn(folder), strange = labels.find(l => !kinds.includes(l.kind as Kind))
  if (strange !== undefined) throw wrong(`${folder}: a label of the kind "${strange.kind}"; there are: ${kinds.join(', ')}`)
  const gone = [...new Set(labels.map(l => l.device))].filter(device => !files.includes(join(folder, `${device}.csv`)))
  if (gone.length > 0) throw wrong(`${folder}: labels of devices that are not there: ${gone.join(', ')}`)
  return files.flatMap(path => {
    const readings = readDevice(path), { name, metrics: own } = readings, events: Event[] = []
    const faults = labels.filter(l => l.device === name).map(({ metric, kind, from, to }): Fault => ({ device: 0, metric: metric === '' ? -1 : own.indexOf(metric), kind: kind as Kind, from, to, size: NaN }))
    const odd = labels.find(l => l.device === name && l.metric !== '' && !own.includes(l.metric))
    if (odd !== undefined) throw wrong(`${path} has no metric "${odd.metric}", which a label names; there are: ${own.join(', ')}`)
    listen(inputOf(readings), event => events.push(event))
    return outcomes(faults, events, own.length)
  })
}

/** What is said of devices of which nothing is known to be wrong. */
function alone (folder: string): { readonly events: Event[], readonly weeks: number } {
  const events: Event[] = []
  let ms = 0
  for (const path of devicesIn(folder)) {
    const input = inputOf(readDevice(path))
    listen(input, event => events.push(event))
    ms += input.to - input.from
  }
  return { events, weeks: ms / WEEK }
}

const share = (of: readonly unknown[], n: number): number => of.length === 0 ? NaN : n / of.length
const recall = (of: readonly Outcome[]): number => share(of, of.filter(o => o.found).length)

export const faultsFound: Benchmark = {
  summary: 'nine kinds of simulated faults of sensors: found, named right, and false alarms, by hygiene, anomaly, peers and fault together',
  unit: 'kind',
  options: {
    seed: { type: 'string', default: '2026' },
    faults: { type: 'string', default: '50' },        // of each kind; the figures in the docs are of 200
    weeks: { type: 'string', default: '25' },         // of a device without faults; of 100
    ...files,                                         // folders faulty, with labels.csv, and healthy; a file a device
    each: { type: 'string', default: '9' }            // faults of each kind and size, for the recall by size, 0: none; of 51
  },
  check ({ seed, faults, weeks, each }) { for (const [name, text] of Object.entries({ seed, faults, weeks, each })) if (!/^\d+$/.test(text)) throw new Error(`--${name} ${text}: must be a whole number`) },
  async run (say, options) {
    const { data, write } = options, [seed, count, each] = [options.seed, options.faults, data === '' ? options.each : '0'].map(Number)
    const folder = (of: string, name: string) => of === '' ? '' : join(resolve(of), name)
    const labels: Labelled[] = [], all = data === '' ? faulty(key(seed, 1), count, kinds, asked, folder(write, 'faulty'), labels) : given(folder(data, 'faulty'))
    if (write !== '') writeLabelled(folder(write, 'faulty'), labels)
    say(`${all.length} faults`)
    const { events, weeks } = data === '' ? { events: clean(key(seed, 2), Number(options.weeks), folder(write, 'healthy')), weeks: Number(options.weeks) } : alone(folder(data, 'healthy')), last = (event: Event) => event.names.at(-1)!.kind
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
        kind, recall: round(recall(mine)), false_alarms_per_device_week: round(events.filter(e => last(e) === kind).length / weeks),
        named_right: round(share(found, found.filter(o => o.named === kind).length)), faults: mine.length, neighbours_named: mine.reduce((n, o) => n + o.neighbours, 0),
        false_alarms_of_all_kinds_per_device_week: round(events.length / weeks), device_weeks: weeks,
        named: Object.fromEntries([...new Set(found.map(o => o.named!))].map(name => [name, found.filter(o => o.named === name).length])),
        ...(sized as readonly string[]).includes(kind) && each > 0 && { recall_by_metric_sd: kind === 'spike' ? {} : table(metric, kind), recall_by_residual_sd: table(residual, kind) }
      }
    })
  },
  fault (figures, { data, faults, weeks } = {}) {
    if (data !== '' || Number(faults) < FAULTS || Number(weeks) < WEEKS) return undefined
    const wrong = missed(figures, { recall: atLeast(0.95), false_alarms_of_all_kinds_per_device_week: atMost(1), named_right: atLeast(0.9) })
    return wrong === undefined ? undefined : `${figures.kind as string}: ${wrong}`
  }
}
