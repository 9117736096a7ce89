/** What a device, or somebody on the network, tries with the embedded broker beyond publishing under another's name. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect as dialTls, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { passwordDigest } from '../../engine/credentials.ts'
import { certificates } from '../support/mosquitto.ts'
import { client, listen, pause, raw, say } from '../support/mqtt.ts'
import { temporary } from '../support/program.ts'

const HEAD = 'username,digest,topics\n'
const line = (username: string, topics = '') => `${username},${passwordDigest(username).toString('hex')},${topics}\n`
const file = (t: Test, text: string): string => { const path = join(temporary(t), 'devices.csv'); writeFileSync(path, HEAD + text); return path }
const as = (username: string, more: object = {}) => ({ username, password: username, ...more })

t.test('a device whose name is the beginning of another\'s does not come in as it', async t => {
  const { reader, url } = await listen(t, { credentials: file(t, line('acme', 'acme/hub/#') + line('acme:pump', 'acme/pump/#') + line('acme%3Apump', 'acme/odd/#')) })
  const victim = await client(t, url, as('acme:pump', { clientId: 'x' }))
  await client(t, url, as('acme', { clientId: 'pump:x' }))
  await client(t, url, as('acme%3Apump', { clientId: 'x' }))
  await pause(200)
  if (!t.equal(victim.connected, true, 'nobody has ended its connection')) return
  await victim.publishAsync('acme/pump/temp', say(1), { qos: 1 })
  await reader.until(() => reader.received === 1)
})

t.test('nobody hears others by wildcards, shared subscriptions, retained messages or topics of the broker', async t => {
  const { reader, url } = await listen(t, { credentials: file(t, line('a/1') + line('b/1') + line('a', 'a/hub/+')) })
  for (const spy of ['b/1', 'a']) {
    const listener = await client(t, url, as(spy)), heard: string[] = [], victim = await client(t, url, as('a/1'))
    listener.on('message', topic => { heard.push(topic) })
    for (const filter of ['#', '+/#', '+/+/+', 'a/#', 'a/+/temp', 'a/1', 'a/1/#', 'a/1/temp', '$SYS/#', '$SYS/+/uptime', '$share/g/#', '$share/g/a/1/#', '$share/b/1/#', '$queue/a/1/temp', '/a/1/temp', 'b/../a/1/temp']) {
      t.equal(await listener.subscribeAsync(filter).then(() => true, () => false), false, `${spy} asks for ${filter}`)
    }
    const before = reader.received
    await victim.publishAsync('a/1/temp', say(1), { qos: 1, retain: true })
    await reader.until(() => reader.received === before + 1)
    await pause(100)
    t.strictSame(heard, [])
  }
  const late = await client(t, url, as('a/1')), kept: string[] = []
  late.on('message', topic => { kept.push(topic) })
  await late.subscribeAsync('a/1/#')
  await pause(100)
  t.strictSame(kept, [], 'and nothing is retained')
})

t.test('what a device has left as its will is no reading when it was taken out of the file', async t => {
  const path = file(t, line('a/1') + line('a/2')), { reader, url } = await listen(t, { credentials: path })
  const device = await client(t, url, as('a/1', { will: { topic: 'a/1/temp', payload: Buffer.from(say(666)), qos: 1, retain: false } })), gone = new Promise<void>(resolve => { device.once('close', () => { resolve() }) })
  writeFileSync(path, HEAD + line('a/2'))
  await gone
  await reader.until(() => reader.received === 1)
  t.strictSame([reader.readings, reader.dead.map(d => [d.reason, d.detail])], [[], [['not_allowed', 'the device "a/1" may not publish to a/1/temp']]])
})

t.test('over TLS a connection counts before it shakes hands', async t => {
  const folder = temporary(t), { serverCert: cert, serverKey: key, ca } = certificates(folder)
  const { url, port } = await listen(t, { credentials: file(t, line('a/1')), tls: { cert, key }, maxConnections: 3 })
  const silent = await Promise.all(Array.from({ length: 5 }, () => raw(port)))
  await pause(300)
  t.equal(silent.filter(s => s.closed || s.destroyed).length, 2, 'the fourth and the fifth are cut')
  for (const socket of silent) socket.destroy()
  await pause(100)
  t.ok((await client(t, url, as('a/1', { ca: readFileSync(ca) }))).connected, 'and there is room again when they have gone')
})

t.test('a certificate lets nobody in by an old session when who has signed it is no longer trusted', async t => {
  const folder = temporary(t), { ca, serverCert: cert, serverKey: key, clientCert, clientKey } = certificates(folder), other = certificates(temporary(t)), trusted = join(folder, 'devices-ca.pem')
  copyFileSync(ca, trusted)
  const { port } = await listen(t, { credentials: file(t, 'client,,a/2/#\n'), tls: { cert, key, ca: trusted } }), pem = (path: string) => readFileSync(path)
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    copyFileSync(ca, trusted)
    await pause(1500)
    const safe = { port, host: '127.0.0.1', ca: pem(ca), minVersion: version, maxVersion: version }
    const first = await dialled(dialTls({ ...safe, cert: pem(clientCert), key: pem(clientKey) }))
    t.equal(first.code, 0, `${version}: with its certificate`)
    t.ok(first.session !== undefined)
    const again = await dialled(dialTls({ ...safe, session: first.session! }))
    t.equal(again.code, 0, `${version}: by its session`)
    copyFileSync(other.ca, trusted)
    await pause(1500)
    t.not((await dialled(dialTls({ ...safe, session: again.session ?? first.session! }))).code, 0, `${version}: when another signs`)
  }
})

/** What a CONNECT without user and password is answered, -1: nothing; and the session, to come back by. */
async function dialled (socket: TLSSocket): Promise<{ code: number, session: Buffer | undefined }> {
  let session: Buffer | undefined
  socket.on('session', given => { session = given }).on('error', () => {})
  return await new Promise(resolve => {
    const end = (code: number) => { setTimeout(() => { socket.destroy(); resolve({ code, session: session ?? socket.getSession() }) }, 50) }
    socket.once('secureConnect', () => { socket.write(Buffer.from([0x10, 14, 0, 4, ...Buffer.from('MQTT'), 4, 2, 0, 60, 0, 2, ...Buffer.from('d1')])) })
    socket.once('data', bytes => { end(bytes[3]) }).once('close', () => { end(-1) })
  })
}
