import t from 'tap'
import { api } from '../../bench/api.ts'
import { routesOf } from '../../bench/api-routes.ts'

t.test('every route has a line of its own, all requests are answered, and no reading is lost beside them', async t => {
  const lines = await api.run(() => {}, { seconds: '2', rounds: '1' })
  t.equal(new Set(lines.map(l => l.route)).size, 28, 'what can be read, three questions, ingestion')
  for (const line of lines.filter(l => l.route !== 'ingestion')) {
    t.strictSame([line.clients, line.error_rate], [50, 0], line.route as string)
    t.ok((line.requests as number) > 0 && 0 < (line.p50_ms as number) && (line.p50_ms as number) <= (line.p95_ms as number) && (line.p95_ms as number) <= (line.p99_ms as number))
  }
  const ingestion = lines.find(l => l.route === 'ingestion')!
  t.strictSame([ingestion.lost, ingestion.duplicated], [0, 0])
  t.match(api.fault!({ route: 'x', p95_ms: 51, error_rate: 0 }), /x: p95_ms is 51/)
  t.match(api.fault!({ route: 'x', p95_ms: 5, error_rate: 0.002 }), /error_rate/)
  t.match(api.fault!({ ...ingestion, ratio_to_alone: 2.1 }), /ratio_to_alone/)
  t.equal(api.fault!({ route: 'x', p95_ms: 50, error_rate: 0.001 }), undefined)
})

t.test('a route that wants what nobody has thought of is not passed over', async t => {
  const get = { security: [{ key: ['query:read'] }], parameters: [{ name: 'odd', in: 'path', required: true }], responses: { 200: { content: {} } } }, there = { position: 1, incident: 'i', job: 'j' }
  t.throws(() => routesOf({ paths: { '/api/v1/{odd}': { get } } }, there)[0].url(0), /GET \/api\/v1\/\{odd\} wants odd/)
  t.strictSame(routesOf({ paths: { '/livez': { get: { responses: {} } } } }, there).length, 3, 'who needs no key is not among them')
})
