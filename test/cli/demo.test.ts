import t from 'tap'
import pg from 'pg'
import { openLog } from '../../engine/log.ts'
import { openEmbedded } from '../../sinks/embedded.ts'
import { join } from 'node:path'
import { start, temporary } from '../support/program.ts'

const last = (text: string) => JSON.parse(text.trim().split('\n').at(-1)!)
const balance = (s: any) => s.received - s.written - s.late - s.filtered - s.deduplicated - s.dead_lettered - s.in_flight

t.test('the demo delivers an alert, writes features, accounts for every reading, and stops by itself', async t => {
  const folder = temporary(t)
  const demo = start(t, ['demo', '--for', '12s', '--json', '--folder', folder])
  t.equal(await demo.ended, 0, demo.err)
  const summary = last(demo.out)
  t.ok(summary.received > 1000, `${summary.received} readings`)
  t.equal(summary.written, summary.received)
  t.equal(balance(summary), 0)
  t.equal(summary.in_flight, 0)
  t.ok(summary.feature_rows > 0)
  t.ok(summary.alerts_fired >= 1)
  t.ok(summary.alerts_delivered >= summary.alerts_fired)
  t.ok(summary.publish_to_row_ms.p99 >= summary.publish_to_row_ms.p50 && summary.publish_to_row_ms.p50 > 0)
})

t.test('after kill -9 the next start takes over the running database and goes on; SIGTERM commits and stops', async t => {
  const folder = temporary(t)
  const first = start(t, ['demo', '--folder', folder])
  await first.until(/broker/)
  await new Promise(resolve => setTimeout(resolve, 3000))
  first.child.kill('SIGKILL')
  await first.ended
  const second = start(t, ['demo', '--json', '--folder', folder])
  await second.until(/was still running: taken over/)
  await second.until(/broker/)
  const other = start(t, ['demo', '--folder', folder])
  t.equal(await other.ended, 2)
  t.match(other.err, /a demo is running in .* already/)
  await new Promise(resolve => setTimeout(resolve, 3000))
  second.child.kill('SIGTERM')
  t.equal(await second.ended, 143, second.err)
  const summary = last(second.out)
  t.equal(balance(summary), 0)
  t.equal(summary.in_flight, 0)

  const database = await openEmbedded(join(folder, 'postgres'), openLog({ level: 'silent' }))
  t.teardown(() => database.stop())
  const client = new pg.Client(database.url)
  await client.connect()
  const { rows: [row] } = await client.query('SELECT count(*)::int AS n, count(DISTINCT (series, time, seq))::int AS distinct FROM readings')
  await client.end()
  t.equal(row.n, row.distinct)
  t.ok(row.n >= summary.written)
})
