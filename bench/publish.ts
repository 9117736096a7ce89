/**
 * A publisher in a process of its own: for each Order on the IPC channel it publishes that many messages at that rate and
 * answers when the broker has acknowledged them (QoS 1) or they are sent. It writes packets itself, so that it costs little.
 *   node publish.ts <port> <event time of message 0, us since 1970>
 */
import { connect } from 'node:net'
import { generate, parser, type Packet } from 'mqtt-packet'
import { payloadOf, topicOf, type Order } from './messages.ts'

const WINDOW = 1000                  // messages under way
const [port, start] = process.argv.slice(2).map(Number)

const socket = connect(port, '127.0.0.1').setNoDelay()
const send = (packet: Packet) => socket.write(generate(packet))
let acknowledged = 0
let moved = () => {}
const incoming = parser().on('packet', ({ cmd }: Packet) => {
  if (cmd === 'connack') process.send!('connected')
  if (cmd === 'puback') acknowledged++
  moved()
})
socket.on('data', data => { incoming.parse(data) }).on('error', error => { throw error })
send({ cmd: 'connect', clientId: `publisher-${process.pid}`, protocolId: 'MQTT', protocolVersion: 4, clean: true, keepalive: 0 })

process.on('message', (order: Order | 'mark') => {
  if (order === 'mark') return
  const { prefix, qos, from, count, rate } = order
  const began = performance.now(), before = acknowledged
  let sent = 0
  const go = () => {
    const due = Math.min(count, Math.ceil((performance.now() - began) / 1000 * rate))
    while (sent < due && (qos === 0 || sent - (acknowledged - before) < WINDOW)) {
      const n = from + sent++
      send({ cmd: 'publish', topic: topicOf(prefix, n), payload: payloadOf(start, n), qos, dup: false, retain: false, ...qos === 1 ? { messageId: n % 65_535 + 1 } : {} })
    }
    if (sent < count || (qos === 1 && acknowledged - before < count)) return
    moved = () => {}
    clearInterval(timer)
    process.send!('published')
  }
  const timer = setInterval(go, 5)
  moved = go
})
