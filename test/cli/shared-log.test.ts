import t from 'tap'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { mosquitto, noMosquitto } from '../support/mosquitto.ts'
import { start, temporary } from '../support/program.ts'

const freePort = () => new Promise<number>(resolve => {
  const server = createServer().listen(0, '127.0.0.1', () => { const { port } = server.address() as AddressInfo; server.close(() => resolve(port)) })
})
const pipeline = (name: string, port: number, more = '') => `name: ${name}\nfrom: { broker: { topics: "{tenant}/{device}/{metric}", port: ${port} } }\n${more}to: [ file: { table: r } ]\n`
const valuesOf = (folder: string, name: string): number[] => {
  try { return readFileSync(join(folder, 'store', name, 'r.ndjson'), 'utf8').trim().split('\n').filter(l => l !== '').map(l => JSON.parse(l).value) } catch { return [] }
}

async function publish (port: number, from: number, to: number): Promise<void> {
  const device = await connectAsync(`mqtt://127.0.0.1:${port}`)
  for (let n = from; n < to; n++) await device.publishAsync('t/d/m', JSON.stringify({ ts: Date.now(), value: n }), { qos: 1 })
  await device.endAsync()
}
const numbers = (to: number) => Array.from({ length: to }, (_, n) => n)

t.test('pipelines with an equal source share one connection and one log, and each has every reading once, through kill -9', async t => {
  const folder = temporary(t), port = await freePort()
  writeFileSync(join(folder, 'a.yaml'), pipeline('a', port))
  writeFileSync(join(folder, 'b.yaml'), pipeline('b', port, 'pipe: [ ewma: { alpha: 0.5 } ]\n').replace('"{tenant}/{device}/{metric}", port', '"{tenant}/{device}/{metric}", maxConnections: 5, port'))
  const args = ['run', join(folder, 'a.yaml'), join(folder, 'b.yaml'), '--folder', folder, '--http', 'off']
  const first = start(t, args)
  await first.until(/broker listening/)
  await publish(port, 0, 40)
  await first.until(() => valuesOf(folder, 'a').length > 0)
  first.child.kill('SIGKILL')
  await first.ended
  t.equal(readdirSync(join(folder, 'log')).length, 1, 'one log')
  const second = start(t, args)
  await second.until(/broker listening/)
  await publish(port, 40, 60)
  await second.until(() => valuesOf(folder, 'a').length === 60 && valuesOf(folder, 'b').length === 60)
  for (const name of ['a', 'b']) t.strictSame(valuesOf(folder, name), numbers(60), name)
  second.child.kill('SIGTERM')
  t.equal(await second.ended, 143, second.err)
})

t.test('a pipeline that fails does not stop the one beside it; /readyz names it, and the program ends with its code', async t => {
  const folder = temporary(t), port = await freePort()
  mkdirSync(join(folder, 'store', 'broken'), { recursive: true })
  writeFileSync(join(folder, 'store', 'broken', 'r.ndjson'), '{}\n')
  writeFileSync(join(folder, 'a.yaml'), pipeline('a', port))
  writeFileSync(join(folder, 'broken.yaml'), pipeline('broken', port))
  const run = start(t, ['run', join(folder, 'a.yaml'), join(folder, 'broken.yaml'), '--folder', folder, '--http', '127.0.0.1:0'])
  await run.until(/this pipeline has stopped/)
  await run.until(/broker listening/)
  await publish(port, 0, 20)
  await run.until(() => valuesOf(folder, 'a').length === 20)
  t.strictSame(valuesOf(folder, 'a'), numbers(20))
  const [, at] = /status page (http:\/\/[^"\s]+?)\/["\s]/.exec(run.err)!
  const ready = await fetch(`${at}/readyz`)
  t.equal(ready.status, 503)
  t.match(await ready.json(), { trouble: { broken: { pipeline: /stopped: .*but no log/ } } })
  run.child.kill('SIGTERM')
  t.equal(await run.ended, 1, run.err)
})

t.test('of two pipelines on one broker one gets another topic: two logs, two sessions, and each has what is for it', { skip: noMosquitto }, async t => {
  const folder = temporary(t), broker = await mosquitto()
  t.teardown(() => broker.stop())
  const write = (name: string, topic: string) => { writeFileSync(join(folder, `${name}.yaml`), `name: ${name}\nfrom: { mqtt: { url: "mqtt://127.0.0.1:${broker.port}", topic: "${topic}/{device}/{metric}" } }\nto: [ file: { table: r } ]\n`) }
  const publish = async (from: number, to: number, ...topics: string[]) => {
    const device = await connectAsync(`mqtt://127.0.0.1:${broker.port}`)
    for (let n = from; n < to; n++) for (const topic of topics) await device.publishAsync(`${topic}/d/m`, JSON.stringify({ ts: Date.now(), value: n }), { qos: 1 })
    await device.endAsync()
  }
  const args = ['run', join(folder, 'p1.yaml'), join(folder, 'p2.yaml'), '--folder', folder, '--http', 'off']
  write('p1', 'a')
  write('p2', 'a')
  const first = start(t, args)
  await first.until(/subscribed/)
  await publish(0, 20, 'a')
  await first.until(() => ['p1', 'p2'].every(name => valuesOf(folder, name).length === 20))
  first.child.kill('SIGTERM')
  t.equal(await first.ended, 143, first.err)
  write('p1', 'b')
  const second = start(t, args)
  await second.until(() => (second.err.match(/subscribed/g) ?? []).length === 2)
  await publish(20, 60, 'a', 'b')
  await second.until(() => valuesOf(folder, 'p1').length === 60 && valuesOf(folder, 'p2').length === 60)
  for (const name of ['p1', 'p2']) t.strictSame(valuesOf(folder, name), numbers(60), name)
  t.notMatch(second.err, /not connected to the broker/)
  t.equal(new Set(readdirSync(join(folder, 'log')).map(name => JSON.parse(readFileSync(join(folder, 'log', name, 'log.json'), 'utf8')).client)).size, 2)
  second.child.kill('SIGTERM')
  t.equal(await second.ended, 143, second.err)
})
