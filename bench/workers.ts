import { readFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { SeriesTable, type Delivery } from '#engine'
import { openFlow } from '../engine/flow.ts'
import type { Outputs } from '../engine/outputs.ts'
import { Workers } from '../engine/workers.ts'
import { extname } from 'node:path'
import { mustEqual, round, spread, type Benchmark, type Figures } from './measure.ts'
import { deviceOf, nameOf, Plant, pred } from './pred.ts'
import { RowHash } from './row-hash.ts'

const SERIES = 10_000, ROUNDS = 7, SHARE = 0.85
const DELIVERY = 4096, UNDER_WAY = 4

/**
 * PRED (pred.ts) over 10,000 series in one thread and in two, by partitions, from readings to rows that are back in the thread that
 * commits, where they are hashed: against what the machine itself gives, two spinning threads against one. All four
 * take turns; durations, because it is about several processors at once. On a machine that is busy these say little: what does not depend on
 * it is the CPU time of all threads for a reading, and the part of it that is not spread, that of the thread that deals out and takes back.
 */
export const workers: Benchmark = {
  summary: 'speed-up by two worker threads, against that of two spinning threads; the same rows, hash for hash',
  unit: 'number of workers',
  options: { seconds: { type: 'string', default: '40' } },      // of readings, one each second from each series, a round
  check ({ seconds }) { if (!(Number(seconds) >= 1)) throw new Error(`--seconds ${seconds} is not a number of seconds`) },
  async run (say, { seconds }) {
    const plant = new Plant(SERIES), table = new SeriesTable(SERIES), ids = Int32Array.from({ length: SERIES }, (_, s) => table.id(...nameOf(s)))
    const module = new URL(`./pred${extname(import.meta.url)}`, import.meta.url).href
    const one = new Contestant(new Workers(table, { module, workers: 1 })), two = new Contestant(new Workers(table, { module, workers: 2 })), plain = openFlow(pred(), table), expected = new Hashes()
    const spinners = [new Spinner(), new Spinner()]
    const taken = { one: [] as Taken[], two: [] as Taken[], spin: [] as Taken[], spins: [] as Taken[] }
    try {
      let spins = 1e8
      for (let n = 0; n <= ROUNDS; n++) {
        const deliveries = Array.from({ length: Math.ceil(SERIES * Number(seconds) / DELIVERY) }, () => named(plant.next(DELIVERY), ids))
        for (const delivery of deliveries) expected.take(plain.process(delivery))
        const times = {
          one: await timed(() => one.run(deliveries)), spin: await timed(() => spinners[0].spin(spins)),
          two: await timed(() => two.run(deliveries)), spins: await timed(() => Promise.all(spinners.map(spinner => spinner.spin(spins / 2))))
        }
        for (const { hashes } of [one, two]) hashes.mustEqual(expected)
        if (n === 0) spins *= times.one.ms / times.spin.ms           // the first round warms up
        else for (const [name, took] of Object.entries(times)) taken[name as keyof typeof taken].push(took)
      }
      expected.mustHaveSome()
      say(`${plant.planted.readings} readings: the same rows of one thread, of two, and of none`)
    } finally { await Promise.all([one, two].map(({ workers }) => workers.close()).concat(spinners.map(spinner => spinner.stop()))) }
    const readings = Math.ceil(SERIES * Number(seconds) / DELIVERY) * DELIVERY
    const ns = (of: readonly Taken[]) => ({ ns_per_reading: per(of, 'ms', readings), cpu_ns_per_reading: per(of, 'cpu', readings), own_thread_cpu_ns_per_reading: per(of, 'own', readings) })
    const ratios = (above: readonly Taken[], below: readonly Taken[]) => above.map(({ ms }, i) => ms / below[i].ms), gained = ratios(taken.one, taken.two), possible = ratios(taken.spin, taken.spins)
    const speedup = spread(gained), machine = spread(possible), share = spread(gained.map((ratio, i) => ratio / possible[i]))
    const figures: Figures[] = [
      { workers: 1, speedup: 1, machine_speedup: 1, same_rows: true, ...ns(taken.one), series: SERIES, runs: ROUNDS },
      {
        workers: 2, speedup: round(speedup.median), machine_speedup: round(machine.median), same_rows: true, ratio_to_machine: round(share.median), ...ns(taken.two), series: SERIES, runs: ROUNDS,
        speedup_spread: [round(speedup.low), round(speedup.high)], machine_speedup_spread: [round(machine.low), round(machine.high)], ratio_to_machine_spread: [round(share.low), round(share.high)]
      }
    ]
    return figures
  },
  fault: ({ workers, ratio_to_machine: share }) => Number(share) < SHARE ? `${Number(workers)} workers: ${Number(share)} of the machine's own speed-up, ${SHARE} is wanted` : undefined
}

const named = (delivery: Delivery, ids: Int32Array): Delivery => ({ ...delivery, rows: { ...delivery.rows, series: delivery.rows.series.map(s => ids[s]) } })

/** ms of duration, and of CPU time of the process and of this thread alone. */
interface Taken { readonly ms: number, readonly cpu: number, readonly own: number }

async function timed (act: () => Promise<unknown>): Promise<Taken> {
  const cpu = process.cpuUsage(), own = ownThread(), started = performance.now()
  await act()
  const ms = performance.now() - started, { user, system } = process.cpuUsage(cpu)
  return { ms, cpu: (user + system) / 1000, own: ownThread() - own }
}

/** CPU ms of the main thread. Of Linux. */
const ownThread = (): number => Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[0]) / 1e6
const per = (of: readonly Taken[], what: keyof Taken, readings: number): number => round(spread(of.map(taken => taken[what])).median * 1e6 / readings)

const GROUP = Int32Array.from({ length: SERIES }, (_, s) => deviceOf(s) + 1), NAME = Int32Array.from({ length: SERIES }, (_, s) => s)      // ids are numbers of series here

/** Of all that comes out, by device. */
class Hashes {
  private readonly of = Object.fromEntries(['rows', 'windows', 'alerts'].map(kind => [kind, new RowHash(SERIES)])) as Record<'rows' | 'windows' | 'alerts', RowHash>

  take ({ follow, alerts }: Outputs): void {
    for (const { branch, batch } of follow) this.of[branch === '' ? 'rows' : 'windows'].take(batch, GROUP, NAME)
    for (const { event } of alerts) this.of.alerts.text(Number(event.device.slice('device-'.length)), event.id)
  }

  mustHaveSome (): void { for (const [kind, { count }] of Object.entries(this.of)) if (count === 0) throw new Error(`the answer is wrong: there are no ${kind}`) }

  mustEqual ({ of }: Hashes): void {
    for (const [kind, { count, value }] of Object.entries(this.of)) {
      mustEqual(`the number of ${kind}`, count, of[kind as 'rows'].count)
      mustEqual(`the hash of ${kind}`, value, of[kind as 'rows'].value)
    }
  }
}

class Contestant {
  readonly hashes = new Hashes()
  readonly workers: Workers
  constructor (workers: Workers) { this.workers = workers }

  /** With a few deliveries under way, as the run loop has. */
  async run (deliveries: readonly Delivery[]): Promise<void> {
    const underWay: Promise<Outputs>[] = []
    for (const delivery of deliveries) {
      underWay.push(this.workers.process(delivery))
      if (underWay.length === UNDER_WAY) this.hashes.take(await underWay.shift()!)
    }
    for (const outputs of underWay) this.hashes.take(await outputs)
  }
}

/** A thread that does nothing but count. */
class Spinner {
  private readonly worker = new Worker("const { parentPort } = require('node:worker_threads'); parentPort.on('message', n => { let x = 1; for (let i = 0; i < n; i++) x = Math.imul(x ^ i, 0x01000193); parentPort.postMessage(x) })", { eval: true })

  spin (times: number): Promise<void> {
    return new Promise(resolve => {
      this.worker.once('message', () => { resolve() })
      this.worker.postMessage(Math.round(times))
    })
  }

  async stop (): Promise<void> { await this.worker.terminate() }
}
