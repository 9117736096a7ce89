/** An alert storm: taking some alerts from an outbox with many costs no more than from one with few. */
import t from 'tap'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { lease } from '../../sinks/postgres-outbox.ts'
import { Session } from '../../sinks/postgres-session.ts'
import { freshDatabase, quiet } from '../support/postgres.ts'

const MANY = 5000, SOME = 4

t.test('a lease looks at what it takes and little more, however much is due', async t => {
  const url = (await freshDatabase(t))!
  await migrate(url, quiet)
  const session = await Session.connect(url, 20_000)
  t.teardown(() => session.close())
  await session.query(`INSERT INTO alerts (id, incident, state, tenant, pipeline, alert, severity, device, metric, since, time, value, evidence, message, details, stale, position, ingested_at, origin)
    SELECT 'i' || n / 2 || CASE n % 2 WHEN 0 THEN '.firing' ELSE '.resolved' END, 'i' || n / 2, CASE n % 2 WHEN 0 THEN 'firing' ELSE 'resolved' END, 't', 'p', 'a', 'warning', 'd', 'm', now(), now(), 1, '{}', 'x', '{}', false, n, now(), '' FROM generate_series(0, ${MANY} - 1) n`)
  await session.query("INSERT INTO alert_outbox (event, receiver, pipeline, due, position, ingested_at, ready_at) SELECT id, 'a/webhook', 'p', 'epoch', position, now(), now() FROM alerts ORDER BY random()")
  await session.query("INSERT INTO checkpoint (pipeline) VALUES ('p')")
  await session.query('ANALYZE alert_outbox, alerts')
  const looked = async () => (await session.query<{ n: number }>("SELECT (seq_tup_read + idx_tup_fetch)::int AS n FROM pg_stat_xact_user_tables WHERE relname = 'alert_outbox'")).rows[0].n
  await session.transaction(async () => {
    const before = await looked(), entries = await lease(session, 'p', 1, SOME, Date.now(), [])
    t.strictSame(entries.map(e => e.id), [0, 1, 2, 3].map(n => `i${n}.firing`), 'the oldest, and no end before its beginning')
    t.ok(await looked() - before < 100, `${await looked() - before} rows of ${MANY} were looked at`)
    t.strictSame(await lease(session, 'p', 2, SOME, Date.now(), []), [], 'nothing in another epoch')
  })
})
