import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { newKey } from '../../engine/api-key.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { freePort } from '../support/mosquitto.ts'
import { freshDatabase, quiet, rowsOf } from '../support/postgres.ts'
import { start, temporary } from '../support/program.ts'

t.test('pipelines with equal options of http read the same requests, one with a path its own; two that share a path and nothing else are refused', async t => {
  const database = (await freshDatabase(t))!, folder = temporary(t), port = await freePort(), { key, id, digest } = newKey()
  await migrate(database, quiet)
  const keys = new PostgresKeys(database)
  await keys.add({ id, digest, name: 'test', tenant: null, scopes: ['ingest:write'], expires: null }, 'test')
  await keys.close()
  const file = (name: string, from: string) => {
    const path = join(folder, `${name}.yaml`)
    writeFileSync(path, `name: ${name}\nfrom: { http: ${from} }\nto: [ postgres: { table: ${name} } ]\n`)
    return path
  }
  const a = file('a', '{}'), b = file('b', '{ path: "" }'), c = file('c', '{ path: line-2 }'), odd = file('odd', '{ timeUnit: ms }')
  const run = (...args: string[]) => start(t, ['run', ...args, '--database', database, '--folder', join(folder, 'files')])
  const refused = run(a, odd, '--http', `127.0.0.1:${port}`)
  t.equal(await refused.ended, 78)
  t.match(refused.err, /"a" and "odd" read POST \/api\/v1\/ingest with different options/)
  const off = run(a, '--http', 'off')
  t.equal(await off.ended, 2)
  t.match(off.err, /without --http off/)
  const engine = run(a, b, c, '--http', `127.0.0.1:${port}`)
  await engine.until(async () => await fetch(`http://127.0.0.1:${port}/readyz`).then(r => r.ok, () => false))
  const post = async (path: string, value: number) => (await fetch(`http://127.0.0.1:${port}/api/v1/ingest${path}`, { method: 'POST', body: JSON.stringify({ device: 'd', metric: 'm', value }), headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' } })).status
  t.strictSame([await post('', 1), await post('/line-2', 2), await post('/line-3', 3)], [202, 202, 404])
  await engine.until(async () => (await rowsOf(database, 'SELECT (SELECT count(*) FROM a)::int + (SELECT count(*) FROM b)::int + (SELECT count(*) FROM c)::int AS n'))[0].n === 3)
  const values = async (table: string) => (await rowsOf(database, `SELECT value FROM ${table}`)).map(r => r.value as number)
  t.strictSame([await values('a'), await values('b'), await values('c')], [[1], [1], [2]])
})
