/** Dead letters and late rows given back while the engine runs: a real database, a real broker. */
import t from 'tap'
import { device, open, rows, until } from '../support/control.ts'
import { freePort } from '../support/mosquitto.ts'
import { freshDatabase, rowsOf } from '../support/postgres.ts'
import { temporary } from '../support/program.ts'

t.test('shown, and given back by position, reason or all of them: each once, and the audit log says who', async t => {
  const url = (await freshDatabase(t))!, port = await freePort(), process = await open(t, url, temporary(t))
  const text = (ahead: string) => `name: p\nfrom: { broker: { port: ${port}, topics: "{tenant}/{device}/{metric}" } }\ntime: { ahead: ${ahead} }\nto: [ postgres: { table: readings } ]\n`
  t.equal((await process.ask('PUT', '/p', text('1s'))).status, 201)
  const d = await device(t, port), letters = async (query = '') => (await process.ask('GET', `/p/dead-letters${query}`)).json.rows
  const soon = Date.now() + 120_000, publish = async (body: unknown) => { await d.client.publishAsync('t/d/m', typeof body === 'string' ? body : JSON.stringify(body), { qos: 1 }) }
  for (const value of [1, 2, 3]) await publish({ ts: soon + value, value })
  await publish('no json')
  await until('they are dead letters', async () => (await letters()).length === 4)
  const [{ position: bad, origin }, ...early] = await letters()
  t.match((await process.ask('GET', `/p/dead-letters/${bad}`)).json.rows, [{ position: bad, reason: 'unparseable', payload: 'no json', requeued: false }])
  t.match(await process.ask('GET', '/p/dead-letters/999999'), { status: 404, json: { code: 'api/not-found' } })
  t.equal((await process.ask('PUT', '/p', text('10m'), { 'if-match': '"1"' })).status, 200, 'what was wrong is mended')
  const requeue = async (body: object, name = 'p') => await process.ask('POST', `/${name}/dead-letters/requeue`, body)
  t.match(await requeue({}), { status: 400, json: { detail: 'nothing is named' } })
  t.match(await requeue({ positions: [999_999] }), { status: 404 })
  t.match(await requeue({ every: true }, 'none'), { status: 404 })
  t.match(await requeue({ positions: [early[0].position, early[0].position] }), { status: 200, json: { requeued: 1, refused: [], whole: true } })
  await until('it is a row', async () => (await rows(url, 'value')).length === 1)
  t.match(await requeue({ reason: 'future' }), { json: { requeued: 2 } })
  await until('they are rows', async () => (await rows(url, 'value')).length === 3)
  t.strictSame((await rows(url, 'value')).map(r => r.value), [1, 2, 3])
  t.match(await requeue({ reason: 'future' }), { json: { requeued: 0 } }, 'none is left')
  t.match(await requeue({ every: true }), { json: { requeued: 1 } })
  await until('it is one again, of its own position', async () => (await letters()).some((l: any) => l.reason === 'unparseable' && l.position > bad))
  t.strictSame((await letters()).map((l: any) => l.origin), [origin])
  t.equal((await letters('?requeued=true')).length, 5)
  t.strictSame((await rowsOf(url, "SELECT change->>'letters' AS n, target, actor ~ '^\\w{8}$' AS key, request ~ '^\\w{16}$' AS request FROM audit WHERE action = 'letters.requeue' ORDER BY id")), ['1', '2', '1'].map(n => ({ n, target: 'p', key: true, request: true })))
  t.match((await process.ask('GET', '/p')).json, { imbalance: 0, readings: { written: 3 } })
  const key = await process.key(['pipelines:write', 'pipelines:read'], 't')
  t.equal((await process.ask('POST', '/p/dead-letters/requeue', { every: true }, { authorization: `Bearer ${key}` })).status, 403)
})

t.test('late rows are given back one by one', async t => {
  const url = (await freshDatabase(t))!, port = await freePort(), process = await open(t, url, temporary(t))
  await process.ask('PUT', '/p', `name: p\nfrom: { broker: { port: ${port}, topics: "{tenant}/{device}/{metric}" } }\ntime: { lateness: 0s }\ndedupe: false\npipe: [ tumbling: { every: 1s, features: [ count ] } ]\nto: [ postgres: { table: w } ]\n`)
  const d = await device(t, port), at = Date.now() - 60_000
  for (const ms of [0, 5000, 100]) await d.client.publishAsync('t/d/m', JSON.stringify({ ts: at + ms, value: ms }), { qos: 1 })
  const late = async () => (await process.ask('GET', '/p/dead-letters?late=true')).json.rows
  await until('one is late', async () => (await late()).length === 1)
  const [{ position }] = await late()
  t.match((await process.ask('POST', '/p/dead-letters/requeue', { late: true, positions: [position] })).json, { requeued: 1, whole: false })
  await until('it is late again, at another position', async () => (await late()).some((l: any) => l.position > position))
  t.match((await process.ask('GET', `/p/dead-letters/${position}?late=true`)).json.rows, [{ reason: 'late', requeued: true }])
})

t.test('a source without a log of ours has nothing to give them to', async t => {
  const url = (await freshDatabase(t))!, process = await open(t, url, temporary(t))
  await process.ask('PUT', '/p', 'name: p\nfrom: { simulator: {} }\nto: [ postgres: { table: readings } ]\n')
  t.match(await process.ask('POST', '/p/dead-letters/requeue', { every: true }), { status: 409, json: { code: 'api/conflict' } })
})

t.test('of a pipeline that has stopped it is said that it has, and why', async t => {
  const url = (await freshDatabase(t))!, port = await freePort(), process = await open(t, url, temporary(t))
  await process.ask('PUT', '/p', `name: p\nfrom: { broker: { port: ${port}, topics: "{tenant}/{device}/{metric}" } }\nto: [ postgres: { table: readings } ]\n`)
  const d = await device(t, port)
  await d.send(1)
  await until('it is stored', async () => (await rows(url, 'value')).length === 1)
  await rowsOf(url, 'UPDATE checkpoint SET epoch = epoch + 1')
  const { store } = process.pipelines.runOf('p')!, letters = store!.letters.bind(store)
  store!.letters = async query => {
    await d.send(1)
    await until('it has stopped, and its store is closed', () => !process.pipelines.isWorking('p'))
    return await letters(query)
  }
  t.match(await process.ask('GET', '/p/dead-letters'), { status: 503, json: { code: 'api/busy', detail: /has stopped: another process has taken over/ } }, 'while it was asked')
  await until('it is said', async () => (await process.ask('GET', '/p')).json.trouble.pipeline !== undefined)
  t.match(await process.ask('GET', '/p/dead-letters'), { status: 503, json: { code: 'api/busy', detail: /has stopped: another process has taken over/, help: /resume/ } })
})
