import { assign, close, defineOperator, DeviceInstants, deviceInstants, Duration, instants, list, queue, Tumble, Type, windowMemory, type Batch, type Closing, type DeviceInstantMemory, type Ids, type Lists, type Numbers, type Operator, type Records, type SeriesTable, type Shapes } from '#engine'
import { LONGEST } from '../models/samples.ts'
import { TwoStacks, type Entries } from '../models/two-stacks.ts'
import { once } from './shared/once.ts'
import { featuresOf, NOTHING, readings, Rows, type FeatureMemory } from './windows/features.ts'
import { checkFeatures, featureOptions, type ColumnOf, type Feature, type FeatureOptions, type FeatureValues, type usual } from './windows/options.ts'

interface Memory extends FeatureMemory, DeviceInstantMemory { readonly stacks: Lists<any>, readonly state: Records }
type Asked = Pick<Closing, 'series' | 'node' | 'start' | 'position' | 'revision' | 'final'>

const step = defineOperator({
  name: 'sliding',
  summary: 'Features of each series over the time before each of its readings, or of those of its device.',
  options: Type.Object({
    over: Duration({ description: 'How far a window reaches back from its reading.' }),
    of: Type.Union([Type.Literal('series'), Type.Literal('device')], { description: 'Whose readings have a row: those of each series, or those of the device, where each series that has any in its window has one.', default: 'series' }),
    ...featureOptions
  }),
  adds: (options): string[] => [...featuresOf(options).columns, 'revision'],
  perSeries: (options): Shapes => {
    const { accumulator: { fields }, held } = featuresOf(options)
    return { ...windowMemory.perSeries(...fields), stacks: list(...fields), state: Object.fromEntries(['front', 'back', ...fields].map(f => [f, 0])), ...held > 0 && { samples: queue } }
  },
  perDevice: ({ of }): Shapes => of === 'device' ? { ...windowMemory.perDevice, ...deviceInstants } : windowMemory.perDevice,
  windows: true,
  crosses: ({ of }) => of === 'device',
  version: 2,                            // sums keep what rounding takes from them
  check: options => options.over > 0 ? checkFeatures(options) : 'over must be longer than nothing',

  process (batch, options, held, host) {
    const memory = held as unknown as Memory, device = options.of === 'device'
    const kind = device ? new DeviceInstants(memory, host.series) : new Tumble(instants, memory)
    assign(batch, kind, memory, host, new Rows(sumsOf(options), memory, batch))
    return close(batch, kind, memory, host, closing => {
      const asked = device ? ofDevices(closing, host.series) : closing
      if (closing.final) return rows(batch, asked, memory, options)
      const series = Int32Array.from(new Set(asked.series)), { stacks, state: { data, width } } = memory
      const before = stacks.save(series), states = Array.from(series, s => data.slice(s * width, (s + 1) * width))
      const out = rows(batch, asked, memory, options)
      stacks.load(before, series)
      states.forEach((state, k) => { data.set(state, series[k] * width) })
      return out
    })
  }
})

/** An instant mostly has one reading: none waits for others (gathered.ts). */
const sumsOf = once((options: FeatureValues) => {
  const { accumulator } = featuresOf(options)
  return {
    add ({ windows, samples }: FeatureMemory, time: Numbers, value: Numbers, series: Ids, node: number, i: number): void {
      accumulator.add(windows.page(node), windows.offset(node) + windows.field.n, time, value, i)
      samples?.insert(series[i], time[i], value[i])
    }
  }
})

/** The instants of devices for all of their series, in the order of metrics; the node of one that has no reading then is -1. */
function ofDevices ({ series, node, start, position, revision, final }: Closing, table: SeriesTable): Asked {
  const asked: (readonly [series: number, node: number, first: number, revision: number])[] = [], known = new Map<number, readonly number[]>()
  for (let k = 0, end = 0; k < series.length; k = end) {
    const device = table.deviceOf[series[k]], nodes = new Map<number, number>()
    let most = 0
    for (; end < series.length && table.deviceOf[series[end]] === device && start[end] === start[k]; end++) {
      nodes.set(series[end], node[end])
      most = Math.max(most, revision[end])
    }
    if (!known.has(device)) known.set(device, membersOf(device, table))
    for (const s of known.get(device)!) asked.push([s, nodes.get(s) ?? -1, k, most])
  }
  return {
    series: Int32Array.from(asked, a => a[0]), node: Int32Array.from(asked, a => a[1]), final, revision: Float64Array.from(asked, a => a[3]),
    start: Float64Array.from(asked, a => start[a[2]]), position: Float64Array.from(asked, a => position[a[2]])
  }
}

function membersOf (device: number, table: SeriesTable): readonly number[] {
  const members: number[] = []
  for (let s = table.firstOf(device); s >= 0; s = table.nextOf(s)) members.push(s)
  return members.sort((a, b) => table.metric(a) < table.metric(b) ? -1 : 1)
}

const NEXT = 0.0005                      // ms: half of the resolution of event time

/** The rows that are asked for of windows that have readings. */
function rows (batch: Batch<any>, asked: Asked, memory: Memory, options: FeatureValues & { readonly over: number }): Batch<any> {
  const { series, node, start, final } = asked, { windows, stacks, state, samples } = memory, { over } = options
  const features = featuresOf(options), { accumulator } = features, width = accumulator.fields.length
  const window = new TwoStacks(accumulator), entries = new Queue(stacks), cells = features.columns.map(() => new Float64Array(series.length))
  const some: number[] = []
  for (let k = 0; k < series.length; k++) {
    const s = entries.series = series[k], at = s * state.width, after = start[k] - over + NEXT
    for (let e = stacks.oldest(s); e >= 0 && stacks.time(e) < after; e = stacks.oldest(s)) window.pop(entries, state.data, at)
    if (node[k] >= 0) {
      const e = stacks.insert(s, start[k]), from = windows.offset(node[k]) + windows.field.n
      stacks.page(e).set(windows.page(node[k]).subarray(from, from + width), entries.offset(e))
      window.push(entries, state.data, at)
    }
    if (final) samples?.expire(s, after)
    const sum = window.sum(entries, state.data, at), [n] = sum
    if (n === 0) continue
    some.push(k)
    features.fromSums(sum, 0, k, cells)
    if (samples !== undefined) features.fromReadings(n > LONGEST ? NOTHING : readings(memory, s, after, start[k] + NEXT), k, cells)
  }
  const all = features.written(batch, asked, cells)
  return some.length === series.length ? all : all.take(Int32Array.from(some))
}

/** The list of a series as what the stacks work on: the accumulator stands behind the time. */
class Queue implements Entries {
  series = 0
  private readonly lists: Lists<any>
  constructor (lists: Lists<any>) { this.lists = lists }
  page (entry: number): Float64Array { return this.lists.page(entry) }
  offset (entry: number): number { return this.lists.offset(entry) + 1 }
  oldest (): number { return this.lists.oldest(this.series) }
  newest (): number { return this.lists.newest(this.series) }
  older (entry: number): number { return this.lists.older(entry) }
  shift (): void { this.lists.shift(this.series) }
}

export interface Sliding<F extends Feature> extends FeatureOptions<F> { readonly over: string, readonly of?: 'series' | 'device' }

/**
 * Features of each series over (time - over, time] of event time, for each time that it has a reading of: exact, without
 * ever subtracting. A row is written, in the order of times, when the progress of its device has passed its time; a reading
 * that the progress had passed as it arrived is late. Provisional rows of silent devices as with `tumbling`. About 60 to 300
 * bytes per reading in the window. Features by rank, order and frequency hold it besides, 16 to 64 bytes, and are worked out
 * anew for each row, by rank exactly; of a window of more than LONGEST readings they have no value. `of: device`: for each time
 * that any series of the device has a reading of, each that has one in its window has a row.
 */
export const sliding = Object.assign(
  <const F extends Feature = typeof usual[number]>(given: Sliding<F>) => step(given as object) as Operator<never, ColumnOf<F> | 'revision'>,
  { definition: step.definition })
