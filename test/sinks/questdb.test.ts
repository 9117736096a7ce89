import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { Batch, SeriesTable, sleep, Transient, type Sink, type SinkHost } from '#engine'
import { questdb } from '../../sinks/questdb.ts'
import { quiet } from '../support/collect.ts'
import { startQuestdb, withoutQuestdb, type Questdb } from '../support/questdb.ts'

type Options = NonNullable<Parameters<typeof questdb>[0]>
const T = Date.UTC(2026, 2, 7, 12)

function follow (t: Test, options: Options, more: Partial<SinkHost> = {}): Sink & { readonly series: SeriesTable, readonly lines: ReturnType<typeof quiet>['lines'] } {
  const { log, lines } = quiet(), host = { pipeline: 'boiler-room', series: new SeriesTable(5000), log, database: undefined, folder: '.', ...more }
  const sink = questdb.definition.follow!(questdb(options).options as never, host)
  t.teardown(() => sink.close())
  return Object.assign(sink, { series: host.series, lines })
}

const row = (series: number, time: number, value: number, columns: Record<string, number> = { seq: 0 }) =>
  new Batch({ time: Float64Array.of(time), series: Int32Array.of(series), value: Float64Array.of(value), columns: Object.fromEntries(Object.entries(columns).map(([name, x]) => [name, Float64Array.of(x)])) })
const part = (batch: Batch<any>, from: number, to: number) => batch.take(Int32Array.from({ length: to - from }, (_, i) => from + i))
/** `n` readings over `series`, 100 ms apart, half of them out of order, values 0, 1, 2, ... */
const readings = (series: readonly number[], n: number, start = T) => new Batch({
  time: Float64Array.from({ length: n }, (_, i) => start + 100 * (i % 2 === 0 ? i : n - i)), series: Int32Array.from({ length: n }, (_, i) => series[i % series.length]),
  value: Float64Array.from({ length: n }, (_, i) => i), columns: { seq: new Float64Array(n), zscore: Float64Array.from({ length: n }, (_, i) => i / 3) }
})

void t.test('questdb sink', { skip: withoutQuestdb }, async t => {
  const server: Questdb = withoutQuestdb === false ? await startQuestdb({ QDB_DEV_MODE_ENABLED: 'true' }) : undefined!
  t.teardown(() => server.stop())
  const { url } = server

  /** Until the server has applied what it has accepted. Returns how many ms that took. */
  const applied = async (table: string): Promise<number> => {
    const started = performance.now()
    for (;;) {
      const [{ writerTxn, sequencerTxn }] = await server.query(`SELECT writerTxn, sequencerTxn FROM wal_tables() WHERE name = '${table}'`)
      if (writerTxn === sequencerTxn) return performance.now() - started
      if (performance.now() - started > 60_000) throw new Error(`${table}: not applied after 60 s`)
      await sleep(5)
    }
  }
  const rows = async (table: string, columns = '*') => { await applied(table); return await server.query(`SELECT ${columns} FROM ${table} ORDER BY ts, tenant, device, metric`) }

  await t.test('rows arrive exactly: names, microseconds, numbers, and nothing for no value', async t => {
    const sink = follow(t, { url, table: 'exact' })
    const names = ['boiler-1', ' ', 'a b,c=d', 'a\\b\\', '"quoted"', 'it\'s', 'line\nfeed\r\t', 'Ünï 😀', '😀'.repeat(128), 'null', '\u2028', '\ufeffbom']
    const values = [80, -0, 1 / 3, 5e-324, 1.7976931348623157e308, NaN, Infinity, -Infinity, 2 ** 53, 0.1 + 0.2, -1e-7, 1e21]
    const time = names.map((_, i) => T + 0.001 * (1 + 83 * i))
    await sink.write(new Batch({
      time: Float64Array.from(time), series: Int32Array.from(names, name => sink.series.id(name, `d${name}`, `m${name}`)), value: Float64Array.from(values),
      columns: { seq: new Float64Array(names.length), zscore: Float64Array.from(values, x => -x) }
    }))
    const finite = (x: number) => Number.isFinite(x) ? x : null
    t.strictSame(await rows('exact'), names.map((name, i) => ({
      ts: `2026-03-07T12:00:00.${String(1 + 83 * i).padStart(6, '0')}Z`, tenant: name, device: `d${name}`, metric: `m${name}`, seq: 0, value: finite(values[i]), zscore: finite(-values[i])
    })))
    await t.rejects(sink.write(row(sink.series.id('a\0b', 'd', 'm'), T, 1)), { code: 'sink/failed', message: /has a NUL/ })
    // in 2005, where doubles are such that rounding down would be seen
    const u = sink.series.id('micros', 'd', 'm'), micros = Array.from({ length: 1000 }, (_, i) => i)
    await sink.write(new Batch({ time: Float64Array.from(micros, i => Date.UTC(2005, 0, 1) + 0.001 * i), series: new Int32Array(1000).fill(u), value: Float64Array.from(micros), columns: { seq: new Float64Array(1000) } }))
    t.strictSame((await rows('exact')).filter(r => r.tenant === 'micros').map(r => r.ts), micros.map(i => `2005-01-01T00:00:00.${String(i).padStart(6, '0')}Z`))
    const ends = [0, 0.001, Date.UTC(2247, 11, 31, 23, 59, 59) + 999.999]
    for (const at of ends) await sink.write(row(sink.series.id('ends', 'd', 'm'), at, 1))
    t.strictSame((await rows('exact')).filter(r => r.tenant === 'ends').map(r => r.ts), ['1970-01-01T00:00:00.000000Z', '1970-01-01T00:00:00.000001Z', '2247-12-31T23:59:59.999999Z'])
  })

  await t.test('the same rows, cut differently and by another process, are there once; other ones of the same time too', async t => {
    const sink = follow(t, { url, table: 'once', rows: 700 })
    const series = ['temp', 'flow', 'level'].map(metric => sink.series.id('acme', 'boiler', metric)), n = 3000
    const batch = readings(series, n)
    await sink.write(batch)
    for (let from = 0; from < n; from += 1100) await sink.write(part(batch, from, Math.min(n, from + 1100)))
    const other = follow(t, { url, table: 'once' })
    const theirs = ['level', 'flow', 'temp'].map(metric => other.series.id('acme', 'boiler', metric)).toReversed()
    await Promise.all([other.write(readings(theirs, n)), sink.write(batch), other.write(readings(theirs, n))])
    t.equal((await rows('once')).length, n)
    t.strictSame((await rows('once')).map(r => r.value as number).sort((a, b) => a - b), Array.from({ length: n }, (_, i) => i))
    await sink.write(row(series[0], T, 5, { seq: 1 }))
    await sink.write(row(series[0], T + 0.001, 5))
    t.equal((await rows('once')).length, n + 2)
  })

  await t.test('readings that nobody has numbered are warned about: of one series and time the last one stays', async t => {
    const sink = follow(t, { url, table: 'unnumbered' })
    const s = sink.series.id('acme', 'boiler', 'temp')
    for (const value of [1, 2]) await sink.write(row(s, T, value, {}))
    t.match(await rows('unnumbered'), [{ seq: 0, value: 2 }])
    t.match(sink.lines, [{ level: 'warn', text: /without seq/ }])
  })

  await t.test('windows: a later revision replaces a provisional one, in its own table', async t => {
    const sink = follow(t, { url, table: 'minutes' })
    const s = sink.series.id('acme', 'boiler', 'temp'), empty = { time: new Float64Array(0), series: new Int32Array(0), value: new Float64Array(0) }
    await sink.write(new Batch({ ...empty, provisional: row(s, T, 80, { mean: 80, count: 3, revision: 0 }) }))
    t.match(await rows('minutes'), [{ value: 80, mean: 80, count: 3, revision: 0, provisional: true }])
    await sink.write(new Batch({ ...row(s, T + 60_000, 90, { mean: 90, count: 1, revision: 0 }), provisional: row(s, T, 81, { mean: 81, count: 4, revision: 1 }) }))
    t.match(await rows('minutes'), [{ value: 81, revision: 1, provisional: true }, { value: 90, revision: 0, provisional: false }])
    for (let twice = 0; twice < 2; twice++) await sink.write(row(s, T, 82, { mean: NaN, count: 5, revision: 2 }))
    t.strictSame(await rows('minutes'), [
      { ts: '2026-03-07T12:00:00.000000Z', tenant: 'acme', device: 'boiler', metric: 'temp', value: 82, revision: 2, provisional: false, mean: null, count: 5 },
      { ts: '2026-03-07T12:01:00.000000Z', tenant: 'acme', device: 'boiler', metric: 'temp', value: 90, revision: 0, provisional: false, mean: 90, count: 1 }
    ])
    await t.rejects(sink.write(row(s, T, 1)), { code: 'sink/failed', message: /the table "minutes" does not fit: it has no column "seq", so it is not a table of readings/ })
  })

  await t.test('a column that appears is added; one that cannot be a column is refused', async t => {
    const sink = follow(t, { url, table: 'wider' })
    const s = sink.series.id('acme', 'boiler', 'temp')
    await sink.write(row(s, T, 1))
    await sink.write(row(s, T + 1, 2, { seq: 0, 'größe x': 0.5 }))
    const again = follow(t, { url, table: 'wider' }, { series: sink.series })
    await again.write(row(s, T + 2, 3, { seq: 0, mean: 7 }))
    t.match(await rows('wider'), [{ value: 1, 'größe x': null, mean: null }, { value: 2, 'größe x': 0.5, mean: null }, { value: 3, 'größe x': null, mean: 7 }])
    t.match(await server.query('SHOW COLUMNS FROM wider'), [{}, {}, {}, {}, {}, {}, { column: 'größe x', type: 'DOUBLE' }, { column: 'mean', type: 'DOUBLE' }])
    const refused = (columns: Record<string, number>, message: RegExp) => t.rejects(sink.write(row(s, T + 9, 9, columns)), { code: 'sink/failed', message })
    await refused({ 'z-score': 1 }, /"z-score" cannot be the name of a column/)
    await refused({ Mean: 1, mean: 2 }, /the column "mean" would be the column "Mean"/)
    await refused({ TS: 1 }, /the column "TS" would be the column "ts"/)
    t.equal((await rows('wider')).length, 3)
    await sink.write(row(s, T + 3, 4, { seq: 0, MEAN: 8 }))
    t.match((await rows('wider'))[3], { mean: 8 }, 'the case of another run')
  })

  await t.test('a table of another kind is refused, with what would be right', async t => {
    await server.query('CREATE TABLE loose (ts TIMESTAMP, tenant SYMBOL, device SYMBOL, metric SYMBOL, seq LONG, value DOUBLE, note STRING) TIMESTAMP(ts) PARTITION BY DAY WAL')
    const sink = follow(t, { url, table: 'loose' })
    const s = sink.series.id('acme', 'boiler', 'temp')
    await t.rejects(sink.write(row(s, T, 1)), { code: 'sink/failed', message: /deduplicated by nothing, not by ts, tenant, device, metric, seq/, help: /ALTER TABLE "loose" DEDUP ENABLE/ })
    await server.query('ALTER TABLE loose DEDUP ENABLE UPSERT KEYS(ts, tenant, device, metric, seq)')
    await applied('loose')
    await sink.write(row(s, T, 1))
    await t.rejects(sink.write(row(s, T, 1, { seq: 0, note: 1 })), { code: 'sink/failed', message: /its column "note" is STRING, not DOUBLE/ })
    t.equal((await rows('loose')).length, 1)
  })

  await t.test('kill -9 while rows are written, then a restart: nothing lost, nothing twice', async t => {
    const sink = follow(t, { url, table: 'killed', timeout: '3s', rows: 500 })
    const series = Array.from({ length: 20 }, (_, i) => sink.series.id('acme', `boiler-${i}`, 'temp')), size = 2000
    let written = 0, kills = 0, failures = 0, partly = 0, working = true
    let back: Promise<void> | undefined      // after a kill: until what is there has been counted
    const killing = (async () => {
      for (; kills < 4; kills++) {
        const before = written
        while (written < before + 4) await sleep(1)
        await sleep(7 * kills)
        await server.kill()
        back = (async () => {
          await server.start()
          await applied('killed')
          if (Number((await server.query('SELECT count() n FROM killed'))[0].n) % size > 0) partly++
        })()
        await back
        back = undefined
      }
      working = false
    })()
    while (working) {
      const batch = readings(series, size, T + 1e6 * written)
      for (let done = false; !done;) {
        try {
          await sink.write(batch)
          done = true
        } catch (error) {
          if (!(error instanceof Transient)) throw error
          failures++
          await (back ?? sleep(5))
        }
      }
      written++
    }
    await killing
    t.comment(`${kills} kills, ${failures} failures, ${partly} times with a part of a batch stored; ${written} batches of ${size} in the end`)
    t.ok(partly > 0, 'killed in the middle of a batch')
    t.ok(failures >= kills, 'every kill was felt')
    await applied('killed')
    const [{ n }] = await server.query('SELECT count() n FROM killed')
    const [{ different }] = await server.query('SELECT count() different FROM (SELECT DISTINCT ts, device, value FROM killed)')
    const [{ sum }] = await server.query('SELECT sum(value) sum FROM killed')
    t.equal(n, written * size)
    t.equal(different, written * size)
    t.equal(sum, written * size * (size - 1) / 2)
    t.equal(sink.trouble!(), undefined)
  })

  await t.test('a server that is away is transient, and trouble until it is back', async t => {
    const sink = follow(t, { url, table: 'away', timeout: '1s' })
    const batch = row(sink.series.id('acme', 'boiler', 'temp'), T, 1)
    await server.kill()
    await t.rejects(sink.write(batch), Transient)
    t.match(sink.trouble!(), /^questdb at http:\/\/127\.0\.0\.1:\d+: connect ECONNREFUSED/)
    await server.start()
    await sink.write(batch)
    t.equal(sink.trouble!(), undefined)
    await server.kill()
    await t.rejects(sink.write(batch), Transient, 'gone between two writes')
    await server.start()
    await sink.write(batch)
    t.equal((await rows('away')).length, 1)
  })

  await t.test('acknowledged rows are queryable soon', async t => {
    const sink = follow(t, { url, table: 'soon' })
    const series = [sink.series.id('acme', 'boiler', 'temp')], waits: number[] = []
    for (let k = 0; k < 20; k++) {
      await sink.write(readings(series, 1000, T + 1e6 * k))
      waits.push(await applied('soon'))
      t.equal((await server.query('SELECT count() n FROM soon'))[0].n, 1000 * (k + 1))
    }
    waits.sort((a, b) => a - b)
    t.comment(`applied after ${waits[10].toFixed(1)} ms at the median, ${waits[19].toFixed(1)} ms at most`)
  })

  await t.test('a table that the server has suspended is trouble: rows are kept, and seen when it goes on', async t => {
    const sink = follow(t, { url, table: 'suspended' })
    const s = sink.series.id('acme', 'boiler', 'temp')
    await sink.write(row(s, T, 1))
    await applied('suspended')
    await server.query('ALTER TABLE suspended SUSPEND WAL')
    await sink.write(row(s, T + 1, 2, { seq: 0, mean: 1 }))      // a new column: it looks at the table
    t.match(sink.trouble!(), /the table "suspended" is suspended: rows are kept but no query sees them until ALTER TABLE "suspended" RESUME WAL/)
    t.match(sink.lines, [{ level: 'error', text: /is suspended/ }])
    t.equal((await server.query('SELECT count() n FROM suspended'))[0].n, 1)
    await server.query('ALTER TABLE suspended RESUME WAL')
    await sink.write(row(s, T + 2, 3, { seq: 0, max: 1 }))
    t.equal(sink.trouble!(), undefined)
    t.equal((await rows('suspended')).length, 3)
  })

  await t.test('a server that hangs is transient within the timeout, and a stop cuts it short', async t => {
    const hanging = createServer(() => {}).listen(0, '127.0.0.1')
    await once(hanging, 'listening')
    t.teardown(() => { hanging.closeAllConnections(); hanging.close() })
    const there = `http://127.0.0.1:${(hanging.address() as AddressInfo).port}`
    const timed = async (sink: ReturnType<typeof follow>) => {
      const started = performance.now(), error = await sink.write(row(sink.series.id('acme', 'boiler', 'temp'), T, 1)).then(() => undefined, e => e)
      return { error, took: performance.now() - started }
    }
    const slow = await timed(follow(t, { url: there, table: 'hangs', timeout: '300ms' }))
    t.ok(slow.error instanceof Transient && slow.took > 290 && slow.took < 9000, 'not by the 10 s that are the default')
    t.match(slow.error.message, /no answer within 300 ms/)
    const stopped = follow(t, { url: there, table: 'hangs', timeout: '1m' })
    setTimeout(() => { void stopped.close() }, 50)
    const cut = await timed(stopped)
    t.ok(cut.error instanceof Transient && cut.took < 30_000)
  })

  await t.test('with a user and a password, which no message shows', async t => {
    const guarded = await startQuestdb({ QDB_HTTP_USER: 'mill', QDB_HTTP_PASSWORD: 'pa;ss=wörd' })
    t.teardown(() => guarded.stop())
    const write = (options: Options) => { const sink = follow(t, { url: guarded.url, table: 'guarded', ...options }); return sink.write(row(sink.series.id('acme', 'boiler', 'temp'), T, 1)) }
    await t.resolves(write({ user: 'mill', password: 'pa;ss=wörd' }))
    await t.rejects(write({}), { code: 'sink/failed', message: /answered 401/ })
    const wrong = await write({ user: 'mill', password: 'hush' }).then(() => undefined, e => e)
    t.match(wrong, { code: 'sink/failed', message: /answered 401/ })
    t.notMatch(wrong.message, /hush/)
  })
})

void t.test('options that cannot work are refused when the pipeline is read', async t => {
  const wrong = (given: Options, message: RegExp) => t.throws(() => questdb({ table: 'readings', ...given }), { message })
  t.throws(() => questdb({}), { code: 'config/missing' })
  wrong({ url: 'tcp://x:9009' }, /questdb\.url/)
  wrong({ url: 'http://' }, /not a URL/)
  wrong({ url: 'http://a:b@x:9000' }, /options user and password/)
  wrong({ url: 'http://x:9000/db' }, /end after the port/)
  wrong({ table: 'a b' }, /questdb\.table/)
  wrong({ user: 'a' }, /belong together/)
  wrong({ user: 'a', password: 'b', token: 'c' }, /not both/)
  wrong({ token: 'a\nb' }, /HTTP forbids/)
  wrong({ timeout: '2m' }, /to 1m/)
})

void t.test('a server without version 2 of the line protocol is refused', async t => {
  const old = createServer((_, response) => response.end('{"config":{"line.proto.support.versions":[1]}}')).listen(0, '127.0.0.1')
  await once(old, 'listening')
  t.teardown(() => { old.closeAllConnections(); old.close() })
  const sink = follow(t, { url: `http://127.0.0.1:${(old.address() as AddressInfo).port}`, table: 'readings' })
  await t.rejects(sink.write(row(sink.series.id('acme', 'boiler', 'temp'), T, 1)), { code: 'sink/failed', message: /does not know version 2/, help: /9\.0/ })
})

void t.test('plain http to another machine is warned about', async t => {
  t.match(follow(t, { url: 'http://questdb.example:9000', table: 'readings' }).lines, [{ level: 'warn', text: /plain http/ }])
  t.strictSame(follow(t, { url: 'https://questdb.example:9000', table: 'readings' }).lines, [])
})

void t.test('an answer without end, or that unpacks to one, is not read to its end', async t => {
  const packed = gzipSync(Buffer.alloc(2 ** 26)), server = createServer((_, response) => { response.writeHead(200, { 'content-encoding': 'gzip' }).end(packed) }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  const sink = follow(t, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, table: 'readings' })
  await t.rejects(sink.write(row(sink.series.id('acme', 'boiler', 'temp'), T, 1)), { name: 'Transient', message: /its answer is larger than 4194304 bytes/ })
})
