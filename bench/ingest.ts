import { writeFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { mosquitto } from '../test/support/mosquitto.ts'
import { ADDED, check, checkFloor, pipelineOf, TABLE, type Flow, type Outcome } from './ingest-flows.ts'
import { mustEqual, round, spread, type Benchmark, type Figures, type Options } from './measure.ts'
import { SERIES, type Order } from './messages.ts'
import { freshDatabase, Measured, postgresServer, query, serverCpu, temporary, until, type Service } from './services.ts'

const RATE = 5000, SETTLE = 300      // messages/s; ms after the last row, so that what a contestant still does is its own
const MANY = 20                      // readings of a message
const WARM = 3                       // times as many messages as in a round, at full speed, so that all code is compiled before it is measured
const LARGE = { PASS: 1, FEATURES: 3 } as const        // times as many messages of so many readings, so that a round takes a second or two
const APART = 1.5                    // times as many commits are not the same batch times
/** At most so many times the CPU of the floor, at least so much of raw COPY, at least so many readings/s; microseconds of the floor. */
const BOUND = { PASS: 1.2, STATS: 1.3, PRED: 1.5, copy: 0.6, FEATURES: 150_000, floor: [30, 40] } as const

interface Setting { readonly server: Service, readonly cpu: () => number, readonly port: number, readonly rounds: number, readonly count: number, readonly say: (line: string) => void }
interface Turn { readonly us: number, readonly withDatabase: number, readonly rate: number }
interface Contestant {
  readonly process: Measured
  readonly prefix: string
  /** How many readings are committed. */
  written (): Promise<number>
  check (count: number): Promise<Outcome>
  /** Transactions that have brought rows. */
  commits (): Promise<number>
  close (): Promise<void>
}

/**
 * MQTT messages from mosquitto into PostgreSQL. One reading per message at 5,000 messages/s: what each flow spends on a message, against the
 * least program that does the same; all of them run, and take turns: at full speed to warm up, then five rounds each. CPU is user and system of the process
 * alone, and with all processes of the database, from the first message to 0.3 s after the last row; start-up is not in it. 20 readings per
 * message, as fast as the broker takes them: rows against raw COPY beside the same publisher, and windows only.
 */
export const ingest: Benchmark = {
  summary: 'MQTT messages from mosquitto into PostgreSQL, by flow, against mqtt.js + JSON.parse + COPY',
  unit: 'flow and QoS',
  options: {
    flows: { type: 'string', default: 'PASS,STATS,PRED' }, qos: { type: 'string', default: '0,1' }, readings: { type: 'string', default: `1,${MANY}` },
    rounds: { type: 'string', default: '5' }, messages: { type: 'string', default: '10000' }
  },
  check (options) { read(options) },
  async run (say, options) {
    const { flows, qoses, readings, rounds, count } = read(options), broker = await mosquitto({ config: 'max_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true' }), server = await postgresServer()
    try {
      const setting: Setting = { server, cpu: await serverCpu(server.url), port: broker.port, rounds, count, say }
      const figures: Figures[] = []
      for (const qos of qoses) {
        if (readings.includes(1)) figures.push(...await oneEach(setting, qos, flows))
        if (readings.includes(MANY)) figures.push(...await many(setting, qos))
      }
      return figures
    } finally {
      await broker.stop()
      await server.stop()
    }
  },
  fault (figures) {
    const of = (name: string) => figures[name] as number, flow = figures.flow as 'PASS', wrong: string[] = []
    if (of('lost') + of('duplicated') > 0 && (figures.qos === 1 || of('duplicated') > 0)) wrong.push(`${of('lost')} lost, ${of('duplicated')} duplicated`)
    if (figures.readings_per_message === 1) {
      for (const name of ['ratio_to_floor', 'ratio_to_floor_with_database']) if (of(name) > BOUND[flow]) wrong.push(`${name} is ${of(name)}, more than ${BOUND[flow]}`)
      if (!(of('commits') / of('floor_commits') < APART && of('floor_commits') / of('commits') < APART)) wrong.push(`the floor committed ${of('floor_commits')} times, the engine ${of('commits')} times: these are not the same batch times`)
      if (of('floor_cpu_us_per_message') > BOUND.floor[figures.qos as 0 | 1]) wrong.push(`the floor took ${of('floor_cpu_us_per_message')} us per message, more than ${BOUND.floor[figures.qos as 0 | 1]}: this machine is too slow or too busy to judge`)
    } else {
      if (figures.flow === 'FEATURES' && of('readings_per_s') < BOUND.FEATURES) wrong.push(`${of('readings_per_s')} readings/s, fewer than ${BOUND.FEATURES}`)
      if (figures.flow === 'PASS' && of('ratio_to_copy') < BOUND.copy) wrong.push(`ratio_to_copy is ${of('ratio_to_copy')}, less than ${BOUND.copy}`)
    }
    return wrong.length === 0 ? undefined : `${flow}, QoS ${of('qos')}, ${of('readings_per_message')} per message: ${wrong.join('; ')}`
  }
}

function read (options: Options): { flows: Flow[], qoses: (0 | 1)[], readings: number[], rounds: number, count: number } {
  const list = <T>(name: string, of: readonly T[]): T[] => options[name].split(',').filter(one => one !== '').map(one => {
    const found = of.find(o => String(o) === one)
    if (found === undefined) throw new Error(`--${name} is some of ${of.join(',')}, not ${options[name]}`)
    return found
  })
  const rounds = Number(options.rounds), count = Number(options.messages)
  if (!(Number.isInteger(rounds) && rounds >= 1 && Number.isInteger(count) && count >= SERIES && count % SERIES === 0)) throw new Error(`--rounds must be 1 or more, --messages a multiple of ${SERIES}`)
  return { flows: list('flows', ['PASS', 'STATS', 'PRED']), qoses: list('qos', [0, 1]), readings: list('readings', [1, MANY]), rounds, count }
}

/** One reading per message, at a steady rate. PRED has a floor of its own, with as many columns. */
async function oneEach (setting: Setting, qos: 0 | 1, flows: readonly Flow[]): Promise<Figures[]> {
  const { rounds, count, say } = setting
  return await contest(setting, async (start, open) => {
    const floors = { narrow: await open(() => openFloor(setting, qos, start)), wide: flows.includes('PRED') ? await open(() => openFloor(setting, qos, start, ADDED)) : undefined }
    const contestants = new Map<Flow | keyof typeof floors, Contestant>([['narrow', floors.narrow]])
    for (const flow of flows) {
      if (flow === 'PRED') contestants.set('wide', floors.wide!)
      contestants.set(flow, await open(() => openEngine(setting, flow, `${flow}-${qos}`, qos, start)))
    }
    return contestants
  }, async (contestants, publisher) => {
    const taken = new Map([...contestants.keys()].map(name => [name, [] as Turn[]]))
    for (const contestant of contestants.values()) await turnOf(setting, contestant, publisher, { qos, from: 0, count: WARM * count, rate: 0, readings: 1 })
    for (let k = 0; k < rounds; k++) for (const [name, contestant] of contestants) taken.get(name)!.push(await turnOf(setting, contestant, publisher, { qos, from: (WARM + k) * count, count, rate: RATE, readings: 1 }))
    const outcomes = new Map<string, Outcome & { readonly commits: number }>()
    for (const [name, contestant] of contestants) outcomes.set(name, { ...await contestant.check((WARM + rounds) * count), commits: await contestant.commits() })
    say(`QoS ${qos}: every value, time, window and alert in the database is right`)
    const lines: Figures[] = []
    for (const flow of flows) {
      const own = taken.get(flow)!, under = taken.get(flow === 'PRED' ? 'wide' : 'narrow')!, floor = outcomes.get(flow === 'PRED' ? 'wide' : 'narrow')!
      const ratio = spread(own.map((t, i) => t.us / under[i].us)), both = spread(own.map((t, i) => t.withDatabase / under[i].withDatabase)), us = spread(own.map(t => t.us)), least = spread(under.map(t => t.us))
      lines.push({
        flow, qos, readings_per_message: 1, messages_per_s: Math.round(spread(own.map(t => t.rate)).median), readings_per_s: Math.round(spread(own.map(t => t.rate)).median),
        cpu_us_per_message: round(us.median), floor_cpu_us_per_message: round(least.median), ratio_to_floor: round(ratio.median), ratio_to_floor_with_database: round(both.median), ...outcomes.get(flow)!, rss_mb: await megabytes(contestants.get(flow)!),
        cpu_us_per_message_with_database: round(spread(own.map(t => t.withDatabase)).median), floor_cpu_us_per_message_with_database: round(spread(under.map(t => t.withDatabase)).median), floor_lost: floor.lost, floor_duplicated: floor.duplicated, floor_commits: floor.commits,
        rounds, messages: rounds * count, cpu_us_per_message_spread: [round(us.low), round(us.high)], floor_cpu_us_per_message_spread: [round(least.low), round(least.high)],
        ratio_to_floor_spread: [round(ratio.low), round(ratio.high)], ratio_to_floor_with_database_spread: [round(both.low), round(both.high)]
      })
    }
    return lines
  })
}

/** Many readings per message, as fast as they go. */
async function many (setting: Setting, qos: 0 | 1): Promise<Figures[]> {
  const { rounds, count: given, server } = setting, base = Math.max(SERIES, Math.floor(given / 2 / SERIES) * SERIES)
  return await contest(setting, async (start, open) => new Map<'copy' | 'PASS' | 'FEATURES', Contestant>([
    ['copy', await open(async () => {
      const database = await freshDatabase(server.url), process = new Measured('bench/copier', [database.url, `${start}`])
      await process.says('ready')
      return { process, prefix: 'copy', written: async () => 0, check: count => checkFloor(database.url, start, count), commits: () => commitsOf(database.url, 'floor'), close: async () => { await process.stop(); await database.stop() } }
    })],
    ['PASS', await open(() => openEngine(setting, 'PASS', `PASS-many-${qos}`, qos, start))],
    ['FEATURES', await open(() => openEngine(setting, 'FEATURES', `FEATURES-many-${qos}`, qos, start))]
  ]), async (contestants, publisher) => {
    const copied: number[] = [], taken = { PASS: [] as Turn[], FEATURES: [] as Turn[] }
    for (let k = 0; k <= rounds; k++) {
      const { process } = contestants.get('copy')!
      await process.ask({ from: k * base * MANY, count: base * MANY })
      await publisher.ask({ prefix: 'copy', qos, from: k * base, count: base, rate: 0, readings: MANY } satisfies Order)
      const [ms] = await Promise.all([process.ask<number>('go'), publisher.ask('go')])
      if (k > 0) copied.push(base * MANY / ms * 1000)
      for (const flow of ['PASS', 'FEATURES'] as const) {
        const count = base * LARGE[flow], turn = await turnOf(setting, contestants.get(flow)!, publisher, { qos, from: k * count, count, rate: 0, readings: MANY })
        if (k > 0) taken[flow].push(turn)
      }
    }
    const { lost, duplicated } = await contestants.get('copy')!.check((rounds + 1) * base * MANY)
    mustEqual('rows of raw COPY that are missing or there twice', lost + duplicated, 0)
    const lines: Figures[] = []
    for (const flow of ['PASS', 'FEATURES'] as const) {
      const rate = spread(taken[flow].map(t => t.rate)), ratio = spread(taken[flow].map((t, i) => t.rate * MANY / copied[i])), contestant = contestants.get(flow)!
      lines.push({
        flow, qos, readings_per_message: MANY, messages_per_s: Math.round(rate.median), readings_per_s: Math.round(MANY * rate.median), cpu_us_per_message: round(spread(taken[flow].map(t => t.us)).median),
        cpu_us_per_message_with_database: round(spread(taken[flow].map(t => t.withDatabase)).median),
        ...flow === 'PASS' ? { copy_rows_per_s: Math.round(spread(copied).median), ratio_to_copy: round(ratio.median), ratio_to_copy_spread: [round(ratio.low), round(ratio.high)] } : {},
        ...await contestant.check((rounds + 1) * base * LARGE[flow] * MANY), rss_mb: await megabytes(contestant), rounds, messages: rounds * base * LARGE[flow], readings_per_s_spread: [Math.round(MANY * rate.low), Math.round(MANY * rate.high)]
      })
    }
    setting.say(`QoS ${qos}, ${MANY} per message: every row and window in the database is right`)
    return lines
  })
}

/** Opens contestants and a publisher, and closes them whatever happens. */
async function contest<K extends string> ({ port }: Setting, open: (start: number, opened: (make: () => Promise<Contestant>) => Promise<Contestant>) => Promise<Map<K, Contestant>>, work: (contestants: Map<K, Contestant>, publisher: Measured) => Promise<Figures[]>): Promise<Figures[]> {
  const start = Date.now() * 1000, opened: { close (): Promise<void> }[] = [], publisher = new Measured('bench/publish', [`${port}`, `${start}`])
  try {
    const connected = new Promise(resolve => publisher.child.once('message', resolve))
    const contestants = await open(start, async make => {
      const contestant = await make()
      opened.push(contestant)
      return contestant
    })
    await connected
    return await work(contestants, publisher)
  } finally {
    await publisher.stop()
    for (const contestant of opened) await contestant.close()
  }
}

async function openEngine ({ server, port }: Setting, flow: Flow, name: string, qos: 0 | 1, start: number): Promise<Contestant> {
  const folder = temporary('ingest'), database = await freshDatabase(server.url), file = join(folder, 'pipeline.json'), prefix = name.toLowerCase()
  writeFileSync(file, JSON.stringify(pipelineOf(flow, prefix, `mqtt://127.0.0.1:${port}`, qos)))
  const process = new Measured('engine/main', ['run', file, '--database', database.url, '--http', 'off', '--folder', folder])
  await process.says('subscribed')
  const client = new pg.Client(database.url)
  await client.connect()
  return {
    process, prefix, check: count => check(flow, database.url, start, count), commits: () => commitsOf(database.url, TABLE),
    written: async () => Number((await client.query("SELECT received FROM counts WHERE pipeline = $1 AND branch = ''", [prefix])).rows[0]?.received ?? 0),
    async close () {
      await process.stop()
      await client.end()
      await database.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

async function openFloor ({ server, port }: Setting, qos: 0 | 1, start: number, added?: typeof ADDED): Promise<Contestant> {
  const database = await freshDatabase(server.url), prefix = added === undefined ? 'floor' : 'wide'
  const process = new Measured('bench/floor', [`mqtt://127.0.0.1:${port}`, prefix, `${qos}`, database.url, ...added === undefined ? [] : [`${added.filled}`, `${added.empty}`]])
  await process.says('subscribed')
  return {
    process, prefix, written: () => process.ask('written'), check: count => checkFloor(database.url, start, count), commits: () => commitsOf(database.url, 'floor'),
    async close () {
      await process.stop()
      await database.stop()
    }
  }
}

async function turnOf ({ cpu }: Setting, contestant: Contestant, publisher: Measured, order: Omit<Order, 'prefix'>): Promise<Turn> {
  const { process, prefix } = contestant, { count, qos, readings } = order, expected = (order.from + count) * readings
  await publisher.ask({ prefix, ...order } satisfies Order)
  const before = await process.mark(), database = cpu(), began = performance.now()
  await publisher.ask('go')
  let seen = -1, since = 0
  await until(`${expected} readings of ${prefix} are committed`, async () => {
    const n = await contestant.written()
    if (n !== seen) { seen = n; since = performance.now() }
    return n >= expected || (qos === 0 && performance.now() - since > 3000)       // at QoS 0 until no more come
  }, 60_000, 20)
  const seconds = (since - began) / 1000
  await sleep(SETTLE)
  const after = await process.mark(), us = after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system
  return { us: us / count, withDatabase: (us + cpu() - database) / count, rate: count / seconds }
}

const commitsOf = async (url: string, table: string): Promise<number> => (await query(url, `SELECT count(DISTINCT xmin::text)::int AS n FROM ${table}`))[0].n

const megabytes = async ({ process }: Contestant): Promise<number> => Math.round((await process.mark()).rss / 2 ** 20)
