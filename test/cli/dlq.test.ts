import t, { type Test } from 'tap'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectAsync } from 'mqtt'
import * as sources from '../../connectors/index.ts'
import type { Parts } from '../../engine/components.ts'
import { dlq } from '../../engine/cli/dlq.ts'
import { main } from '../../engine/cli/program.ts'
import * as operators from '../../operators/index.ts'
import { fileStore } from '../../sinks/file.ts'
import * as sinks from '../../sinks/index.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { freePort } from '../support/nats.ts'
import { freshDatabase, quiet } from '../support/postgres.ts'
import { start, temporary, type Started } from '../support/program.ts'

const T0 = Math.floor(Date.now() / 60_000) * 60_000 - 120_000

/** A running engine with its own broker, and the program's `dlq` beside it. */
async function setUp (t: Test) {
  const folder = temporary(t), port = await freePort(), file = join(folder, 'p.yaml')
  writeFileSync(file, `name: p
from: { broker: { topics: "{tenant}/{device}/{metric}", port: ${port} } }
time: { ahead: 2s, lateness: 0s, idle: 1h }
branches: { w: { pipe: [ tumbling: { every: 10s } ], to: [ file: { table: w } ] } }
to: [ file: { table: r } ]
`)
  const run = async (...args: readonly string[]): Promise<Started> => {
    const engine = start(t, ['run', file, '--folder', folder, '--http', 'off', ...args])
    await engine.until(/broker listening/)
    return engine
  }
  const ask = async (...args: string[]): Promise<{ code: number, out: string, err: string }> => {
    let out = '', err = ''
    const [command, ...rest] = args
    const code = await main(['dlq', command, file, ...rest, '--folder', folder], { sources, operators, sinks, fileStore } as unknown as Parts, [dlq], {
      writeOut: text => { out += text }, writeErr: text => { err += text }, getOutHasColors: () => false, getErrHasColors: () => false
    })
    return { code, out, err }
  }
  const letters = async (...args: string[]): Promise<any[]> => (await ask('list', '--json', ...args)).out.trim().split('\n').filter(l => l !== '').map(l => JSON.parse(l))
  const values = (): number[] => { try { return readFileSync(join(folder, 'store', 'p', 'r.ndjson'), 'utf8').trim().split('\n').map(l => JSON.parse(l).value) } catch { return [] } }
  const publish = async (...messages: (readonly [topic: string, payload: string])[]) => {
    const device = await connectAsync(`mqtt://127.0.0.1:${port}`)
    for (const [topic, payload] of messages) await device.publishAsync(topic, payload, { qos: 1 })
    await device.endAsync()
  }
  const until = async (what: string, holds: () => Promise<boolean> | boolean) => {
    for (let i = 0; i < 200; i++) { if (await holds()) return; await sleep(50) }
    throw new Error(`not: ${what}`)
  }
  return { folder, run, ask, letters, values, publish, until }
}
const reading = (time: number, value: number) => ['t/d/m', JSON.stringify({ ts: time, value })] as const

t.test('what a topic says is shown to people and does nothing to their terminal', async t => {
  const { run, ask, letters, publish, until } = await setUp(t)
  await run()
  await publish(['t/\x1b]0;title\x07\x9b2J\u202e', '{"value": 2}'], ['t/d/m', '{"value": "\x1b[2J"}'])
  await until('two letters', async () => (await letters()).length === 2)
  const [{ position }] = await letters('--reason', 'topic_mismatch')
  for (const args of [['list'], ['show', String(position)], ['show', String(position + 1)]]) {
    const { out } = await ask(...args)
    t.notMatch(out.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u, args.join(' '))
    t.match(out, '\\u001b')
  }
})

t.test('dead letters are listed, shown, and given back: while the engine runs and while it does not', async t => {
  const { folder, run, ask, letters, values, publish, until } = await setUp(t), first = await run()
  const soon = Date.now() + 4000
  await publish(reading(T0, 1), ['t/d', '{"value": 2}'], ['t/d/m', '{'], reading(soon, 3), ['t/d/m', '{"ts": 1e999, "value": "x"}'])
  await until('four letters', async () => (await letters()).length === 4)
  t.same(new Set((await letters()).map(l => l.reason)), new Set(['bad_time', 'future', 'topic_mismatch', 'unparseable']))
  const { out } = await ask('list', '--reason', 'future')
  t.match(out, new RegExp(String.raw`^\S+Z  (\d+)/0  future  t/d/m  .*\n$`))
  const [{ position }] = await letters('--reason', 'future')
  t.match((await ask('show', String(position))).out, new RegExp(`reason    future[^]*payload   .*"value":3`))
  for (const [args, code, what] of [
    [['show', '999'], 2, /nothing at position 999/], [['show', 'x'], 2, /position "x" is not a whole number/],
    [['requeue'], 2, /nothing is named/], [['requeue', '999'], 2, /nothing at position 999/], [['list', '--limit', '-1'], 2, /whole number|argument/]
  ] as const) {
    const { code: got, err } = await ask(...args)
    t.equal(got, code, `${args.join(' ')}: ${err}`)
    t.match(err, what)
  }

  await sleep(Math.max(0, soon - Date.now()))
  t.match(await ask('requeue', '--reason', 'future', '--json'), { code: 0, out: '{"requeued":1,"refused":0}\n', err: /read again as a whole, by every pipeline/ })
  await until('it is a row now', () => values().includes(3))
  t.strictSame(await letters('--reason', 'future'), [])
  t.match(await letters('--reason', 'future', '--requeued'), [{ position, requeued: true }])
  t.match(await ask('requeue', '--reason', 'future'), { code: 0, out: '0 requeued\n', err: '' })

  first.child.kill('SIGTERM')
  t.equal(await first.ended, 143)
  const queue = join(folder, 'log', readdirSync(join(folder, 'log'))[0], 'requeue')
  writeFileSync(join(queue, '0.json'), '{"key":')
  const [{ position: at }] = await letters('--reason', 'topic_mismatch')
  t.match(await ask('requeue', String(at)), { code: 0, out: '1 requeued\n' })
  const second = await run()
  await until('it is refused again', async () => (await letters('--reason', 'topic_mismatch')).some(l => l.position > at))
  t.match(second.err, /this is no message to be read once more/)
  t.strictSame(readdirSync(queue), ['0.json.bad'])
  t.strictSame(values(), [1, 3])
})

t.test('what cannot be given back ends the command too, when it has asked a database', async t => {
  const url = (await freshDatabase(t))!, folder = temporary(t), file = join(folder, 'p.yaml')
  await migrate(url, quiet)
  writeFileSync(file, 'name: p\nfrom: { http: {} }\nto: [ postgres: { table: readings } ]\n')
  const { ended } = start(t, ['dlq', 'requeue', file, '999', '--folder', folder, '--database', url])
  t.equal(await Promise.race([ended, sleep(60_000, 'it goes on', { ref: false })]), 2)
})

t.test('late rows are given back too: what the trunk has of them already is not doubled', async t => {
  const { folder, run, ask, letters, values, publish, until } = await setUp(t), engine = await run()
  await publish(reading(T0, 1), reading(T0 + 30_000, 2), reading(T0 + 1000, 3))
  await until('one is late', async () => (await letters('--late')).length === 1)
  const [{ position, topic, payload }] = await letters('--late')
  t.strictSame([topic, JSON.parse(payload).value], ['t/d/m', 3])
  t.match(await ask('requeue', '--late', '--every'), { out: '1 requeued\n', err: /^A late row is a row of the trunk already/ })
  const queue = join(folder, 'log', readdirSync(join(folder, 'log'))[0], 'requeue')
  await until('it is taken up', () => readdirSync(queue).length === 0)
  engine.child.kill('SIGTERM')
  t.equal(await engine.ended, 143)
  t.match(await letters('--late', '--requeued'), [{ position, requeued: true }])
  t.strictSame(values(), [1, 2, 3])
})

t.test('a message without a time of its own keeps that of its arrival', async t => {
  const { folder, run, ask, letters, publish, until } = await setUp(t), small = await run('--max-series', '1')
  await publish(['t/d/m', '{"value":1}'], ['t/e/m', '{"value":2}'])
  await until('one is too many', async () => (await letters('--reason', 'series_limit')).length === 1)
  const [{ ingest }] = await letters('--reason', 'series_limit')
  small.child.kill('SIGTERM')
  t.equal(await small.ended, 143)
  t.match(await ask('requeue', '--reason', 'series_limit'), { out: '1 requeued\n' })
  await sleep(100)
  await run()
  const rows = () => readFileSync(join(folder, 'store', 'p', 'r.ndjson'), 'utf8').trim().split('\n').map(l => JSON.parse(l))
  await until('it is a row', () => rows().length === 2)
  t.equal(Date.parse(rows()[1].time), Date.parse(ingest))
})
