/**
 * The floor of `jetstream`: an ordered consumer that counts. Reads the stream once, and answers with messages/s from the first to the last
 * and the sum of their sequences.
 *   node consumer.ts <server> <stream> <messages>
 */
import { jetstream } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'

const [servers, stream, count] = process.argv.slice(2), connection = await connect({ servers })
const consumer = await jetstream(connection).consumers.get(stream)
let seen = 0, sum = 0, began = 0
const done = new Promise<void>(resolve => {
  void consumer.consume({ max_messages: 5000, callback: message => {
    if (seen++ === 0) began = performance.now()
    sum += message.seq
    if (seen === Number(count)) resolve()
  } })
})
await done
process.send!({ rate: (seen - 1) / (performance.now() - began) * 1000, sum })
await connection.close()
