import t from 'tap'
import { Credits, Intake, SeriesTable } from '#engine'
import { http } from '../../connectors/http.ts'

const TS = 1_700_000_000_000
/** What a body becomes under a topic. */
function read (topic: string, body: string | Buffer, options: Record<string, unknown> = {}) {
  const series = new SeriesTable(1000), intake = new Intake(series, new Credits(), { ahead: 60_000, after: 0 }), spec = http(options)
  spec.definition.decode!(spec.options as never, series, intake)(topic, Buffer.from(body as string), TS + 1000, undefined, 7)
  const { rows, dead, received, messages } = intake.take(TS)
  return { rows: Array.from(rows.series, (s, i) => { const { tenant, device, metric } = series.name(s); return `${tenant}/${device}/${metric} ${rows.time[i] - TS} ${rows.value[i]}` }), dead: dead.map(d => [d.reason, d.part, d.topic]), received, messages }
}

t.test('objects, arrays, columns and lines, named by the request or by themselves', t => {
  t.strictSame(read('acme/p1/flow', '3.5').rows, ['acme/p1/flow 1000 3.5'])
  t.strictSame(read('acme/p1', `{"ts":${TS},"flow":1,"temp":2}`).rows, ['acme/p1/flow 0 1', 'acme/p1/temp 0 2'])
  t.strictSame(read('acme', `[{"device":"a","metric":"m","value":1,"ts":${TS}},{"device":"b","m":2,"ts":${TS}}]`).rows, ['acme/a/m 0 1', 'acme/b/m 0 2'])
  t.strictSame(read('acme', `{"device":"a","metric":"m","t":[${TS},${TS + 1}],"v":[1,2]}`).rows, ['acme/a/m 0 1', 'acme/a/m 1 2'])
  t.strictSame(read('@ndjson/acme', `{"device":"a","m":1,"ts":${TS}}\r\n\n  \n[{"device":"b","m":2,"ts":${TS}}]\n{"device":"c","m":3,"ts":${TS}}`).rows, ['acme/a/m 0 1', 'acme/b/m 0 2', 'acme/c/m 0 3'])
  t.strictSame(read('@ndjson/a%2Fb/p%201', '1\n2').rows, ['a/b/p 1/value 1000 1', 'a/b/p 1/value 1000 2'])
  t.end()
})

t.test('what is wrong with a line is a dead letter of its own, and the other lines are readings', t => {
  const { rows, dead, received, messages } = read('@ndjson/acme/p', `{"m":1,"ts":${TS}}\n{"m":\n{"m":"x","ts":${TS}}\n{"m":1e999,"ts":${TS}}\n{"__proto__":1}\n{"m":4,"ts":${TS}}`)
  t.strictSame(rows, ['acme/p/m 0 1', 'acme/p/m 0 4'])
  t.strictSame(dead, [['unparseable', 0, '@ndjson/acme/p'], ['not_a_number', 1, '@ndjson/acme/p'], ['not_finite', 2, '@ndjson/acme/p'], ['forbidden_key', 3, '@ndjson/acme/p']])
  t.strictSame([received, messages], [6, 1])
  t.strictSame(read('@ndjson/acme', '\n \r\n').dead, [['unparseable', 0, '@ndjson/acme']])
  t.strictSame(read('acme', '{"m":1}').dead, [['bad_name', 0, 'acme']], 'nobody names a device')
  t.strictSame(read('a%00/d/m', '1').dead, [['bad_name', 0, 'a%00/d/m']])
  t.end()
})

t.test('paths that are none are refused', t => {
  t.throws(() => http({ path: 'a/b' }), { code: 'config/invalid' })
  t.throws(() => http({ maxPayload: 2 ** 21 }), { code: 'config/invalid' })
  t.end()
})
