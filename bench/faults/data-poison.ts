import { fixedPort } from '../kill/source.ts'
import { Publisher } from '../publisher.ts'
import { chance, inPlace, judge, type Message } from './data-rig.ts'
import type { Row } from './data-row.ts'

const MESSAGES = 100_000, POISON = 3000, SLICES = 10
const START = 1_700_000_000_000, DEVICES = 100
const WINDOW = 2000                  // messages under way
const POISONS = ['{"ts":', 'not JSON', '{"value":1e999}', '{"value":"hot"}', '{"ts":-1,"value":1}', '{"value":9007199254740993}', '{"__proto__":1}', '\0\x01\x02', '[]', '']

/** Messages/s, and us of CPU time of the engine per message. */
interface Slice { readonly rate: number, readonly cpu: number }

/** Messages of a slice, each of another reading; `poison` of them cannot be read. */
function* slice (name: string, from: number, count: number, poison: number, random: () => number): Generator<Message> {
  let left = poison
  for (let i = 0; i < count; i++) {
    const bad = random() < left / (count - i)
    if (bad) left--
    const n = from + i
    yield { topic: `${name}/d${n % DEVICES}/m`, payload: bad ? POISONS[n % POISONS.length] : `{"ts":${START + n},"value":${n % 1009}}` }
  }
}

export const poison: Row = {
  id: 'B5', name: '3,000 poison messages in 100,000',
  rounds: { commit: 1, nightly: 5 }, alone: true,
  run: ({ seed, rounds, stretch, say }) => inPlace(async place => {
    const http = await fixedPort(), random = chance(seed)
    const engine = await place.program({}, { http })
    const publisher = await Publisher.connect(engine.port)
    const slices = { clean: [] as Slice[], poison: [] as Slice[] }
    let total = 0
    const send = async (messages: Iterable<Message>, count: number): Promise<Slice> => {
      const before = await engine.process.mark()
      const began = performance.now()
      for (const { topic, payload } of messages) {
        publisher.publish(topic, payload, 1)
        if (publisher.underWay >= WINDOW) await publisher.atMost(WINDOW / 2)
      }
      await place.settled(total += count, 120_000)
      const seconds = (performance.now() - began) / 1000, after = await engine.process.mark()
      return { rate: count / seconds, cpu: (after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system) / count }
    }
    const count = MESSAGES / SLICES, bad = POISON / SLICES
    await send(slice('warm', 0, count / 2, 0, random), count / 2)
    for (let k = 0; k < rounds * SLICES; k++) {
      const runs: [keyof typeof slices, number][] = [['clean', 0], ['poison', bad]]
      for (const [name, poison] of k % 2 === 0 ? runs : runs.toReversed()) slices[name].push(await send(slice(name, k * count, count, poison, random), count))
    }
    await publisher.close()
    const { pipelines: [status] } = await (await fetch(`http://127.0.0.1:${http}/status`)).json() as { pipelines: { readings: Record<string, number>, imbalance: number }[] }
    const [found] = await place.query(`SELECT count(*)::int AS rows, count(*) FILTER (WHERE tenant = 'poison')::int AS beside, (SELECT count(*)::int FROM dead_letters) AS letters, (SELECT count(DISTINCT reason)::int FROM dead_letters) AS reasons FROM readings_named`)
    // the best of each: what else the machine does only makes a slice slower; CPU time tells the two apart where the machine is busy
    const best = (of: readonly Slice[]) => ({ rate: Math.round(Math.max(...of.map(s => s.rate))), cpu: Math.min(...of.map(s => s.cpu)) })
    const clean = best(slices.clean), poisoned = best(slices.poison), part = (of: number) => Math.round(of * 1000) / 1000
    const ratio = part(poisoned.rate / clean.rate), cpu = part(clean.cpu / poisoned.cpu)
    return judge({ messages: rounds * MESSAGES, poison: rounds * POISON, letters: found.letters, reasons: found.reasons, rows_beside: found.beside, messages_per_s: poisoned.rate, clean_messages_per_s: clean.rate, ratio, ratio_by_cpu: cpu, in_flight: status.readings.in_flight }, {
      [`${found.letters} dead letters for ${rounds * POISON} poison messages`]: found.letters !== rounds * POISON,
      [`${found.beside} rows for ${rounds * (MESSAGES - POISON)} good messages beside them`]: found.beside !== rounds * (MESSAGES - POISON) || found.rows !== total - rounds * POISON,
      [`${Math.round(Math.max(ratio, cpu) * 100)} % of the clean throughput`]: !(Math.max(ratio, cpu) >= 0.8 / stretch), [`${status.readings.in_flight} readings are in flight`]: status.readings.in_flight !== 0, 'the accounting is off': status.imbalance !== 0
    }, say)
  })
}
