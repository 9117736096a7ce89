import t, { type Test } from 'tap'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jetstreamManager, type JetStreamManager, type StreamConfig } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { Batch, SeriesTable, sleep, Transient, type Sink, type SinkHost } from '#engine'
import { nats } from '../../sinks/nats.ts'
import { takes } from '../../sinks/nats/link.ts'
import { quiet } from '../support/collect.ts'
import { freePort, startNats, withoutNats, type NatsServer } from '../support/nats.ts'

type Options = NonNullable<Parameters<typeof nats>[0]>
const T = Date.UTC(2026, 2, 7, 12)

function follow (t: Test, options: Options, more: Partial<SinkHost> = {}): Sink & { readonly series: SeriesTable, readonly lines: ReturnType<typeof quiet>['lines'] } {
  const { log, lines } = quiet(), host = { pipeline: 'boiler-room', series: new SeriesTable(5000), log, database: undefined, folder: '.', ...more }
  const sink = nats.definition.follow!(nats({ stream: 'ROWS', ...options }).options as never, host)
  t.teardown(() => sink.close())
  return Object.assign(sink, { series: host.series, lines })
}

/** `n` readings of a series, a millisecond and some microseconds apart, values 0, 1, 2, ... */
function readings (series: number, n: number, more: Record<string, Float64Array> = {}) {
  return new Batch({ time: Float64Array.from({ length: n }, (_, i) => T + i + 0.001 * (i % 1000)), series: new Int32Array(n).fill(series), value: Float64Array.from({ length: n }, (_, i) => i), columns: { seq: new Float64Array(n), ...more } })
}
const part = (batch: Batch<any>, from: number, to: number) => batch.take(Int32Array.from({ length: to - from }, (_, i) => from + i))

interface Place { readonly server: NatsServer, readonly manager: JetStreamManager, readonly connection: NatsConnection, readonly stored: () => Promise<{ readonly subject: string, readonly id: string, readonly row: any }[]> }

/** What the stream holds, read anew by a client of its own. */
async function look (t: Test, url: string, stream = 'ROWS'): Promise<Pick<Place, 'manager' | 'connection' | 'stored'>> {
  const connection = await connect({ servers: url })
  t.teardown(() => connection.close())
  const manager = await jetstreamManager(connection)
  return {
    manager, connection,
    async stored () {
      const { state } = await manager.streams.info(stream)
      const messages = []
      for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
        const m = (await manager.streams.getMessage(stream, { seq }))!
        messages.push({ subject: m.subject, id: m.header.get('Nats-Msg-Id'), row: m.json() })
      }
      return messages
    }
  }
}

async function place (t: Test, config: Partial<StreamConfig> = {}): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-jetstream-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const server = await startNats({ args: ['-js', '-sd', folder] })
  t.teardown(() => server.stop())
  const seen = await look(t, server.url)
  await seen.manager.streams.add({ name: 'ROWS', subjects: ['rows.>'], ...config })
  return { server, ...seen }
}

void t.test('nats sink', { skip: withoutNats }, async t => {
  void t.test('a row is JSON on the subject of its names, in order, and resolved means stored', async t => {
    const { server, stored } = await place(t)
    const sink = follow(t, { servers: server.url })
    const s = sink.series.id('acme', 'boiler 1.a*>', 'ürün')
    await sink.write(new Batch({ time: Float64Array.of(T + 0.001, T + 0.002), series: Int32Array.of(s, s), value: Float64Array.of(80, NaN), columns: { seq: Float64Array.of(0, 0), zscore: Float64Array.of(0.5, NaN) } }))
    const rows = await stored()
    t.strictSame(rows.map(r => r.row), [
      { tenant: 'acme', device: 'boiler 1.a*>', metric: 'ürün', time: '2026-03-07T12:00:00.000001Z', value: 80, seq: 0, zscore: 0.5 },
      { tenant: 'acme', device: 'boiler 1.a*>', metric: 'ürün', time: '2026-03-07T12:00:00.000002Z', value: null, seq: 0, zscore: null }
    ])
    t.strictSame(rows.map(r => r.subject), Array(2).fill('rows.acme.boiler%201%2Ea%2A%3E.%C3%BCr%C3%BCn'))
    t.strictSame(rows[0].subject.split('.').slice(1).map(decodeURIComponent), ['acme', 'boiler 1.a*>', 'ürün'])
  })

  void t.test('a name too long for a subject is cut there, each to a subject of its own that stays the same', async t => {
    const { server, stored } = await place(t)
    const names = ['温'.repeat(240), `${'温'.repeat(239)}x`, 'x'.repeat(512), 'x'.repeat(513), `x${'温'.repeat(80)}`]
    for (const process of [follow(t, { servers: server.url }), follow(t, { servers: server.url, inFlight: 1 })]) {
      for (const name of names) await process.write(readings(process.series.id(name, name, name), 1))
    }
    const rows = await stored()
    t.strictSame(rows.map(r => r.row.device), names, 'once each, and the name is in the row')
    for (const [i, { subject }] of rows.entries()) {
      const [, ...tokens] = subject.split('.')
      t.equal(new Set(tokens).size, 1)
      t.ok(tokens[0].length <= 512 && tokens[0].length > 480, `${tokens[0].length} bytes`)
      if (i === 2) t.equal(tokens[0], names[i])
      else t.match(tokens[0], /^(x|%[0-9A-F]{2})+~[A-Za-z0-9_-]{22}$/)
    }
    t.equal(new Set(rows.map(r => r.subject)).size, names.length)
  })

  void t.test('the same rows, cut differently and by another process, are there once', async t => {
    const { server, stored } = await place(t)
    const sink = follow(t, { servers: server.url, inFlight: 7 })
    const a = sink.series.id('acme', 'boiler', 'temp'), n = 1000
    const batch = readings(a, n)
    await sink.write(batch)
    for (let from = 0; from < n; from += 300) await sink.write(part(batch, from, Math.min(n, from + 300)))
    const other = follow(t, { servers: server.url })
    other.series.id('acme', 'another', 'temp')      // ids of a process mean nothing
    await other.write(readings(other.series.id('acme', 'boiler', 'temp'), n))
    const rows = await stored()
    t.strictSame(rows.map(r => r.row.value), Array.from({ length: n }, (_, i) => i), 'once each, in order')
    t.equal(new Set(rows.map(r => r.id)).size, n)
  })

  void t.test('rows that differ in anything that makes a row are all there', async t => {
    const { server, stored } = await place(t, { subjects: ['rows.>', 'other.>'] })
    const options = { servers: server.url }
    const sink = follow(t, options)
    const s = sink.series.id('acme', 'boiler', 'temp'), other = sink.series.id('acme', 'boiler', 'flow')
    const row = (columns: Record<string, Float64Array>, series = s, value = 1, time = T) => new Batch({ time: Float64Array.of(time), series: Int32Array.of(series), value: Float64Array.of(value), columns })
    const batches = [
      row({ seq: Float64Array.of(0) }), row({ seq: Float64Array.of(1) }), row({ seq: Float64Array.of(0) }, other), row({ seq: Float64Array.of(0) }, s, 1, T + 0.001),
      row({}, s, 1), row({}, s, 2),
      row({ revision: Float64Array.of(0) }), row({ revision: Float64Array.of(1) }), new Batch({ time: new Float64Array(0), series: new Int32Array(0), value: new Float64Array(0), provisional: row({ revision: Float64Array.of(0) }) })
    ]
    const places = [sink, follow(t, options, { series: sink.series, branch: 'minutes' }), follow(t, options, { series: sink.series, pipeline: 'other' }), follow(t, { ...options, subject: 'other.{metric}' }, { series: sink.series })]
    for (let twice = 0; twice < 2; twice++) for (const to of places) for (const batch of batches) await to.write(batch)
    const rows = await stored()
    t.equal(rows.length, batches.length * places.length)
    t.equal(rows.filter(r => r.row.provisional === true).length, places.length)
  })

  void t.test('a server killed in the middle of a batch: nothing lost, nothing twice', async t => {
    const { server, connection } = await place(t)
    const folder = mkdtempSync(join(tmpdir(), 'millrace-jetstream-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    await connection.close()
    await server.stop()
    const port = await freePort(), args = ['-js', '-sd', folder]
    let running = await startNats({ port, args })
    t.teardown(() => running.stop())
    await (await look(t, running.url)).manager.streams.add({ name: 'ROWS', subjects: ['rows.>'] })
    const sink = follow(t, { servers: running.url, inFlight: 50, timeout: '2s' })
    const s = sink.series.id('acme', 'boiler', 'temp'), size = 2000
    let failures = 0, partly = 0
    for (let round = 0; round < 5; round++) {
      const batch = new Batch({ ...readings(s, size), time: Float64Array.from({ length: size }, (_, i) => T + round * 1e6 + i) })
      const killed = sleep(20 + 15 * round).then(() => running.stop())
      let written = false, first = true
      while (!written) {
        try {
          await sink.write(batch)
          written = true
        } catch (error) {
          if (!(error instanceof Transient)) throw error
          failures++
          await killed
          if (first) {
            first = false
            running = await startNats({ port, args })
            const { manager, connection } = await look(t, running.url)
            const { state } = await manager.streams.info('ROWS')
            if (state.messages > round * size && state.messages < (round + 1) * size) partly++
            await connection.close()
          }
        }
      }
      await killed
      if (first) running = await startNats({ port, args })
    }
    t.comment(`${failures} failures, ${partly} times with a part of the batch stored`)
    t.ok(partly > 0, 'killed in the middle of a batch')
    const rows = await (await look(t, running.url)).stored()
    t.equal(rows.length, 5 * size, 'once each')
    t.equal(new Set(rows.map(r => `${r.row.time}`)).size, 5 * size, 'nothing lost')
    t.equal(sink.trouble!(), undefined)
  })

  void t.test('a server that is away is transient, and trouble until it is back', async t => {
    const port = await freePort()
    const sink = follow(t, { servers: `nats://127.0.0.1:${port}` })
    const batch = readings(sink.series.id('acme', 'boiler', 'temp'), 3)
    await t.rejects(sink.write(batch), Transient)
    t.match(sink.trouble!(), new RegExp(`nats at nats://127.0.0.1:${port}, stream "ROWS"`))
    const folder = t.testdir()
    const server = await startNats({ port })
    await t.rejects(sink.write(batch), Transient, 'no JetStream')
    t.match(sink.trouble!(), /JetStream is not enabled or not ready/)
    await server.stop()
    const full = await startNats({ port, args: ['-js', '-sd', folder] })
    t.teardown(() => full.stop())
    const { manager, stored } = await look(t, full.url)
    await manager.streams.add({ name: 'ROWS', subjects: ['rows.>'] })
    await sink.write(batch)
    t.equal(sink.trouble!(), undefined)
    t.equal((await stored()).length, 3)
  })

  void t.test('a stream that is missing, or that cannot take the rows, is a clear error', async t => {
    const { server, manager } = await place(t, { max_msg_size: 400 })
    const batch = (sink: ReturnType<typeof follow>, metric = 'temp') => readings(sink.series.id('acme', 'boiler', metric), 3)
    const write = (options: Options, metric?: string) => { const sink = follow(t, { servers: server.url, ...options }); return sink.write(batch(sink, metric)) }
    await t.rejects(write({ stream: 'NONE' }), { code: 'sink/failed', message: /stream "NONE": stream not found/ })
    await t.rejects(write({ subject: 'telemetry.{device}' }), { code: 'sink/failed', message: /does not take the subject "telemetry\.boiler"; it takes rows\.>/ })
    await t.rejects(write({}, 'x'.repeat(390)), { code: 'sink/failed', message: /message size exceeds maximum/ })
    await manager.streams.add({ name: 'MUTE', subjects: ['mute.>'], no_ack: true })
    await t.rejects(write({ stream: 'MUTE', subject: 'mute.{metric}' }), { code: 'sink/failed', message: /acknowledges nothing/ })
    const sink = follow(t, { servers: server.url })
    await sink.write(batch(sink))
    await manager.streams.delete('ROWS')
    await t.rejects(sink.write(batch(sink)), Transient, 'gone while at work: looked at again')
    await t.rejects(sink.write(batch(sink)), { code: 'sink/failed', message: /stream not found/ })
  })

  void t.test('a stream that is full is waited for', async t => {
    const { server, manager, stored } = await place(t, { max_msgs: 5, discard: 'new' as never })
    const sink = follow(t, { servers: server.url })
    const batch = readings(sink.series.id('acme', 'boiler', 'temp'), 8)
    await t.rejects(sink.write(batch), Transient)
    t.match(sink.trouble!(), /maximum messages exceeded/)
    await manager.streams.update('ROWS', { max_msgs: 100 })
    await sink.write(batch)
    t.strictSame((await stored()).map(r => r.row.value), [0, 1, 2, 3, 4, 5, 6, 7])
  })

  void t.test('how long rows come once is said at the start, once', async t => {
    const { server } = await place(t, { duplicate_window: 90e9, max_msg_size: 400 })
    const sink = follow(t, { servers: server.url })
    const batch = readings(sink.series.id('acme', 'boiler', 'temp'), 3)
    await sink.write(batch)
    await t.rejects(sink.write(readings(sink.series.id('acme', 'boiler', 'x'.repeat(390)), 1)), { code: 'sink/failed' })
    await sink.write(batch)              // over a new connection
    t.strictSame(sink.lines.map(l => l.level), ['warn'])
    t.match(sink.lines[0].text, /remembers the ids of rows for 90s \(its duplicate_window\)/)
  })

  void t.test('who may not publish is told so', async t => {
    const folder = t.testdir({ 'server.conf': 'authorization { users [ { user: a, password: b }, { user: c, password: d, permissions: { publish: { deny: ["rows.>"] } } } ] }' })
    const server = await startNats({ args: ['-js', '-sd', join(folder, 'js'), '-c', join(folder, 'server.conf')] })
    t.teardown(() => server.stop())
    const connection = await connect({ servers: server.url, user: 'a', pass: 'b' })
    t.teardown(() => connection.close())
    await (await jetstreamManager(connection)).streams.add({ name: 'ROWS', subjects: ['rows.>'] })
    const write = (options: Options) => { const sink = follow(t, { servers: server.url, ...options }); return sink.write(readings(sink.series.id('acme', 'boiler', 'temp'), 3)) }
    await t.rejects(write({}), { code: 'sink/failed', message: /Authorization Violation/i })
    await t.rejects(write({ user: 'a', password: 'wrong' }), { code: 'sink/failed', message: /Authorization Violation/i })
    await t.rejects(write({ user: 'c', password: 'd' }), { code: 'sink/failed', message: /Permissions Violation/i })
    await t.rejects(write({ credentials: join(folder, 'none.creds') }), { code: 'sink/failed', message: /none\.creds/ })
    await t.resolves(write({ user: 'a', password: 'b' }))
  })

  void t.test('no more than inFlight rows wait for their acknowledgement', async t => {
    const { server, connection, manager } = await place(t)
    const sink = follow(t, { servers: server.url, inFlight: 7 })
    const batch = readings(sink.series.id('acme', 'boiler', 'temp'), 20)
    await sink.write(part(batch, 0, 1))
    await manager.streams.delete('ROWS')
    const waiting: (() => void)[] = []
    let most = 0
    connection.subscribe('rows.>', { callback: (_, message) => { most = Math.max(most, waiting.push(() => { message.respond('{"stream":"ROWS","seq":1}') })) } })
    await connection.flush()
    const write = sink.write(batch)
    for (let answered = 0; answered < 20;) {
      await sleep(20)
      for (const answer of waiting.splice(0)) { answer(); answered++ }
    }
    await write
    t.equal(most, 7)
  })

  void t.test('somebody who answers in place of the stream is not believed', async t => {
    const { server, connection, manager } = await place(t)
    const sink = follow(t, { servers: server.url })
    const batch = readings(sink.series.id('acme', 'boiler', 'temp'), 5)
    await sink.write(part(batch, 0, 1))
    await manager.streams.delete('ROWS')
    connection.subscribe('rows.>', { callback: (_, message) => { message.respond('{"stream":"IMPOSTOR","seq":1}') } })
    await connection.flush()
    await t.rejects(sink.write(batch), { code: 'sink/failed', message: /answered by "IMPOSTOR"/ })
  })
})

void t.test('options that cannot work are refused when the pipeline is read', async t => {
  const wrong = (given: Options, message: RegExp) => t.throws(() => nats({ stream: 'ROWS', ...given }), { message })
  t.throws(() => nats({}), { code: 'config/missing' })
  wrong({ subject: 'rows.*' }, /the token "\*"/)
  wrong({ subject: 'rows..x' }, /the token ""/)
  wrong({ subject: 'rows.{site}' }, /the token "\{site\}"/)
  wrong({ subject: '$JS.API.x' }, /the token "\$JS"/)
  wrong({ subject: 'rows.{device}.{device}.{device}.{device}' }, /it may become 2056 bytes long, with 512 for each name in it; 2048 are allowed/)
  wrong({ timeout: '2m' }, /at most|to 1m/)
  wrong({ stream: 'a.b' }, /nats\.stream/)
})

void t.test('the wildcards of a subject are those of NATS', async t => {
  for (const filter of ['rows.>', '>', 'rows.*.b', 'rows.a.*', 'rows.a.b', '*.*.*', 'rows.a.>']) t.ok(takes(filter, 'rows.a.b'), filter)
  for (const filter of ['rows', 'rows.a', 'rows.a.b.c', 'rows.a.b.>', 'rows.*', 'other.>', '*']) t.notOk(takes(filter, 'rows.a.b'), filter)
})
