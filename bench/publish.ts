/**
 * A publisher in a process of its own: for each Order on the IPC channel it makes that many messages and says 'made'; on 'go' it publishes
 * them at that rate and answers when the broker has acknowledged them (QoS 1) or they are sent.
 *   node publish.ts <port> <event time of reading 0, us since 1970>
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { payloadOf, topicOf, type Order } from './messages.ts'
import { Publisher } from './publisher.ts'

const WINDOW = 1000                  // messages under way
const TOGETHER = 50                  // messages of one write when there is no rate
const [port, start] = process.argv.slice(2).map(Number)
const publisher = await Publisher.connect(port)
let packets: Buffer[] = [], order: Order

process.on('message', (message: Order | 'go' | 'mark') => {
  if (message === 'go') return void publish()
  if (message === 'mark') return
  order = message
  const { prefix, qos, from, count, readings } = order
  packets = Array.from({ length: count }, (_, i) => publisher.prepare(topicOf(prefix, from + i), payloadOf(start, from + i, readings), qos))
  process.send!('made')
})
process.send!('connected')

async function publish (): Promise<void> {
  const { qos, count, rate } = order, began = performance.now()
  for (let sent = 0; sent < count;) {
    const due = rate === 0 ? Math.min(count, sent + TOGETHER) : Math.min(count, Math.ceil((performance.now() - began) / 1000 * rate))
    if (rate === 0) {
      await publisher.atMost(WINDOW - TOGETHER)
      publisher.put(packets.slice(sent, due), qos)
      sent = due
      await publisher.drained()
    } else {
      while (sent < due && publisher.underWay < WINDOW) publisher.put([packets[sent++]], qos)
      await sleep(5)
    }
  }
  packets = []
  await publisher.atMost(0)
  process.send!('published')
}
