import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import { broker } from '../../connectors/broker.ts'
import { Access, mayUse } from '../../connectors/broker-access.ts'
import { devicesOf, passwordDigest, writtenDevices } from '../../engine/credentials.ts'
import { certificates } from '../support/mosquitto.ts'
import { client, CONNECT, listen, pause, raw, say } from '../support/mqtt.ts'
import { temporary } from '../support/program.ts'

const line = (username: string, password = username, topics = '') => `${username},${password === '' ? '' : passwordDigest(password).toString('hex')},${topics}\n`
const HEAD = 'username,digest,topics\n'
const file = (t: Test, text: string): string => { const path = join(temporary(t), 'devices.csv'); writeFileSync(path, HEAD + text); return path }
/** What a client that tries to connect is told: 0 when it is let in. */
const told = async (t: Test, url: string, options: object): Promise<number> => {
  try { await client(t, url, options); return 0 } catch (error) { return (error as { code?: number }).code ?? -1 }
}

t.test('a device comes in by its password, and with nothing else', async t => {
  const { url } = await listen(t, { credentials: file(t, line('acme/p1', 'secret') + line('acme/p2', '')) })
  t.equal(await told(t, url, { username: 'acme/p1', password: 'secret' }), 0)
  for (const [username, password] of [['acme/p1', 'Secret'], ['acme/p1', ''], ['acme/p1', undefined], ['acme/p2', ''], ['acme/p2', undefined], ['', ''], ['nobody', 'secret'], [undefined, undefined], ['__proto__', 'x']] as const) {
    t.equal(await told(t, url, { username, password }), 4, `${username} ${password}`)
  }
})

t.test('no device publishes or listens where another does: all pairs of six', async t => {
  const names = ['a/1', 'a/2', 'a/12', 'b/1', 'a', 'a/1/x'], { reader, url } = await listen(t, { credentials: file(t, names.map(n => line(n)).join('')), topics: ['{tenant}/{device}/{metric}', '{tenant}/{device}', '{tenant}/{device}/{line}/{metric}'] })
  let allowed = 0, denied = 0
  for (const own of names) {
    for (const other of names) {
      const device = await client(t, url, { username: own, password: own }), topic = `${other}/temp`, mine = own === other || other.startsWith(`${own}/`)
      t.equal(await device.subscribeAsync(topic).then(() => true, () => false), mine, `${own} listens to ${topic}`)
      const published = await Promise.race([device.publishAsync(topic, say(1), { qos: 1 }).then(() => true), new Promise(resolve => { device.once('close', () => resolve(false)) })])
      t.equal(published, mine, `${own} publishes to ${topic}`)
      if (mine) allowed++
      else denied++
    }
  }
  await reader.until(() => reader.received === allowed + denied)
  t.equal(reader.readings.length, allowed)
  t.strictSame([...new Set(reader.dead.map(d => d.reason))], ['not_allowed'])
  t.equal(reader.dead.length, denied)
  t.match(reader.dead[0].detail, 'the device "a/1" may not publish to a/2/temp')
})

t.test('a will is published with the rights of its device', async t => {
  const { reader, url } = await listen(t, { credentials: file(t, line('a/1') + line('a/2')) })
  for (const [own, topic] of [['a/1', 'a/1/temp'], ['a/2', 'a/1/temp']] as const) {
    const device = await client(t, url, { username: own, password: own, will: { topic, payload: Buffer.from(say(own === 'a/1' ? 1 : 2)), qos: 1, retain: false } })
    device.stream.destroy()
  }
  await reader.until(() => reader.received === 2)
  t.strictSame([reader.readings.map(r => r.value), reader.dead.map(d => d.reason)], [[1], ['not_allowed']])
})

t.test('with the client id of another a device neither ends his connection nor passes for him', async t => {
  const { reader, url } = await listen(t, { credentials: file(t, line('a/1') + line('a/2')) })
  const one = await client(t, url, { username: 'a/1', password: 'a/1', clientId: 'same' }), two = await client(t, url, { username: 'a/2', password: 'a/2', clientId: 'same' })
  await pause(100)
  if (!t.equal(one.connected, true)) return
  await one.publishAsync('a/1/temp', say(1), { qos: 1 })
  await two.publishAsync('a/2/temp', say(2), { qos: 1 })
  await reader.until(() => reader.received === 2)
  t.strictSame(reader.readings.map(r => r.value), [1, 2])
})

t.test('who is taken out of the file is disconnected within a second; who is in it is not; a broken file changes nothing', async t => {
  const path = file(t, line('a/1') + line('a/2')), { url } = await listen(t, { credentials: path })
  const [one, two] = [await client(t, url, { username: 'a/1', password: 'a/1' }), await client(t, url, { username: 'a/2', password: 'a/2' })]
  writeFileSync(path, `${HEAD}broken`)
  await pause(1000)
  rmSync(path)
  await pause(1000)
  t.strictSame([one.connected, two.connected], [true, true])
  t.equal(await told(t, url, { username: 'a/1', password: 'a/1' }), 0)
  writeFileSync(path, HEAD + line('a/2') + line('a/3'))
  await pause(1000)
  t.strictSame([one.connected, two.connected], [false, true])
  t.equal(await told(t, url, { username: 'a/1', password: 'a/1' }), 4)
  t.equal(await told(t, url, { username: 'a/3', password: 'a/3' }), 0)
})

t.test('whose password or topics are others is disconnected, and comes in as what he is now', async t => {
  const path = file(t, line('a/1') + line('a/2', 'a/2', 'a/2/# a/x/#') + line('a/3')), { reader, url } = await listen(t, { credentials: path })
  const [one, two, three] = [await client(t, url, { username: 'a/1', password: 'a/1' }), await client(t, url, { username: 'a/2', password: 'a/2' }), await client(t, url, { username: 'a/3', password: 'a/3' })]
  await two.publishAsync('a/x/temp', say(1), { qos: 1 })
  writeFileSync(path, HEAD + line('a/1', 'other') + line('a/2', 'a/2', 'a/2/#') + line('a/3'))
  await pause(1000)
  t.strictSame([one.connected, two.connected, three.connected], [false, false, true])
  t.strictSame([await told(t, url, { username: 'a/1', password: 'a/1' }), await told(t, url, { username: 'a/1', password: 'other' })], [4, 0])
  const again = await client(t, url, { username: 'a/2', password: 'a/2' })
  again.publish('a/x/temp', say(2), { qos: 1 })
  await reader.until(() => reader.received === 2)
  t.strictSame([reader.readings.map(r => r.value), reader.dead.map(d => d.reason)], [[1], ['not_allowed']])
})

t.test('over TLS, by password or by certificate', async t => {
  const folder = temporary(t), { ca, serverCert: cert, serverKey: key, clientCert, clientKey } = certificates(folder), pem = (path: string) => readFileSync(path)
  const { reader, url } = await listen(t, { credentials: file(t, line('a/1') + line('client', '', 'a/2/#')), tls: { cert, key, ca } })
  t.match(url, /^mqtts:/)
  const safe = { ca: pem(ca) }
  await (await client(t, url, { ...safe, username: 'a/1', password: 'a/1' })).publishAsync('a/1/temp', say(1), { qos: 1 })
  await (await client(t, url, { ...safe, cert: pem(clientCert), key: pem(clientKey) })).publishAsync('a/2/temp', say(2), { qos: 1 })
  await reader.until(() => reader.received === 2)
  t.strictSame(reader.readings.map(r => [r.name, r.value]), [['a/1/temp', 1], ['a/2/temp', 2]])
  t.equal(await told(t, url, { ...safe, cert: pem(clientCert), key: pem(clientKey), username: 'a/1', password: 'a/1' }), 4, 'a certificate of another')
  const stranger = temporary(t), other = certificates(stranger)
  t.equal(await told(t, url, { ...safe, cert: pem(other.clientCert), key: pem(other.clientKey) }), 4, 'a certificate that somebody else has signed')
  const plain = await raw(Number(new URL(url).port)), ended = new Promise(resolve => { plain.once('close', resolve) })
  let first: number | undefined
  plain.on('data', bytes => { first ??= bytes[0] }).write(CONNECT)
  await ended
  t.not(first, 0x20, 'no CONNACK without TLS')
  copyFileSync(clientCert, cert)
  copyFileSync(clientKey, key)
  let name: unknown
  for (const end = Date.now() + 60_000; name !== 'client' && Date.now() < end;) {
    const socket = connectTls({ host: '127.0.0.1', port: Number(new URL(url).port), rejectUnauthorized: false })
    await new Promise(resolve => { socket.once('secureConnect', resolve) })
    name = socket.getPeerCertificate().subject.CN
    socket.destroy()
    await new Promise(resolve => { setTimeout(resolve, 100) })
  }
  t.equal(name, 'client', 'a certificate that is renewed')
  const old = connectTls({ host: '127.0.0.1', port: Number(new URL(url).port), ca: pem(ca), maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' })
  await t.rejects(new Promise((resolve, reject) => { old.once('secureConnect', resolve).once('error', reject) }), 'TLS 1.1')
})

t.test('on more than loopback only with both; each option says what it lacks', async t => {
  const tls = { cert: 'x', key: 'y' }
  for (const [given, said] of [[{}, /without tls and credentials/], [{ tls }, /without credentials/], [{ credentials: 'x' }, /without tls/]] as const) t.throws(() => broker({ host: '0.0.0.0', ...given }), { code: 'config/exposed', message: said })
  t.doesNotThrow(() => broker({ host: '0.0.0.0', tls, credentials: 'x' }))
  t.throws(() => broker({ credentials: 'x', topics: '{tenant}/{metric}' }), /\{device\}/)
  t.throws(() => broker({ tls: { ...tls, ca: 'z' } }), /tls.ca without credentials/)
})

t.test('a file that is no such table is refused with its line', async t => {
  for (const [text, said] of [
    ['a,b\n1,2\n', /columns are not username,digest,topics/], [`${HEAD}x,12,\n`, /line 2: the digest of "x"/], [`${HEAD}${line('x')}${line('x')}`, /line 3: "x" stands there twice/],
    [`${HEAD},,\n`, /no username/], [`${HEAD}x,,a/#/b\n`, /"a\/#\/b" is no topic filter/], [`${HEAD}x,,$SYS/#\n`, /no topic filter/], [`${HEAD}x,\n`, /line 2|Line|columns/i]
  ] as const) t.throws(() => devicesOf(text, 'd.csv'), { code: 'config/invalid', message: said }, text)
  t.throws(() => new Access(join(temporary(t), 'none.csv')), { code: 'usage/file' })
  const all = devicesOf(`${HEAD}${line('a/1')}"b,1",,x/+ y/#\n`, 'd.csv')
  t.strictSame(devicesOf(writtenDevices(all.values()), 'again'), all)
  t.strictSame([...all.values()].map(d => d.topics), [['a/1/#'], ['x/+', 'y/#']])
  const device = all.get('b,1')!
  t.strictSame(['x/1', 'x', 'x/1/2', 'y', 'y/1/2', 'z', 'x/#', '+/1', 'y/+', '#'].map(topic => mayUse(device, topic)), [true, false, false, true, true, false, false, false, true, false])
})

t.test('after twenty wrong passwords from an address nobody there is tried, but for devices that came in from it before and who has a certificate', async t => {
  const { url } = await listen(t, { credentials: file(t, line('a/1') + line('a/2')) })
  t.equal(await told(t, url, { username: 'a/1', password: 'a/1' }), 0)
  for (let k = 0; k < 20; k++) t.equal(await told(t, url, { username: `guess-${k}`, password: 'x' }), 4)
  t.equal(await told(t, url, { username: 'a/2', password: 'a/2' }), 3, 'the right password, of a device that is new here')
  t.equal(await told(t, url, { username: 'a/1', password: 'a/1' }), 0)
  for (let k = 0; k < 20; k++) t.equal(await told(t, url, { username: 'a/1', password: 'x' }), 4, 'its own failures')
  t.equal(await told(t, url, { username: 'a/1', password: 'a/1' }), 3)
})
