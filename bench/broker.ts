import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { mustEqual, round, spread, type Benchmark, type Figures } from './measure.ts'
import { payloadOf, type Order } from './messages.ts'
import { Measured, temporary, until } from './services.ts'

const COUNT = 10_000, ROUNDS = 7, SETTLE = 200
const LOADS = { full: 0, steady: 5000 } as const             // messages/s; 0: as fast as they are acknowledged. Full first: at a steady rate code takes long to be compiled
const BOUND = 1.5

interface Contestant { readonly process: Measured, readonly publisher: Measured }
interface Turn { readonly us: number, readonly rate: number }

/**
 * The embedded broker with its log, QoS 1: a PUBACK when a message is on the disk; against aedes alone with a handler that counts, which
 * keeps nothing. One client with at most 1,000 messages under way. CPU is user and system of the process that is the broker, in turns.
 */
export const broker: Benchmark = {
  summary: 'the embedded broker, QoS 1, durable, against aedes alone with a handler that counts',
  unit: 'load',
  options: { messages: { type: 'string', default: String(COUNT) }, rounds: { type: 'string', default: String(ROUNDS) } },
  check ({ messages, rounds }) { if (!(Number(messages) >= 1000 && Number(rounds) >= 1)) throw new Error('--messages must be at least 1,000, --rounds at least 1') },
  async run (say, options) {
    const folder = temporary('broker'), start = Date.now() * 1000, count = Number(options.messages), rounds = Number(options.rounds), opened: Measured[] = []
    const open = async (process: Measured): Promise<Contestant> => {
      opened.push(process)
      await process.says('listening')
      const publisher = new Measured('bench/publish', [(await process.found(/listening \d+\./)).slice(10, -1), `${start}`])
      opened.unshift(publisher)
      await new Promise(resolve => publisher.child.once('message', resolve))
      return { process, publisher }
    }
    try {
      const own = await open(new Measured('bench/listen', [join(folder, 'log')])), floor = await open(new Measured('bench/aedes', []))
      const lines: Figures[] = []
      let from = 0
      for (const [load, rate] of Object.entries(LOADS)) {
        const taken: Record<'own' | 'floor', Turn[]> = { own: [], floor: [] }
        for (let k = 0; k <= rounds; k++, from += count) {
          for (const [name, contestant] of Object.entries({ own, floor }) as [keyof typeof taken, Contestant][]) {
            const turn = await turnOf(contestant, { prefix: 'plant', qos: 1, from, count, rate, readings: 1 })
            if (k > 0) taken[name].push(turn)
          }
        }
        const us = spread(taken.own.map(t => t.us)), least = spread(taken.floor.map(t => t.us)), ratio = spread(taken.own.map((t, i) => t.us / taken.floor[i].us))
        lines.push({
          load, qos: 1, messages_per_s: Math.round(spread(taken.own.map(t => t.rate)).median), floor_messages_per_s: Math.round(spread(taken.floor.map(t => t.rate)).median), cpu_us_per_message: round(us.median), floor_cpu_us_per_message: round(least.median), ratio_to_floor: round(ratio.median),
          rounds, messages: rounds * count, cpu_us_per_message_spread: [round(us.low), round(us.high)], floor_cpu_us_per_message_spread: [round(least.low), round(least.high)], ratio_to_floor_spread: [round(ratio.low), round(ratio.high)]
        })
      }
      const times = new Map(Object.entries(await own.process.ask<Record<string, number>>('read')))
      let lost = 0, duplicated = 0
      for (let n = 0; n < from; n++) {
        const found = times.get(payloadOf(start, n, 1)) ?? 0
        lost += Number(found === 0)
        duplicated += Math.max(0, found - 1)
      }
      mustEqual('messages that aedes counted', await floor.process.ask('count'), from)
      mustEqual('different messages in the log', times.size, from - lost)
      say('every message that was acknowledged is in the log')
      return lines.map(line => ({ ...line, lost, duplicated }))
    } finally {
      for (const process of opened) await process.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  },
  fault (figures) {
    const { load, ratio_to_floor: ratio, lost, duplicated } = figures as Record<string, number>
    return lost + duplicated > 0 ? `broker: ${lost} lost, ${duplicated} duplicated` : ratio > BOUND ? `broker, ${load}: ratio_to_floor is ${ratio}, more than ${BOUND}` : undefined
  }
}

async function turnOf ({ process, publisher }: Contestant, order: Order): Promise<Turn> {
  await publisher.ask(order)
  const before = await process.mark(), began = performance.now(), { count } = order
  await publisher.ask('go')
  const seconds = (performance.now() - began) / 1000
  await until('all are counted', async () => await process.ask<number>('count') >= order.from + count)
  await sleep(SETTLE)
  const after = await process.mark()
  return { us: (after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system) / count, rate: count / seconds }
}
