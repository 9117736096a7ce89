/** Simulated faults through the whole path: a real database, a real broker, a real receiver. */
import t from 'tap'
import type { AddressInfo } from 'node:net'
import { createServer as createReceiver } from 'node:http'
import { plantFault } from '../../connectors/planted.ts'
import { Limits } from '../../engine/limits.ts'
import { plantedKinds } from '../../engine/simulated.ts'
import { device, open, rows, until } from '../support/control.ts'
import { freePort } from '../support/mosquitto.ts'
import { freshDatabase } from '../support/postgres.ts'
import { temporary } from '../support/program.ts'

t.test('a shift: its rows, its alert and what a receiver that asks for it gets say that it is simulated, others are told of real ones only, and no real device learns of it', async t => {
  const url = (await freshDatabase(t))!, port = await freePort(), got: any[] = [], paths = (path: string) => got.filter(g => g.path === path)
  const receiver = createReceiver((request, response) => {
    let body = ''
    request.on('data', chunk => { body += chunk }).on('end', () => { got.push({ ...JSON.parse(body), path: request.url }); response.end() })
  })
  await new Promise<void>(resolve => { receiver.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { receiver.close() })
  const process = await open(t, url, temporary(t), { egress: ['127.0.0.0/8'] }), to = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`
  const made = await process.ask('PUT', '/p', `name: p\nfrom: { broker: { port: ${port}, topics: "{tenant}/{device}/{metric}" } }\npipe: [ ewma: { alpha: 0.5 } ]\nalerts: { high: { when: { value: { above: 50 } }, to: [ webhook: { url: "${to}duty" }, webhook: { url: "${to}rehearsal", simulated: true } ], escalate: [ { after: 1ms, to: [ webhook: { url: "${to}boss" }, webhook: { url: "${to}understudy", simulated: true } ] } ] } }\nto: [ postgres: { table: readings } ]\n`)
  t.equal(made.status, 201, made.text)
  const d = await device(t, port)
  await d.send(10)
  await until('real ones are there', async () => (await rows(url, 'value')).length === 10)
  const before = await rows(url, 'value, ewma, tags')
  const sent = await process.call('POST', '/simulate/shift', { pipeline: 'p', tenant: 't', metric: 'm', device: 'boiler', healthy: 100, faulty: 20, after: 5, size: 60 })
  t.match([sent.status, sent.json], [202, { simulated: true, tenant: 't', device: 'simulated-boiler', metric: 'm', readings: 125, label: { kind: 'shift', size: 60 } }], sent.text)
  t.equal(sent.json.positions.to - sent.json.positions.from, 124)
  await until('they are rows', async () => (await rows(url, 'value', 'readings', 'simulated-boiler')).length === 125)
  const theirs = await rows(url, 'value, time, tags', 'readings', 'simulated-boiler')
  t.ok(theirs.every(row => row.tags.simulated === 'true'), 'each row says so')
  const { from, to: over } = sent.json.label, high = theirs.filter(row => row.value > 50)
  t.equal(high.length, 20)
  t.ok(high.every(({ time }) => time >= new Date(from) && time < new Date(over)), 'as the label says')
  await until('the beginning and the end are told to whoever asks for what is simulated', () => paths('/rehearsal').length === 2)
  t.match(paths('/rehearsal').map(g => [g.simulated, g.data.simulated, g.data.device]), [[true, true, 'simulated-boiler'], [true, true, 'simulated-boiler']])
  t.match((await process.call('GET', '/alerts?device=simulated-boiler')).json.rows, [{ details: { simulated: true } }, { details: { simulated: true } }])
  t.match((await process.call('GET', '/series?device=simulated-boiler')).json.rows, [{ tags: { simulated: 'true' } }])
  t.strictSame(await rows(url, 'value, ewma, tags'), before, 'the real one is as it was')
  t.ok(before.every(row => row.tags.simulated === undefined))
  // whoever publishes under such a name is marked too; a real alert is not
  await d.client.publishAsync('t/simulated-x/m', JSON.stringify({ value: 99 }), { qos: 1 })
  await d.client.publishAsync('t/real/m', JSON.stringify({ value: 99 }), { qos: 1 })
  await until('who asks for it is told of both, also by escalation; who does not, of the real one', () => ['/rehearsal', '/understudy', '/duty', '/boss'].every(path => paths(path).some(g => g.data.device === 'real')) && ['/rehearsal', '/understudy'].every(path => paths(path).some(g => g.data.device === 'simulated-x')))
  t.strictSame(Object.fromEntries(paths('/rehearsal').slice(2).map(g => [g.data.device, [g.simulated, g.data.simulated]])), { real: [undefined, undefined], 'simulated-x': [true, true] })
  t.strictSame([...paths('/duty'), ...paths('/boss')].map(g => g.data.device), ['real', 'real'], 'a simulated one is sent to nobody else')
})

t.test('what cannot be meant is refused', async t => {
  const url = (await freshDatabase(t))!, port = await freePort(), process = await open(t, url, temporary(t)), post = async (kind: string, body: object, headers = {}) => await process.call('POST', `/simulate/${kind}`, body, headers)
  await process.ask('PUT', '/p', `name: p\nfrom: { broker: { port: ${port}, topics: "{tenant}/{device}/{metric}" } }\nto: [ postgres: { table: readings } ]\n`)
  await process.ask('PUT', '/s', 'name: s\nfrom: { simulator: {} }\nto: [ postgres: { table: s } ]\n')
  t.match(await post('flood', { pipeline: 'p' }), { status: 400 })
  t.match(await post('spike', { pipeline: 'none' }), { status: 404 })
  t.match(await post('spike', { pipeline: 's' }), { status: 409 })
  t.match(await post('spike', { pipeline: 'p', every: '10m' }), { status: 400, json: { detail: /at most 900 s/ } })
  t.match(await post('spike', { pipeline: 'p', every: 'often' }), { status: 400 })
  t.match(await post('spike', { pipeline: 'p', device: 'a/b' }), { status: 400 })
  t.match(await post('spike', { pipeline: 'p', tenant: 'a+b' }), { status: 400, json: { detail: /the tenant/ } }, 'no tenant can be called so')
  const key = { authorization: `Bearer ${await process.key(['ingest:write'], 'north')}` }
  t.match(await post('drift-event', { pipeline: 'p', tenant: 'south' }, key), { status: 404 })
  t.match(await post('drift-event', { pipeline: 'p' }, key), { status: 202, json: { tenant: 'north', device: /^simulated-\w{8}$/, label: { kind: 'drift' } } })
})

t.test('simulated readings are of the quota of their tenant', async t => {
  const url = (await freshDatabase(t))!, port = await freePort(), process = await open(t, url, temporary(t), { limits: new Limits({ tenants: { north: { readings: 1 } } }) })
  await process.ask('PUT', '/p', `name: p\nfrom: { broker: { port: ${port}, topics: "{tenant}/{device}/{metric}" } }\nto: [ postgres: { table: readings } ]\n`)
  const post = async (tenant: string) => await process.call('POST', '/simulate/spike', { pipeline: 'p', tenant, healthy: 800, after: 0, every: '1s' })
  t.match([(await post('north')).status, (await post('south')).status], [202, 202])
  t.match(await post('north'), { status: 429, json: { code: 'api/too-many' } }, 'its ten seconds of readings are used up')
  t.equal((await post('south')).status, 202, 'another one has a quota of its own')
})

t.test('each kind is what its name says', t => {
  const asked = { healthy: 50, faulty: 10, after: 5, every: 1000, end: 1e12, level: 20, noise: 1, seed: 7 }
  for (const kind of plantedKinds) {
    const { readings, label } = plantFault({ ...asked, kind }), lasts = kind === 'spike' ? 1 : 10
    t.equal(label.to - label.from, lasts * 1000, kind)
    t.equal(readings.at(-1)!.time, 1e12)
    t.equal(readings.length, kind === 'dropout' ? 55 : 55 + lasts)
    const inside = readings.filter(r => r.time >= label.from && r.time < label.to).map(r => r.value), usual = readings.filter(r => r.time < label.from || r.time >= label.to)
    t.ok(usual.every(r => Math.abs(r.value - 20) < 6), `${kind}: healthy beside it`)
    if (kind === 'stuck') t.equal(new Set(inside).size, 1)
    if (kind === 'spike') t.ok(Math.abs(inside[0] - 20) > 5)
    if (kind === 'shift') t.ok(inside.every(x => Math.abs(x - 20) > 1.5) && Math.abs(inside.reduce((a, b) => a + b) / 10 - 20) > 3)
    if (kind === 'drift') t.ok(Math.abs(inside.at(-1)! - 20) > 2)
    if (kind === 'clip') t.ok(inside.every(x => x <= label.size))
    if (kind === 'unit') t.ok(inside.every(x => x > 60))
    if (kind === 'noise') t.ok(Math.sqrt(inside.reduce((s, x) => s + (x - 20) ** 2, 0) / 10) > 1.2)
    t.strictSame(plantFault({ ...asked, kind }), { readings, label }, 'the same again')
  }
  const { readings } = plantFault({ ...asked, kind: 'shift', size: 3, values: [1, 2] })
  t.strictSame([readings[0].value, readings[1].value, readings[50].value, readings[51].value], [1, 2, 4, 5])
  t.end()
})
