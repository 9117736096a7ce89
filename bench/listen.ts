/**
 * The embedded broker and its log, without a pipeline that reads them: answers 'count' on the IPC channel with how many messages are
 * durable, and 'read' with how often each number that a payload begins with stands in the log.
 *   node listen.ts <folder>
 */
import { pino } from 'pino'
import { Journal } from '../engine/journal.ts'
import { readMessage } from '../engine/message.ts'
import { kinds } from '../engine/wal-segment.ts'
import { broker } from '../connectors/broker.ts'

const journal = await Journal.open(broker({ port: 0, topics: '{tenant}/{device}/{metric}' }), { folder: process.argv[2], log: pino({ level: 'silent' }), client: 'bench', pipelines: ['bench'], tick: 1000 }, new AbortController().signal)
journal.listen()
const before = journal.wal.durable
process.on('message', message => {
  if (message === 'count') process.send!(journal.wal.durable - before)
  if (message === 'read') void read().then(times => process.send!(times))
})
process.once('SIGTERM', () => { void journal.close().then(() => process.exit()) })
while (journal.address() === undefined) await new Promise(resolve => setTimeout(resolve, 10))
console.log(`listening ${journal.address()!.split(':').at(-1)!}.`)

async function read (): Promise<Record<string, number>> {
  const reader = journal.wal.reader(before), times = new Map<string, number>()
  while (reader.position < journal.wal.durable) {
    await reader.read((_, kind, __, bytes, from, to) => {
      if (kind !== kinds.message) return
      const key = bytes.toString('latin1', readMessage(bytes, from).payload, to)
      times.set(key, (times.get(key) ?? 0) + 1)
    })
  }
  await reader.close()
  return Object.fromEntries(times)
}
