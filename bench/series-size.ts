/** One size of the benchmark `series`, in a process of its own, which tells the one that started it what it has found. */
import { existsSync, readFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { SeriesTable, type Batch, type Delivery, type Ids } from '#engine'
import { Checkpoints } from '../engine/checkpoint.ts'
import { openFlow } from '../engine/flow.ts'
import type { Outputs } from '../engine/outputs.ts'
import type { Recovered } from '../engine/store.ts'
import { BATCH, deliveryOf } from './drive.ts'
import { mustEqual, round, spread, type Figures } from './measure.ts'
import { deviceOf, FORGET, IDLE, nameOf, Plant, pred, START } from './pred.ts'
import { RowHash } from './row-hash.ts'

export interface Size { readonly series: number, readonly warm: number, readonly runs: number, readonly least: number }
const SAMPLED = 10                     // devices
const SCHEDSTAT = '/proc/self/schedstat'
const phases = ['growth', 'steady', 'snapshot', 'expiry'] as const
type Phase = typeof phases[number]

/** Growth, learning, measured runs, snapshots, then all fall silent and are forgotten. */
export function measure ({ series, warm, runs, least }: Size, say: (line: string) => void): Figures {
  const before = held(), plant = new Plant(series), generated = held() - before
  const table = new SeriesTable(series), flow = openFlow(pred(), table), ids = new Int32Array(series).fill(-1)
  const answer = new Answer(series), stall = Object.fromEntries(phases.map(phase => [phase, 0])) as Record<Phase, number>
  let cpu = 0
  const step = <T>(phase: Phase, act: () => T): T => {
    const from = process.cpuUsage(), others = waited(), at = performance.now(), done = act()
    const wall = performance.now() - at, { user, system } = process.cpuUsage(from)
    cpu += user + system
    stall[phase] = Math.max(stall[phase], Math.min(wall - (waited() - others), (user + system) / 1000))
    return done
  }
  const feed = (phase: Phase, rows = BATCH, also: () => void = () => {}): void => {
    const delivery = plant.next(rows), numbers = delivery.rows.series, named = Int32Array.from(numbers)
    answer.given(delivery)
    const outputs = step(phase, () => {
      for (let i = 0; i < numbers.length; i++) {
        const s = numbers[i]
        named[i] = ids[s] < 0 ? ids[s] = table.id(...nameOf(s)) : ids[s]
      }
      const outputs = flow.process({ ...delivery, rows: { ...delivery.rows, series: named } })
      also()
      return outputs
    })
    if (phase === 'growth') answer.named(numbers, named)
    answer.take(outputs)
  }
  const until = (readings: number, phase: Phase): void => { while (plant.planted.readings < readings) feed(phase) }

  until(series * 1.01 + BATCH, 'growth')
  say(`${table.size} series have appeared`)
  until(series * warm, 'steady')
  const perReading: number[] = [], began = plant.planted.readings, spent = flow.steps.map(({ ns }) => ns)
  for (let run = 0; run < runs; run++) {
    const first = plant.planted.readings
    cpu = 0
    until(first + Math.max(series, least), 'steady')
    perReading.push(cpu * 1000 / (plant.planted.readings - first))
  }
  const bySteps = Object.fromEntries(flow.steps.map(({ branch, id, ns }, k) => [branch === '' ? id : `${branch}/${id}`, round((ns - spent[k]) / (plant.planted.readings - began))]))
  const bytes = (held() - before - generated) / series
  say(`${round(spread(perReading).median)} ns a reading, ${Math.round(bytes)} bytes a series`)

  const checkpoints = new Checkpoints(flow, { snapshots: [] } as unknown as Recovered), first = plant.planted.readings
  let snapshotBytes = 0
  cpu = 0
  for (const whole of [1, 2]) {
    checkpoints.begin(0, 'here')
    while (checkpoints.complete < whole) {
      feed('snapshot', Math.min(BATCH, flow.snapshots.piece), () => {
        const part = checkpoints.part()
        for (const page of part!.pages) snapshotBytes += page.data.length
        checkpoints.committed(part, 0)
      })
    }
  }
  const withSnapshots = cpu * 1000 / (plant.planted.readings - first)
  say(`${Math.round(snapshotBytes / 2 / 2 ** 20)} MB a snapshot`)

  for (const silence of [IDLE, FORGET]) {
    const slices = flow.ticks(plant.ingest + silence)
    for (let slice = step('expiry', () => slices.next()); slice.done !== true; slice = step('expiry', () => slices.next())) answer.take(slice.value)
    answer.ticked(plant.ingest + silence)
  }
  answer.check(plant)
  const { median, low, high } = spread(perReading)
  return {
    series, ns_per_reading: round(median), bytes_per_series: Math.round(bytes), max_stall_ms: round(Math.max(...Object.values(stall))), rss_mb: Math.round(process.resourceUsage().maxRSS / 1024),
    ns_per_reading_spread: [round(low), round(high)], runs, stall_ms: Object.fromEntries(phases.map(phase => [phase, round(stall[phase])])),
    ns_by_step: bySteps, ns_per_reading_during_snapshots: round(withSnapshots), snapshot_mb: Math.round(snapshotBytes / 2 / 2 ** 20), readings: plant.planted.readings, devices: table.devices
  }
}

/** ms that this thread could have worked and had no processor, where the system tells: Linux does. */
const waited: () => number = existsSync(SCHEDSTAT) ? () => Number(readFileSync(SCHEDSTAT, 'latin1').split(' ')[1]) / 1e6 : () => 0

/** Bytes of all that is alive. */
function held (): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const METRICS = 10, kinds = ['rows', 'windows', 'provisional', 'alerts'] as const

/** Hashes of what comes out of a flow for the devices of a sample. */
class Sample {
  readonly hashes = Object.fromEntries(kinds.map(kind => [kind, new RowHash(SAMPLED + 1)])) as Record<typeof kinds[number], RowHash>
  private readonly every: number
  private readonly groupOf: Int32Array       // by id: place of its device in the sample, counted from 1
  private readonly numberOf: Int32Array      // by id

  constructor (every: number, capacity: number) {
    this.every = every
    this.groupOf = new Int32Array(capacity)
    this.numberOf = new Int32Array(capacity)
  }

  has (series: number): boolean { return deviceOf(series) % this.every === 0 && deviceOf(series) < this.every * (SAMPLED + 1) }

  named (series: Ids, ids: Ids): void {
    for (let i = 0; i < ids.length; i++) {
      this.numberOf[ids[i]] = series[i]
      if (this.has(series[i])) this.groupOf[ids[i]] = deviceOf(series[i]) / this.every + 1
    }
  }

  take ({ follow, alerts }: Outputs): void {
    const { hashes, groupOf, numberOf } = this
    for (const { branch, batch } of follow) {
      hashes[branch === '' ? 'rows' : 'windows'].take(batch, groupOf, numberOf)
      if (batch.provisional !== undefined) hashes.provisional.take(batch.provisional, groupOf, numberOf)
    }
    for (const { event } of alerts) {
      const series = Number(event.device.slice('device-'.length)) * METRICS
      if (this.has(series)) hashes.alerts.text(deviceOf(series) / this.every, event.id)
    }
  }
}

/** What must come out: all of it in sums, and each row of a few devices as another flow makes it of these devices alone, cut otherwise. */
class Answer {
  private readonly every: number
  private readonly sample: Sample
  private readonly log: Record<'time' | 'series' | 'value' | 'position' | 'ingest', number[]> = { time: [], series: [], value: [], position: [], ingest: [] }
  private readonly ticks: number[] = []
  private readonly counts = { received: 0, written: 0, deduplicated: 0, filtered: 0 }
  private readonly windowed = { count: 0, sum: 0 }
  private values = 0

  constructor (series: number) {
    this.every = Math.max(1, Math.floor(deviceOf(series) / SAMPLED))
    this.sample = new Sample(this.every, series)
  }

  named (series: Ids, ids: Ids): void { this.sample.named(series, ids) }

  given ({ rows: { time, series, value, position, ingest } }: Delivery): void {
    const { log } = this
    for (let i = 0; i < time.length; i++) {
      if (!this.sample.has(series[i])) continue
      log.time.push(time[i])
      log.series.push(series[i])
      log.value.push(value[i])
      log.position.push(position[i])
      log.ingest.push(ingest[i])
    }
  }

  ticked (ingest: number): void { this.ticks.push(ingest) }

  take (outputs: Outputs): void {
    const { received, written, deduplicated, filtered } = outputs.counts([])['']
    this.counts.received += received
    this.counts.written += written
    this.counts.deduplicated += deduplicated
    this.counts.filtered += filtered
    for (const { branch, batch } of outputs.follow) {
      if (branch === '') for (let i = 0; i < batch.length; i++) this.values += batch.value[i]
      else this.windows(batch)
    }
    this.sample.take(outputs)
  }

  private windows (batch: Batch<any>): void {
    const { count, mean } = batch.columns as Record<string, Float64Array>
    for (let i = 0; i < batch.length; i++) {
      this.windowed.count += count[i]
      this.windowed.sum += count[i] * mean[i]
    }
  }

  check ({ planted: { readings, valid, sum, repeated, impossible } }: Plant): void {
    const { counts, windowed } = this
    mustEqual('the number of readings received', counts.received, readings)
    mustEqual('the number of rows', counts.written, valid)
    mustEqual('the number of repetitions', counts.deduplicated, repeated)
    mustEqual('the number of impossible readings', counts.filtered, impossible)
    mustEqual('the sum of values', this.values, sum, 1e-9)
    mustEqual('the number of readings in windows', windowed.count, valid)
    mustEqual('the sum of values in windows', windowed.sum, sum, 1e-9)
    const alone = this.alone()
    for (const kind of kinds) {
      const own = this.sample.hashes[kind], other = alone.hashes[kind]
      if (own.count === 0 && kind !== 'alerts') throw new Error(`the answer is wrong: the sample has no ${kind}`)
      mustEqual(`the number of ${kind} of the sample`, own.count, other.count)
      mustEqual(`the hash of ${kind} of the sample`, own.value, other.value)
    }
  }

  /** The sample by itself, 100 readings at a time. */
  private alone (): Sample {
    const { log } = this, table = new SeriesTable(1000), sample = new Sample(this.every, 1000), flow = openFlow(pred(), table)
    for (let from = 0; from < log.time.length; from += 100) {
      const column = (name: 'time' | 'value' | 'position' | 'ingest') => Float64Array.from(log[name].slice(from, from + 100)), series = Int32Array.from(log.series.slice(from, from + 100)), ids = series.map(s => table.id(...nameOf(s)))
      sample.named(series, ids)
      const delivery = deliveryOf({ time: column('time'), series: ids, value: column('value') }, 0, START), position = column('position')
      sample.take(flow.process({ ...delivery, rows: { ...delivery.rows, position, ingest: column('ingest') }, upTo: position.at(-1)! }))
    }
    flow.position = this.counts.received
    for (const tick of this.ticks) {
      const outputs = flow.tick(tick)
      if (outputs !== undefined) sample.take(outputs)
    }
    return sample
  }
}

process.on('message', (size: Size) => {
  const figures = measure(size, line => { process.stderr.write(`${size.series} series: ${line}\n`) })
  process.send!(figures, () => { process.disconnect() })
})
