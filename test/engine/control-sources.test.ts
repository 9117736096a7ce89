/** Pipelines that come to another source, or share the log of one, while devices publish: a real database, a real broker, real clients. */
import t from 'tap'
import { createServer, type AddressInfo } from 'node:net'
import { device, means, rows, until } from '../support/control.ts'
import { freePort } from '../support/mosquitto.ts'
import { begin, match, put, stored, text } from '../support/one-pipeline.ts'

t.test('another source: what the former one had is read, then the new one is; when that cannot be, the former goes on', async t => {
  const { url, port, process } = await begin(t)
  const other = await freePort()
  await put(process, text(port))
  const d = await device(t, port)
  await d.send(20)
  t.match((await put(process, text(other), match(1))).json, { version: 2, source: 'other' })
  t.equal((await rows(url, 'value')).length, 20)
  await until('the former broker has gone', () => d.lost === 1)
  const e = await device(t, other)
  e.sent = 20
  await e.send(20)
  await stored(url, 40)
  t.strictSame((await rows(url, 'ewma')).map(r => r.ewma), means(40))
  const taken = createServer().listen(0, '127.0.0.1')
  t.teardown(() => taken.close())
  await new Promise(resolve => taken.once('listening', resolve))
  const failed = await put(process, text((taken.address() as AddressInfo).port), match(2))
  t.match([failed.status, failed.json], [422, { detail: /EADDRINUSE.*Version 2 runs as before/ }])
  const f = await device(t, other)
  f.sent = 40
  await f.send(20)
  await stored(url, 60)
  t.strictSame((await rows(url, 'ewma')).map(r => r.ewma), means(60))
  t.strictSame(process.failures, [])
})

t.test('pipelines on one log: one is replaced, moved and deleted, and the other and the devices notice nothing', async t => {
  const { url, port, process } = await begin(t)
  await put(process, text(port))
  await process.ask('PUT', '/q', text(port, { name: 'q', table: 'q' }))
  const d = await device(t, port), other = await freePort()
  await d.send(10)
  t.equal((await put(process, text(port, { high: 60 }), match(1))).status, 200)
  await d.send(10)
  t.match((await put(process, text(other, { high: 60 }), match(2))).json, { source: 'other' })
  await d.send(10)
  await stored(url, 30, 'q')
  t.equal((await rows(url, 'value')).length, 20, 'up to its move')
  t.equal((await process.ask('DELETE', '/p')).status, 200)
  await d.send(10)
  await stored(url, 40, 'q')
  t.strictSame((await rows(url, 'ewma', 'q')).map(r => r.ewma), means(40))
  t.equal(d.lost, 0)
})
