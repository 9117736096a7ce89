/**
 * The publisher, in a process of its own, which nobody kills: publishes what the plan says at its rate until it is told to
 * 'stop', waits until everything is acknowledged or nothing has been for a while, writes its ledger and answers with it. At
 * 'snapshot' it writes the ledger as it is and goes on; at a number it goes on at so many times the rate.
 *   node publish.ts <Task as JSON>
 */
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { CorePublisher } from './core.ts'
import { Device } from './device.ts'
import { StreamPublisher } from './jetstream.ts'
import { Requests } from './requests.ts'
import { deviceOf, nameOf, payloadOf, readingOf, type Plan } from './readings.ts'

/** `ledger`: file with a byte for each message that was attempted, 1 when it was acknowledged. */
export interface Task { readonly plan: Plan, readonly times: number, readonly ledger: string, readonly to: { readonly mqtt: number } | { readonly http: number, readonly key: string } | { readonly nats: string } | { readonly core: string } }
/** `replayed`: requests that were answered as taken before. */
export interface Ledger { readonly attempted: number, readonly acked: number, readonly replayed?: number }

const CONNECTIONS = 4                // a device is always on the same one, so that its readings stay in order
const PATIENCE = 60_000              // ms without any acknowledgement

const { plan, times, ledger: file, to } = JSON.parse(process.argv[2]) as Task
const publishers = 'mqtt' in to ? Array.from({ length: CONNECTIONS }, (_, i) => new Device(to.mqtt, `kill-device-${i}`)) : 'http' in to ? Array.from({ length: CONNECTIONS }, () => new Requests(to.http, to.key)) : 'core' in to ? [await CorePublisher.connect(to.core)] : [await StreamPublisher.connect(to.nats)]
const separator = 'mqtt' in to || 'http' in to ? '/' : '.'

let ledger = new Uint8Array(1 << 16), attempted = 0, acked = 0, stopping = false
let pace = { since: performance.now(), from: 0, times }
process.on('message', what => {
  if (what === 'stop') stopping = true
  else if (typeof what === 'number') pace = { since: performance.now(), from: attempted, times: what }
  else answer()
}).on('disconnect', () => process.exit())

while (!stopping) {
  const due = pace.from + Math.floor((performance.now() - pace.since) / 1000 * plan.rate * pace.times)
  while (attempted < due && send());
  await sleep(5)
}
const left = () => publishers.reduce((n, p) => n + p.left, 0)
for (let since = performance.now(), seen = acked; left() > 0 && performance.now() - since < PATIENCE; await sleep(20)) {
  if (acked > seen) since = performance.now()
  seen = acked
}
answer()

function answer (): void {
  writeFileSync(file, ledger.subarray(0, attempted))
  const replayed = publishers.reduce((n, p) => n + ('replayed' in p ? p.replayed : 0), 0)
  process.send!({ attempted, acked, ...'http' in to ? { replayed } : {} } satisfies Ledger)
}

/** Publishes the next message; false when its connection has no room. */
function send (): boolean {
  const message = attempted, reading = readingOf(plan, message)
  const publisher = publishers[deviceOf(reading.series) % publishers.length]
  if (!publisher.room) return false
  if (message === ledger.length) {
    const longer = new Uint8Array(2 * ledger.length)
    longer.set(ledger)
    ledger = longer
  }
  attempted++
  publisher.publish(`kill/${nameOf(reading.series)}`.replaceAll('/', separator), payloadOf(plan, reading), () => { ledger[message] = 1; acked++ }, String(message))
  return true
}
