import t from 'tap'
import { broker } from '../../bench/broker.ts'
import { jetstream } from '../../bench/jetstream.ts'
import { latency } from '../../bench/latency.ts'
import { noMosquitto } from '../support/mosquitto.ts'
import { withoutNats } from '../support/nats.ts'

t.test('broker: everything that was acknowledged is in the log once', async t => {
  const lines = await broker.run(() => {}, { messages: '2000', rounds: '1' })
  t.strictSame(lines.map(l => [l.load, l.lost, l.duplicated]), [['full', 0, 0], ['steady', 0, 0]])
  t.match(broker.fault!({ ...lines[0], ratio_to_floor: 1.51 }), /1\.51/)
  t.equal(broker.fault!({ ...lines[0], ratio_to_floor: 1.5 }), undefined)
})

t.test('jetstream: every message of the stream is a row', { skip: withoutNats, timeout: 60_000 }, async t => {
  const [line] = await jetstream.run(() => {}, { messages: '10000', rounds: '1' })
  t.strictSame([line.lost, line.duplicated], [0, 0])
  t.ok((line.ratio_to_floor as number) > 0)
  t.match(jetstream.fault!({ ...line, ratio_to_floor: 0.69 }), /0\.69/)
  t.match(jetstream.fault!({ ...line, ratio_to_floor: 1, lost: 1 }), /1 lost/)
})

t.test('latency: of every row and every alert', { skip: noMosquitto, timeout: 60_000 }, async t => {
  const [line] = await latency.run(() => {}, { rate: '1000', seconds: '2', rounds: '1' })
  const { publish_to_row_ms: row, publish_to_webhook_ms: webhook } = line as unknown as Record<string, { p50: number, p99: number }>
  t.ok(0 < row.p50 && row.p50 <= row.p99 && 0 < webhook.p50 && webhook.p50 <= webhook.p99)
  t.match(latency.fault!({ ...line, publish_to_row_ms: { p50: 1, p99: 101 }, publish_to_webhook_ms: { p50: 1, p99: 150 } }), /publish_to_row_ms: p99 is 101/)
  t.equal(latency.fault!({ ...line, publish_to_row_ms: { p50: 1, p99: 100 }, publish_to_webhook_ms: { p50: 1, p99: 150 } }), undefined)
})
