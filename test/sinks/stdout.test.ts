import { once } from 'node:events'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import t from 'tap'
import { pino } from 'pino'
import { Batch, SeriesTable, type SinkHost } from '#engine'
import { alertsTo, rowsTo, stdout } from '../../sinks/stdout.ts'
import { alert } from '../fixtures/bench.ts'
import { startTypeScript } from '../support/program.ts'

const host: SinkHost = { pipeline: 'p', series: new SeriesTable(10), log: pino({ level: 'silent' }), database: undefined, folder: '.' }
const s = host.series.id('acme', 'boiler-1', 'temp')
const batch = new Batch({ time: Float64Array.of(1773057600000, 1773057600000.5), series: Int32Array.of(s, s), value: Float64Array.of(80, NaN), columns: { score: Float64Array.of(0.5, NaN) } })

/** A stream that takes one chunk and then waits to be let. */
function slow () {
  const chunks: string[] = []
  let let_: (error?: Error) => void = () => {}
  const stream = new Writable({ highWaterMark: 1, decodeStrings: false, write (chunk, _, done) { chunks.push(chunk); let_ = done } })
  return { stream, chunks, let: (error?: Error) => let_(error) }
}

void t.test('rows are one JSON object per line, or text for people', async t => {
  const json = slow(), text = slow()
  const writes = [rowsTo(json.stream, 'json', host).write(batch), rowsTo(text.stream, 'text', host).write(batch)]
  json.let()
  text.let()
  await Promise.all(writes)
  t.strictSame(json.chunks.join('').split('\n').slice(0, 2).map(l => JSON.parse(l)), [
    { tenant: 'acme', device: 'boiler-1', metric: 'temp', time: '2026-03-09T12:00:00.000000Z', value: 80, score: 0.5 },
    { tenant: 'acme', device: 'boiler-1', metric: 'temp', time: '2026-03-09T12:00:00.000500Z', value: null, score: null }
  ])
  t.equal(text.chunks.join(''), '2026-03-09T12:00:00.000000Z  acme/boiler-1/temp  80  score=0.5\n2026-03-09T12:00:00.000500Z  acme/boiler-1/temp  -  score=-\n')
})

void t.test('an alert is one line', async t => {
  const { event } = alert('inc')
  const json = slow(), text = slow()
  const sends = [alertsTo(json.stream, 'json').send({ id: event.id, events: [event] }, new AbortController().signal), alertsTo(text.stream, 'text').send({ id: event.id, events: [event] }, new AbortController().signal)]
  json.let()
  text.let()
  await Promise.all(sends)
  t.match(JSON.parse(json.chunks.join('')), { id: 'inc.firing', time: '2026-03-09T12:00:00.000125Z', value: 90.5 })
  t.equal(text.chunks.join(''), '2026-03-09T12:00:00.000125Z  FIRING warning hot  acme/boiler-1/temp  temp of boiler-1 is 90.5, above 80\n')
})

void t.test('a slow reader is waited for', async t => {
  const reader = slow()
  const sink = rowsTo(reader.stream, 'json', host)
  let done = false
  const write = sink.write(batch).then(() => { done = true })
  await new Promise(resolve => setTimeout(resolve, 30))
  t.equal(done, false)
  reader.let()
  await write
  t.equal(done, true)
})

void t.test('a stream that fails rejects and throws nowhere else', async t => {
  const reader = slow()
  const write = rowsTo(reader.stream, 'json', host).write(batch)
  reader.let(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
  await t.rejects(write, { code: 'sink/failed', message: /nobody reads it/ })
  await t.rejects(rowsTo(reader.stream, 'json', host).write(batch), { code: 'sink/failed' })
})

void t.test('a real process whose reader goes away ends with that error', async t => {
  const script = `
    import { stdout } from '${join(import.meta.dirname, '../../sinks/stdout.ts')}'
    import { alert } from '${join(import.meta.dirname, '../fixtures/bench.ts')}'
    const to = stdout.definition.receive({ format: 'json' }, {})
    const send = () => to.send({ id: 'inc.firing', events: [alert('inc').event] }).then(() => setTimeout(send, 5), e => { process.stderr.write(e.code); process.exitCode = 3 })
    send()`
  const child = startTypeScript('--input-type=module', '-e', script)
  t.teardown(() => child.kill('SIGKILL'))
  let said = ''
  child.stderr.on('data', d => { said += d })
  const [first] = await once(child.stdout, 'data')
  t.match(String(first), /"id":"inc.firing"/)
  child.stdout.destroy()
  const [code] = await once(child, 'close')
  t.equal(code, 3)
  t.match(said, /sink\/failed$/)
})

void t.test('the format is json or text', async t => {
  t.equal(stdout().options.format, 'json')
  t.throws(() => stdout({ format: 'xml' as 'text' }), { code: 'config/invalid' })
})
