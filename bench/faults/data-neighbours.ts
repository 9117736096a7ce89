import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { Publisher } from '../publisher.ts'
import { until } from '../services.ts'
import { difference, hash, HOUR, inPlace, judge, percentile, SECOND, type Given, type Message, type Place } from './data-rig.ts'
import type { Row } from './data-row.ts'

const LOOK = 3                       // ms between looks at the checkpoint
const NEIGHBOURS = 50
const UNDER_WAY = 20                 // messages that a device sends before it waits, as most of their MQTT libraries do

/** Watches how far the engine has committed: the row of a record is there as soon as its position has been passed. */
class Committed {
  private readonly seen: { readonly at: number, readonly position: number }[] = []
  private readonly client: pg.Client
  private readonly watching: Promise<void>
  private over = false

  private constructor (client: pg.Client) {
    this.client = client
    this.watching = this.watch()
  }

  static async of (place: Place): Promise<Committed> {
    const client = new pg.Client(place.url)
    client.on('error', () => {})
    await client.connect()
    const committed = new Committed(client)
    place.closing.push(() => committed.stop())
    return committed
  }

  /** When the commit of this position was seen; undefined: not yet. */
  when (position: number): number | undefined {
    let from = 0, to = this.seen.length
    while (from < to) { const middle = (from + to) >> 1; if (this.seen[middle].position >= position) to = middle; else from = middle + 1 }
    return this.seen[from]?.at
  }

  async stop (): Promise<void> {
    if (this.over) return
    this.over = true
    await this.watching
    await this.client.end()
  }

  private async watch (): Promise<void> {
    let last = 0
    while (!this.over) {
      const { rows: [{ position }] } = await this.client.query('SELECT coalesce(max(position), 0)::float8 AS position FROM checkpoint').catch(() => ({ rows: [{ position: 0 }] }))       // made while the engine starts
      if (position > last) this.seen.push({ at: performance.now(), position: last = position })
      await sleep(LOOK)
    }
  }
}

/** Devices that publish at a steady rate; every reading's value is its number. */
class Steady {
  readonly sent: number[] = []       // when each was published
  readonly tenant: string
  private readonly publisher: Publisher
  private readonly running: Promise<void>
  private over = false

  private constructor (publisher: Publisher, tenant: string, rate: number) {
    this.publisher = publisher
    this.tenant = tenant
    this.running = this.run(rate)
  }

  static async start (place: Place, tenant: string, rate: number): Promise<Steady> {
    const steady = new Steady(await Publisher.connect(place.port), tenant, rate)
    place.closing.push(() => steady.stop())
    return steady
  }

  async stop (): Promise<void> {
    if (this.over) return
    this.over = true
    await this.running
    await this.publisher.atMost(0)
    await this.publisher.close()
  }

  private async run (rate: number): Promise<void> {
    const began = performance.now()
    while (!this.over) {
      const due = (performance.now() - began) / 1000 * rate
      for (; this.sent.length < due; this.sent.push(performance.now())) this.publisher.publish(`${this.tenant}/n${this.sent.length % NEIGHBOURS}/m`, `{"ts":${Date.now()},"value":${this.sent.length}}`, 1)
      await sleep(2)
    }
  }
}

/** From being published to the commit of its row, ms, for the neighbours' readings from number `from` to `to`. Waits for their rows. */
async function latencies (place: Place, { tenant, sent }: Steady, committed: Committed, from: number, to: number): Promise<number[]> {
  let rows: { value: number, position: number }[] = []
  await until('the rows of the neighbours are there', async () => {
    rows = await place.query(`SELECT value::int AS value, position::float8 AS position FROM readings_named WHERE tenant = $1 AND value >= $2 AND value < $3`, [tenant, from, to])
    return rows.length >= to - from
  })
  await until('their commits are seen', () => rows.every(r => committed.when(r.position) !== undefined))
  return rows.map(({ value, position }) => committed.when(position)! - sent[value])
}

const tenth = (x: number): number => Math.round(x * 10) / 10

const RATE = 1000, PHASE = 1000, REST = 200         // readings/s of the neighbours; ms

/** P3: phases without and with a device that sends as much as all others together; of each kind the best one, as what else the machine does only makes them slower. */
export const hot: Row = {
  id: 'P3', name: 'one device makes 50 % of the traffic',
  rounds: { commit: 4, nightly: 25 }, alone: true,
  run: ({ rounds, stretch, say }) => inPlace(async place => {
    const engine = await place.program({ pipe: [{ ewma: { alpha: 0.1 } }], windows: '10s' })
    const committed = await Committed.of(place), steady = await Steady.start(place, 'steady', RATE), hot = await Publisher.connect(engine.port)
    const p99 = { quiet: [] as number[], hot: [] as number[] }, phases: { kind: keyof typeof p99, from: number, to: number }[] = []
    let fired = 0
    await sleep(PHASE)               // warm
    for (let k = 0; k < 2 * rounds; k++) {
      const kind = k % 4 === 0 || k % 4 === 3 ? 'quiet' : 'hot', from = steady.sent.length, base = fired, began = performance.now()
      while (performance.now() - began < PHASE) {
        if (kind === 'hot') for (const due = base + (performance.now() - began) / 1000 * RATE; fired < due; fired++) hot.publish('hot/one/m', `{"ts":${Date.now() + fired % 1000 / 1000},"value":${fired}}`, 1)
        await sleep(2)
      }
      phases.push({ kind, from, to: steady.sent.length })
      await hot.atMost(0)
      await place.settled(steady.sent.length + fired, 60_000)       // what waits is not the next phase's
      await sleep(REST)
    }
    await steady.stop()
    await hot.atMost(0)
    await hot.close()
    for (const { kind, from, to } of phases) p99[kind].push(percentile(await latencies(place, steady, committed, from, to), 99))
    await committed.stop()
    const counts = await place.settled(steady.sent.length + fired)
    const quiet = Math.min(...p99.quiet), beside = Math.min(...p99.hot), ratio = beside / quiet, share = fired / phases.filter(p => p.kind === 'hot').reduce((n, p) => n + p.to - p.from + fired / rounds, 0)
    return judge({ messages: steady.sent.length + fired, hot: fired, share_while_hot: tenth(share * 100), p99_ms: tenth(beside), p99_alone_ms: tenth(quiet), ratio: Math.round(ratio * 100) / 100 }, {
      [`the p99 of the others is ${ratio.toFixed(2)} times that without the hot device`]: !(ratio <= 2 * stretch),
      [`${counts.written} rows and ${counts.deduplicated} duplicates of ${counts.received}`]: counts.written + counts.deduplicated !== counts.received || counts.late > 0
    }, say)
  })
}

const STEP = 5 * SECOND, DARK_AFTER = 54      // between readings; readings until it goes dark: half-way through a minute
const IDLE = 3000                    // ms
const given: Given = { time: { lateness: '10s', idle: `${IDLE}ms` }, windows: '1m' }

/** B13: a device that goes dark in the middle of a window and sends all of six hours later on, at once. */
export const backlog: Row = {
  id: 'B13', name: 'store and forward: six hours of backlog at once, and an engine that was down',
  rounds: { commit: 1, nightly: 10 }, alone: true,
  run: ({ rounds, stretch, say }) => inPlace(async place => {
    let engine = await place.program(given)
    const wrong: Record<string, boolean> = {}, committed = await Committed.of(place), p99 = { before: [] as number[], during: [] as number[] }, figures = { backlog: 0, feature_rows: 0 }
    // a share of bad luck is the machine's: up to two rounds more, and the best of each figure
    const best = () => Math.min(...p99.during) / Math.min(...p99.before)
    for (let k = 0; k < rounds || (k < rounds + 2 && best() > 2 * stretch); k++) {
      const start = Math.floor((Date.now() - 6.2 * HOUR) / 60_000) * 60_000, count = 6 * HOUR / STEP
      const reading = (name: string, n: number): Message => ({ topic: `${name}${k}/d/m${n % 2}`, payload: `{"ts":${start + n * STEP},"value":${n * 7 % 61}}` })
      const all = Array.from({ length: count }, (_, n) => n)
      await place.publish(all.map(n => reading('online', n)))
      await place.publish(all.slice(0, DARK_AFTER).map(n => reading('dark', n)))
      const steady = await Steady.start(place, `steady${k}`, 200)
      const provisional = async () => await place.query(`SELECT time, device, count, revision FROM features_named WHERE tenant = $1 AND provisional`, [`dark${k}`])
      await until('the dark device is silent', async () => (await provisional()).length === 2)
      const before = await provisional(), from = steady.sent.length
      await sleep(2000)
      const amid = steady.sent.length
      await place.publish(all.slice(DARK_AFTER).map(n => reading('dark', n)), UNDER_WAY)
      await until('its backlog is in', async () => (await place.query(`SELECT count(*)::int AS n FROM readings_named WHERE tenant = $1`, [`dark${k}`]))[0].n === count, 60_000)
      const after = steady.sent.length
      await sleep(200)
      await steady.stop()
      const quiet = percentile(await latencies(place, steady, committed, from, amid), 99), beside = percentile(await latencies(place, steady, committed, amid, after), 99)
      p99.before.push(quiet)
      p99.during.push(beside)
      say(`round ${k}: p99 of the others ${tenth(quiet)} ms before the backlog, ${tenth(beside)} ms during it`)

      const [online, dark] = await Promise.all(['online', 'dark'].map(name => place.dump('features', `${name}${k}`, ['revision', 'provisional'])))
      // the last window of both is open: silence makes it provisional sooner or later, in one maybe before the other
      const closed = (rows: readonly string[]) => rows.filter(row => Date.parse(Object.fromEntries(JSON.parse(row)).time) + 60_000 <= start + (count - 1) * STEP - 10_000)
      const differ = difference(closed(online), closed(dark))
      for (const row of differ.slice(0, 3)) say(row)
      if (hash(closed(online)) !== hash(closed(dark)) || closed(online).length < 700) wrong[`${differ.length} of ${closed(online).length} features differ from those of the device that was on line`] = true
      for (const { time, count } of before) {
        const [now] = await place.query(`SELECT count, revision, provisional FROM features_named WHERE tenant = $1 AND time = $2 LIMIT 1`, [`dark${k}`, time])
        if (now.provisional || now.revision !== 1 || now.count <= count) wrong[`the provisional window was not replaced: ${JSON.stringify(now)} after ${count} readings`] = true
      }
      if (Number((await place.query(`SELECT count(*) AS n FROM late_readings`))[0].n) > 0) wrong['readings of the backlog are late'] = true
      figures.backlog += count - DARK_AFTER
      figures.feature_rows += closed(dark).length
    }
    await committed.stop()

    // an engine that is down for longer than `idle`, in the middle of the windows of devices that go on
    const base = Math.floor((Date.now() - HOUR) / 60_000) * 60_000
    const going = (minute: number, second: number): Message[] => Array.from({ length: NEIGHBOURS }, (_, d) => ({ topic: `going/g${d}/m`, payload: `{"ts":${base + minute * 60_000 + second * SECOND},"value":${second}}` }))
    await place.publish(going(0, 10))
    await engine.stop()
    await sleep(1.5 * IDLE)
    engine = await place.program(given)
    await sleep(0.4 * IDLE)          // it has looked who is silent, and nobody has been for so long while it listened
    await place.publish([...going(0, 20), ...going(2, 0)])
    await until('the windows are closed', async () => Number((await place.query(`SELECT count(*) AS n FROM features_named WHERE tenant = 'going' AND NOT provisional AND count = 2`))[0].n) === NEIGHBOURS)
    const [{ n }] = await place.query(`SELECT count(*)::int AS n FROM features_named WHERE tenant = 'going' AND revision > 0`)
    const ratio = best()
    return judge({ ...figures, p99_ms: tenth(Math.min(...p99.during)), p99_before_ms: tenth(Math.min(...p99.before)), ratio: Math.round(ratio * 100) / 100, down_ms: 1.5 * IDLE }, {
      ...wrong, [`the p99 of the others is ${ratio.toFixed(2)} times that without the backlog`]: !(ratio <= 2 * stretch), [`${n} windows of devices that were counted as silent while the engine was down`]: n > 0
    }, say)
  })
}
