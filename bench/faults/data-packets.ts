import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { generate, type Packet } from 'mqtt-packet'
import { Publisher } from '../publisher.ts'
import { until } from '../services.ts'
import { chance, inPlace, judge, type Engine, type Place } from './data-rig.ts'
import type { Row } from './data-row.ts'

const DECLARED = 268_435_455         // the most that a header of MQTT can say
const SOCKETS = 50, FLOOD = 4 * 2 ** 20
const PER_CONNECTION = 2, AT_ONCE = 32, ANSWER = 500         // mutated packets; connections; ms
const MB = 2 ** 20

type Program = Awaited<ReturnType<Place['program']>>

/** Sends the header of a packet that declares so many bytes, after a CONNECT or before. Resolves with whether the other side ends the connection. */
export function cutOff (port: number, declared: number, connected: boolean, within = 5000): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    const done = (is: boolean) => { clearTimeout(late); socket.destroy(); resolve(is) }
    const late = setTimeout(() => done(false), within)
    socket.on('error', () => {}).on('close', () => done(true))
    const bomb = () => socket.write(Buffer.concat([header(connected ? 0x32 : 0x10, declared), Buffer.from([0, 3, 97, 47, 98, 0, 1, 0x7b])]))
    if (connected) socket.once('data', bomb).write(connectPacket(`bomb-${performance.now()}`))
    else bomb()
  })
}

/** Type and flags, and the length in up to four bytes (MQTT 3.1.1, section 2.2.3). */
function header (first: number, length: number): Buffer {
  const bytes = [first]
  do {
    bytes.push(length % 128 | (length > 127 ? 128 : 0))
    length = Math.floor(length / 128)
  } while (length > 0)
  return Buffer.from(bytes)
}

const connectPacket = (clientId: string): Buffer => generate({ cmd: 'connect', clientId, protocolId: 'MQTT', protocolVersion: 4, clean: true, keepalive: 60 })

/** A connection that declares the largest packet there is and goes on to send it. Resolves when it is over, at the latest when FLOOD is sent. */
function flood (port: number): Promise<void> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1').on('error', () => {}).on('close', () => resolve())
    const part = Buffer.alloc(64 * 1024, 0x61)
    socket.write(header(0x10, DECLARED))
    const more = () => {
      while (socket.bytesWritten + socket.writableLength < FLOOD) if (!socket.write(part)) return void socket.once('drain', more)
      setTimeout(() => socket.destroy(), 1000)
    }
    more()
  })
}

/** The largest memory of the process while `work` is under way. */
async function peakDuring (engine: Program, work: Promise<unknown>): Promise<number> {
  let over = false, peak = 0
  void work.finally(() => { over = true })
  do {
    peak = Math.max(peak, (await engine.process.mark()).rss)
    await sleep(10)
  } while (!over)
  return Math.max(peak, (await engine.process.mark()).rss)
}

export const bomb: Row = {
  id: 'B4', name: 'packet bombs: 268 MB declared on 50 connections before any CONNECT',
  rounds: { commit: 1, nightly: 10 },
  run: ({ rounds, say }) => inPlace(async place => {
    const engine = await place.program({})
    await Promise.all(Array.from({ length: 10 }, () => flood(engine.port)))            // warm
    const before = await peakDuring(engine, sleep(200))
    let cut = 0, peak = 0
    for (let round = 0; round < rounds; round++) {
      cut += (await Promise.all(Array.from({ length: SOCKETS }, () => cutOff(engine.port, DECLARED, false)))).filter(is => is).length
      peak = Math.max(peak, await peakDuring(engine, Promise.all(Array.from({ length: SOCKETS }, () => flood(engine.port)))))
      cut += await cutOff(engine.port, DECLARED, true) ? 1 : 0
    }
    const sent = await place.publish([{ topic: 'a/b/c', payload: '1' }])
    const counts = await place.settled(sent + rounds)
    const growth = Math.round((peak - before) / MB * 10) / 10
    return judge({ sockets: rounds * (2 * SOCKETS + 1), cut_at_the_header: cut, rss_growth_mb: growth, rss_mb: Math.round(peak / MB) }, {
      [`only ${cut} connections were cut at the declared length`]: cut !== rounds * (SOCKETS + 1),
      [`${growth} MB more memory`]: growth > 16,
      'a good client was not heard': counts.written !== 1, 'what a connected client declared is no dead letter': counts.dead_lettered !== rounds
    }, say)
  })
}

/** Packets of every kind that a client sends, and some that it must not. */
const PACKETS: readonly Buffer[] = ([
  { cmd: 'connect', clientId: 'fuzz', protocolId: 'MQTT', protocolVersion: 4, clean: true, keepalive: 60, will: { topic: 'a/b/will', payload: Buffer.from('1'), qos: 1, retain: false } },
  { cmd: 'connect', clientId: 'fuzz', protocolId: 'MQTT', protocolVersion: 5, clean: true, keepalive: 60, username: 'u', password: Buffer.from('p'), properties: { sessionExpiryInterval: 60 } },
  { cmd: 'publish', topic: 'a/b/c', payload: '1', qos: 0, dup: false, retain: false },
  { cmd: 'publish', topic: 'a/b/c', payload: '{"ts":1700000000,"value":1}', qos: 1, dup: false, retain: true, messageId: 7 },
  { cmd: 'publish', topic: 'a/b/c', payload: '1', qos: 2, dup: true, retain: false, messageId: 8 },
  { cmd: 'pubrel', messageId: 8 }, { cmd: 'puback', messageId: 7 }, { cmd: 'pubrec', messageId: 8 }, { cmd: 'pubcomp', messageId: 8 },
  { cmd: 'subscribe', messageId: 9, subscriptions: [{ topic: 'a/+/c', qos: 1 }, { topic: '#', qos: 0 }] }, { cmd: 'unsubscribe', messageId: 10, unsubscriptions: ['a/+/c'] },
  { cmd: 'pingreq' }, { cmd: 'disconnect' }, { cmd: 'connack', returnCode: 0, sessionPresent: false }, { cmd: 'suback', messageId: 9, granted: [0] }
] as Packet[]).map(packet => generate(packet))

/** Lengths that say more than there is, nothing, or that are no lengths. */
const LENGTHS = [[0xff, 0xff, 0xff, 0x7f], [0xff, 0xff, 0xff, 0xff], [0xff, 0xff, 0xff, 0xff, 0x7f], [0x80, 0x80, 0x80, 0x00], [0x80, 0x00], [0x00], [0xff, 0x7f]]

function mutate (packet: Buffer, random: () => number): Buffer {
  let bytes = Buffer.from(packet)
  const below = (n: number) => Math.floor(random() * n)
  if (random() < 0.2) return Buffer.concat([packet.subarray(0, 1), Buffer.from(LENGTHS[below(LENGTHS.length)]), packet.subarray(2)])
  for (let changes = below(3); changes >= 0; changes--) {
    const at = below(bytes.length + 1)
    switch (below(6)) {
      case 0: if (at < bytes.length) bytes[at] = below(256); break
      case 1: if (at < bytes.length) bytes[at] ^= 1 << below(8); break
      case 2: bytes = bytes.subarray(0, at); break
      case 3: bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(Array.from({ length: 1 + below(8) }, () => below(256))), bytes.subarray(at)]); break
      case 4: bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + below(4)))]); break
      default: if (bytes.length > 1) bytes[1] = [0, 1, 2, 127, 128, 255][below(6)]
    }
  }
  if (bytes.length < 2 || random() < 0.1) return bytes
  const body = bytes.subarray(bytes[1] > 127 ? 3 : 2)            // else most of what follows would be taken for a part of it
  return Buffer.concat([header(bytes[0], body.length), body])
}

const HARMLESS = PACKETS.slice(2, 12)
const PINGREQ = Buffer.from([0xc0, 0]), PINGRESP = Buffer.from([0xd0, 0])

/** What becomes of a connection: its PINGREQ is answered; it is cut; or the broker waits for the rest of a packet. */
type Fate = 'survived' | 'cut' | 'waiting'

/**
 * One connection with some mutated packets among others, four of five after a CONNECT that is accepted, and many a PINGREQ behind them: so the
 * broker soon has all that a wrong length made it wait for.
 */
function attack (port: number, random: () => number): Promise<Fate> {
  const one = (of: readonly Buffer[]) => of[Math.floor(random() * of.length)]
  const bytes = Buffer.concat([...Array.from({ length: PER_CONNECTION }, () => [one(HARMLESS), mutate(one(PACKETS), random)]).flat(), ...Array.from({ length: 150 }, () => PINGREQ)])
  const greets = random() < 0.8, id = `fuzz-${Math.floor(random() * 1e6)}`
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    const done = (fate: Fate) => { clearTimeout(late); socket.destroy(); resolve(fate) }
    const late = setTimeout(() => done('waiting'), ANSWER)
    socket.on('error', () => {}).on('close', () => done('cut'))
    const go = () => { socket.on('data', data => { if (data.includes(PINGRESP)) done('survived') }).write(bytes) }
    if (greets) socket.once('data', go).write(connectPacket(id))
    else go()
  })
}

/** A client that does everything right, all the while: resolves, once told to stop, with how many of its messages were acknowledged. */
async function goodClient ({ port }: Engine, stopped: () => boolean): Promise<number> {
  const publisher = await Publisher.connect(port)
  let sent = 0
  for (; !stopped(); sent++) {
    publisher.publish('good/client/m', `{"ts":${1_700_000_000_000 + sent},"value":${sent}}`, 1)
    await publisher.atMost(0)
    await sleep(5)
  }
  await publisher.close()
  return sent
}

export const packets: Row = {
  id: 'B3', name: 'mutated MQTT packets against the embedded broker',
  rounds: { commit: 2000, nightly: 2_000_000, release: 10_000_000 },
  run: ({ seed, rounds, say }) => inPlace(async place => {
    const engine = await place.program({})
    const random = chance(seed), became: Record<Fate, number> = { survived: 0, cut: 0, waiting: 0 }
    const total = Math.ceil(rounds / PER_CONNECTION)
    let left = total, over = false
    const good = goodClient(engine, () => over).catch(() => 0)
    const isAlive = () => engine.process.child.exitCode === null && engine.process.child.signalCode === null
    const rest = async () => isAlive() ? (await engine.process.rest()).rss : NaN
    const attackUntil = (end: number) => Promise.all(Array.from({ length: AT_ONCE }, async () => { 
      while (left > end) {
        left--
        const fate = await attack(engine.port, random)
        became[fate]++
      }
     }))
    await attackUntil(Math.floor(total / 2))
    const before = await rest()
    await attackUntil(0)
    const after = await rest()
    over = true
    const sent = await good
    let rows = 0
    await until('every good message has its row', async () => (rows = (await place.query(`SELECT count(*)::int AS rows FROM readings_named WHERE tenant = 'good'`))[0].rows) >= sent, 10_000).catch(() => {})
    const growth = Math.round((after - before) / MB * 10) / 10
    const [{ imbalance } = { imbalance: NaN }] = await place.query(`SELECT (received - written - late - filtered - deduplicated - dead_lettered)::int AS imbalance FROM counts WHERE branch = ''`).catch(() => [])
    return judge({ execs: total * PER_CONNECTION, connections: total, ...became, good_messages: sent, rss_mb: Math.round(after / MB), rss_growth_mb: growth }, {
      'nearly no mutated packet is taken': became.survived < total / 100, 'nearly no mutated packet is refused': became.cut < total / 100,
      'the engine is dead': !isAlive(),
      [`the good client has ${rows} rows for ${sent} messages`]: rows !== sent || sent < 10,
      [`${growth} MB more memory in the second half`]: growth > 16, 'the accounting is off': imbalance !== 0
    }, say)
  })
}
