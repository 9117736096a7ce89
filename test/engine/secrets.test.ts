/** On more than loopback no secret may be one that is tried first: where it stands is said, and what it is is not. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { readDefinition } from '../../engine/definition.ts'
import { passwordDigest } from '../../engine/credentials.ts'
import { insistOnSecrets, insistOnServer, weakness } from '../../engine/secrets.ts'
import { Tokens } from '../../engine/token.ts'
import { Access } from '../../connectors/broker-access.ts'
import { components } from '../support/control.ts'
import { certificates } from '../support/mosquitto.ts'
import { quiet } from '../support/postgres.ts'
import { start, temporary } from '../support/program.ts'

const STRONG = 'kJ8vQ2mZx7LpR4tN', WHSEC = `whsec_${Buffer.from('0123456789abcdefghijklmn').toString('base64')}`

t.test('empty, short, known or monotonous secrets are weak, others are not', async t => {
  for (const weak of ['', 'x', 'changeme', 'ChangeMe!', 'password', 'Password123', 'millrace', 'secret', 'postgres', 'changeme-changeme', 'my-super_secret.password!', 'please change me in production', 'kJ8vQ2mZx7LpR4t', 'aaaaaaaaaaaaaaaaaaaaaaaa', '1212121212121212121212', `whsec_${Buffer.alloc(32).toString('base64')}`]) t.ok(weakness(weak) !== undefined, weak)
  for (const strong of [STRONG, WHSEC, 'correct horse battery staple', '4f2a9c1e8b7d6053aa91', '83920174650293847561', `${'changeme'.repeat(1000)}${STRONG}`]) t.equal(weakness(strong), undefined, strong.slice(0, 40))
})

t.test('every setting of a pipeline that is a secret is looked at, and named', async t => {
  const wrong = (from: string, to = 'stdout', alert = 'stdout'): string | undefined => {
    const pipeline = readDefinition(`name: p\nfrom: ${from}\nalerts: { a: { when: { value: { above: 1 } }, to: [ ${alert} ] } }\nto: [ ${to === 'stdout' ? 'file: { table: t }' : to} ]\n`, components)
    try { insistOnSecrets(pipeline); return undefined } catch (error) {
      t.match(error, { code: 'config/weak-secret', exit: 78 })
      return (error as Error).message
    }
  }
  const topic = 'topic: "{device}/{metric}"'
  for (const [setting, of] of [
    ['mqtt.password', (s: string, host: string) => wrong(`{ mqtt: { url: "mqtt://${host}", ${topic}, username: u, password: "${s}" } }`)],
    ['the password of mqtt.url', (s, host) => wrong(`{ mqtt: { url: "mqtt://u:${s}@${host}", ${topic} } }`)],
    ['nats.token', (s, host) => wrong(`{ nats: { servers: "nats://${host}", token: "${s}" } }`)],
    ['nats.password', (s, host) => wrong(`{ nats: { servers: [ "nats://${host}" ], user: u, password: "${s}" } }`)],
    ['jetstream.password', (s, host) => wrong(`{ jetstream: { servers: "nats://${host}", stream: S, user: u, password: "${s}" } }`)],
    ['the password of postgres.url', (s, host) => wrong('simulator', `postgres: { table: t, url: "postgres://u:${s}@${host}/x" }`)],
    ['questdb.password', (s, host) => wrong('simulator', `file: { table: t }, questdb: { table: t, url: "http://${host}", user: u, password: "${s}" }`)],
    ['email.password', (s, host) => wrong('simulator', 'stdout', `email: { server: "smtp://${host}", from: a@example.com, to: b@example.com, user: u, password: "${s}" }`)]
  ] as [string, (secret: string, host: string) => string | undefined][]) {
    t.match(of('changeme', 'a.example'), `${setting} of the pipeline "p" is made of words that are tried first`)
    t.notMatch(of('tooshort42', 'a.example'), 'tooshort42')
    t.match(of('tooshort42', 'a.example'), 'has 10 bytes')
    t.equal(of(STRONG, 'a.example'), undefined, setting)
    t.equal(of('changeme', 'localhost'), undefined, `${setting} on this machine`)
  }
  t.match(wrong('simulator', 'stdout', `webhook: { url: "https://a.example", secret: whsec_${Buffer.alloc(24, 65).toString('base64')} }`), 'webhook.secret of the pipeline "p" is a few characters')
  t.equal(wrong('simulator', 'stdout', `webhook: { url: "https://a.example", secret: ${WHSEC}, headers: { authorization: x } }`), undefined)
})

t.test('servers of the command line; passwords of devices; the secret of tokens', async t => {
  t.throws(() => insistOnServer('--database', 'postgres://postgres:postgres@db.example/x'), { message: /the password of --database/ })
  t.throws(() => insistOnServer('--database', 'postgres://db.example/x?password=postgres'), { message: /password of --database/ })
  t.throws(() => insistOnServer('--redis', 'redis://:@cache.example'), { message: /the password of --redis is empty/ })
  t.doesNotThrow(() => { insistOnServer('--database', 'postgres://postgres:postgres@127.0.0.1/x'); insistOnServer('--database', 'postgres://postgres@db.example/x') })
  const folder = temporary(t), file = join(folder, 'devices.csv'), access = (username: string, password: string) => { writeFileSync(file, `username,digest,topics\n${username},${passwordDigest(password).toString('hex')},\n`); return new Access(file, true) }
  for (const [username, password] of [['a/pump', 'changeme'], ['a/pump', 'a/pump'], ['a/pump', 'pump'], ['a/pump', ''], ['a/pump', '123456']]) t.throws(() => access(username, password), { code: 'config/weak-secret', message: /the password of "a\/pump"/ }, password)
  t.doesNotThrow(() => access('a/pump', STRONG))
  writeFileSync(join(folder, 'secret'), 'changeme'.repeat(5))
  t.throws(() => new Tokens({ issuer: 'i', audience: 'a', secretFile: 'secret' }, { log: quiet, get: async () => ({}), folder }), { code: 'config/weak-secret', message: /jwt: the secret in secret/ })
})

t.test('the process does not start on every address with one, and does on loopback', async t => {
  const { serverCert: cert, serverKey: key } = certificates(temporary(t))
  const run = async (t: Test, host: string, url: string) => {
    const folder = temporary(t)
    writeFileSync(join(folder, 'p.yaml'), `name: p\nfrom: simulator\nto: [ file: { table: t }, questdb: { table: t, url: "http://${url}", user: u, password: changeme } ]\n`)
    const it = start(t, ['run', join(folder, 'p.yaml'), '--http', `${host}:0`, '--tls-cert', cert, '--tls-key', key, '--for', '1s', '--folder', join(folder, 'state')])
    return { code: await it.ended, err: it.err }
  }
  const exposed = await run(t, '0.0.0.0', 'questdb.example:9000')
  t.match(exposed, { code: 78, err: /config\/weak-secret.*questdb\.password of the pipeline "p"/s })
  t.match(await run(t, '127.0.0.1', 'questdb.invalid:9000'), { err: /^(?!.*weak-secret).*$/s })
})
