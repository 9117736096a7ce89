import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mosquitto } from '../test/support/mosquitto.ts'
import type { Flow, Outcome } from './ingest-flows.ts'
import { mustEqual, round, spread, type Benchmark, type Figures, type Options } from './measure.ts'
import { SERIES } from './messages.ts'
import { Contestant, type Ring, type Turn } from './peers/contestant.ts'
import { ekuiper } from './peers/ekuiper.ts'
import { millrace } from './peers/millrace.ts'
import { nodeRed } from './peers/node-red.ts'
import type { Candidate, Peer } from './peers/peer.ts'
import { redpandaConnect } from './peers/redpanda-connect.ts'
import { telegraf } from './peers/telegraf.ts'
import { Measured, postgresServer, serverCpu } from './services.ts'

const candidates: readonly Candidate[] = [nodeRed, telegraf, redpandaConnect, ekuiper], comparable = ['STATS', 'PASS'] as const satisfies readonly Flow[]
const LOADS = { steady: 5000, full: 0 } as const, KILL_RATE = 2000      // messages/s; 0: as fast as the broker takes them
const WARM = 3                       // times as many messages as in a round, at full speed, so that all code is compiled before it is measured
const OF_KILL = 6000                 // messages around each kill
const THIRD = 1 / 3                  // of Node-RED's CPU on STATS, at most; of the others less than theirs

/**
 * Other programs that bring MQTT messages into PostgreSQL, each set up as well as it can be (bench/peers), beside ours: the same mosquitto, the
 * same publisher, the same database, QoS 1, a session that survives. CPU is user and system of all processes of a contestant, from the first message
 * to 0.3 s after the last row, in turns, at 5,000 messages/s and as fast as the broker takes them; who does not keep up is waited for. Before
 * that, with rows alone, each is killed with SIGKILL while messages come, and started again at once: which of those that the broker had
 * acknowledged are missing, which are there twice.
 */
export const peers: Benchmark = {
  summary: 'other programs that bring MQTT messages into PostgreSQL: CPU per message, what kill -9 loses and doubles',
  unit: 'peer and flow',
  options: {
    peers: { type: 'string', default: candidates.map(({ name }) => name).join(',') }, flows: { type: 'string', default: comparable.join(',') }, loads: { type: 'string', default: Object.keys(LOADS).join(',') },
    rounds: { type: 'string', default: '5' }, messages: { type: 'string', default: '10000' }, kills: { type: 'string', default: '3' },
    cache: { type: 'string', default: join(tmpdir(), 'millrace-peers') }, bin: { type: 'string', default: '' }
  },
  check (options) { read(options) },
  async run (say, options) {
    const { wanted, flows, kills, ...amount } = read(options), found: Peer[] = []
    for (const candidate of wanted) {
      const peer = await candidate.find(options as { cache: string, bin: string })
      if (typeof peer === 'string') say(`not installed: ${candidate.name}: ${peer}`)
      else found.push(peer)
    }
    if (found.length === 0) throw new Error('none of the peers is here')
    const start = Date.now() * 1000, broker = await mosquitto({ config: 'max_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true' }), server = await postgresServer()
    const publisher = new Measured('bench/publish', [`${broker.port}`, `${start}`])
    try {
      await new Promise(resolve => publisher.child.once('message', resolve))
      const ring: Ring = { server, cpu: await serverCpu(server.url), port: broker.port, publisher, start }, left = new Map<string, Outcome>()
      for (const peer of kills === 0 ? [] : [millrace, ...found]) {
        const { lost, duplicated } = await kill(ring, peer, kills)
        say(`${peer.name} ${peer.version}, killed ${kills} times: of ${kills * OF_KILL} messages ${lost} lost, ${duplicated} duplicated`)
        if (peer === millrace) mustBeWhole('PASS under kill -9', { lost, duplicated })
        left.set(peer.name, { lost, duplicated })
      }
      const lines: Figures[] = []
      for (const flow of flows) lines.push(...await compare(ring, flow, found.filter(peer => peer.flows.includes(flow)), amount))
      return lines.map(line => ({ ...line, ...left.get(line.peer as string), ...kills > 0 ? { kills, messages_around_kills: kills * OF_KILL, ours_lost: 0, ours_duplicated: 0 } : {} }))
    } finally {
      await publisher.stop()
      await broker.stop()
      await server.stop()
    }
  },
  fault ({ peer, flow, load, ratio_to_peer: ratio }) {
    const most = peer === nodeRed.name && flow === 'STATS' ? THIRD : 1
    return Number(ratio) > most ? `${peer as string}, ${flow as string}, ${load as string}: ours takes ${Number(ratio)} of its CPU per message, more than ${round(most)}` : undefined
  }
}

type Load = keyof typeof LOADS
interface Amount { readonly rounds: number, readonly count: number, readonly loads: readonly Load[] }

function read (options: Options): Amount & { readonly wanted: readonly Candidate[], readonly flows: readonly Flow[], readonly kills: number } {
  const some = <T>(name: string, of: readonly T[], called: (one: T) => string): T[] => options[name].split(',').map(one => {
    const found = of.find(o => called(o) === one)
    if (found === undefined) throw new Error(`--${name} is some of ${of.map(called).join(',')}, not ${options[name]}`)
    return found
  })
  const rounds = Number(options.rounds), kills = Number(options.kills), count = Number(options.messages)
  if (!(Number.isInteger(rounds) && rounds >= 1 && Number.isInteger(kills) && kills >= 0 && Number.isInteger(count) && count >= SERIES && count % SERIES === 0)) throw new Error(`--rounds must be 1 or more, --kills 0 or more, --messages a multiple of ${SERIES}`)
  return { wanted: some('peers', candidates, ({ name }) => name), flows: some('flows', comparable, flow => flow), loads: some('loads', Object.keys(LOADS) as Load[], load => load), rounds, count, kills }
}

const mustBeWhole = (what: string, { lost, duplicated }: Outcome): void => { mustEqual(`readings of ${what} that ours has lost or doubled`, lost + duplicated, 0) }

/** What a peer has of all messages after it was killed so many times. */
async function kill (ring: Ring, peer: Peer, kills: number): Promise<Outcome> {
  const contestant = await Contestant.open(ring, peer, 'PASS', `${peer.name}-killed`)
  try {
    for (let k = 0; k < kills; k++) await contestant.killed(k * OF_KILL, OF_KILL, KILL_RATE)
    return await contestant.check(kills * OF_KILL)
  } finally {
    await contestant.close()
  }
}

/** A line for each of those that can do the flow, all of them and ours in turns. */
async function compare (ring: Ring, flow: Flow, able: readonly Peer[], { rounds, count, loads }: Amount): Promise<Figures[]> {
  if (able.length === 0) return []
  const opened: Contestant[] = []
  try {
    for (const peer of [millrace, ...able]) {
      const contestant = await Contestant.open(ring, peer, flow, `${peer.name}-${flow.toLowerCase()}`)
      opened.push(contestant)
      await contestant.turn(0, WARM * count, 0)
    }
    const lines: Figures[] = []
    let from = WARM * count
    for (const [load, rate] of Object.entries(LOADS).filter(([load]) => loads.includes(load as Load))) {
      const taken = new Map(opened.map(contestant => [contestant, [] as Turn[]]))
      for (let k = 0; k < rounds; k++, from += count) for (const [contestant, turns] of taken) turns.push(await contestant.turn(from, count, rate))
      const [own, ...others] = [...taken].map(([{ peer }, turns]) => ({ peer, turns, us: spread(turns.map(t => t.us)), both: spread(turns.map(t => t.withDatabase)), rate: spread(turns.map(t => t.rate)) }))
      for (const { peer: { name, version }, turns, us, both, rate } of others) {
        const ratio = spread(own.turns.map((turn, k) => turn.us / turns[k].us))
        lines.push({
          peer: name, version, flow, load, cpu_us_per_message: round(us.median), ours_cpu_us_per_message: round(own.us.median), ratio_to_peer: round(ratio.median),
          cpu_us_per_message_with_database: round(both.median), ours_cpu_us_per_message_with_database: round(own.both.median), messages_per_s: Math.round(rate.median), ours_messages_per_s: Math.round(own.rate.median),
          rounds, messages: rounds * count, cpu_us_per_message_spread: [round(us.low), round(us.high)], ours_cpu_us_per_message_spread: [round(own.us.low), round(own.us.high)], ratio_to_peer_spread: [round(ratio.low), round(ratio.high)]
        })
      }
    }
    const outcomes = new Map<string, Outcome>()
    for (const contestant of opened) outcomes.set(contestant.peer.name, await contestant.check(from))
    mustBeWhole(flow, outcomes.get(millrace.name)!)
    return lines.map(line => {
      const { lost, duplicated } = outcomes.get(line.peer as string)!
      return { ...line, lost_without_kill: lost, duplicated_without_kill: duplicated }
    })
  } finally {
    for (const contestant of opened) await contestant.close()
  }
}
