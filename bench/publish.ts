/**
 * A publisher in a process of its own: for each Order on the IPC channel it publishes that many messages at that rate and
 * answers when the broker has acknowledged them (QoS 1) or they are sent.
 *   node publish.ts <port> <event time of reading 0, us since 1970>
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { payloadOf, topicOf, type Order } from './messages.ts'
import { Publisher } from './publisher.ts'

const WINDOW = 1000                  // messages under way
const AHEAD = 500                    // messages that may stand in our own buffer when there is no rate
const [port, start] = process.argv.slice(2).map(Number)
const publisher = await Publisher.connect(port)

process.on('message', (order: Order | 'mark') => { if (order !== 'mark') void publish(order) })
process.send!('connected')

async function publish ({ prefix, qos, from, count, rate, readings }: Order): Promise<void> {
  const began = performance.now()
  for (let sent = 0; sent < count;) {
    const due = rate === 0 ? Math.min(count, sent + AHEAD) : Math.min(count, Math.ceil((performance.now() - began) / 1000 * rate))
    while (sent < due && publisher.underWay < WINDOW) {
      const n = from + sent++
      publisher.publish(topicOf(prefix, n), payloadOf(start, n, readings), qos)
    }
    if (rate === 0) await publisher.drained()
    else await sleep(5)
  }
  await publisher.atMost(0)
  process.send!('published')
}
