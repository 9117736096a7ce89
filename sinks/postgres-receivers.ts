import type { StorePlan } from '#engine'
import type { Session } from './postgres-session.ts'

/**
 * Deliveries go with their receiver when it has another key than before: it has got a name, or was known by its place under `to`. Keeps
 * the keys that there have been. Rows are moved, which reads the whole outbox, only when a key has changed.
 */
export async function followReceivers (session: Session, pipeline: string, receivers: NonNullable<StorePlan['receivers']>): Promise<void> {
  if (receivers.length === 0) return
  const known = new Set((await session.query<{ receiver: string }>('SELECT receiver FROM alert_receivers WHERE pipeline = $1', [pipeline])).rows.map(row => row.receiver))
  const moved = receivers.flatMap(({ key, former }) => former.filter(before => known.has(before)).map(before => ({ before, now: key }))), placed = [...known].filter(key => !key.includes(':'))
  const gone = [...moved.map(({ before }) => before), ...placed], fresh = receivers.map(({ key }) => key).filter(key => !known.has(key))
  if (gone.length + fresh.length === 0) return
  await session.transaction(async () => {
    if (moved.length > 0) {
      await session.query(`UPDATE alert_outbox o SET receiver = m.now FROM ${MOVED} WHERE o.pipeline = $1 AND o.receiver = m.before AND NOT EXISTS (SELECT FROM alert_outbox t WHERE t.event = o.event AND t.receiver = m.now)`, [pipeline, JSON.stringify(moved)])
      await session.query(`UPDATE alert_deliveries d SET receiver = m.now FROM ${MOVED}, alert_outbox o WHERE o.pipeline = $1 AND o.receiver = m.now AND d.event = o.event AND d.receiver = m.before`, [pipeline, JSON.stringify(moved)])
    }
    await session.query('DELETE FROM alert_receivers WHERE pipeline = $1 AND receiver = ANY ($2)', [pipeline, gone])
    await session.query('INSERT INTO alert_receivers (pipeline, receiver) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING', [pipeline, fresh])
  })
}

const MOVED = 'jsonb_to_recordset($2::jsonb) AS m (before text, now text)'
