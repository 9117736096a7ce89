/** Reports against a naive count of what was stored, over a real database; and nothing of another tenant in them. */
import t, { type Test } from 'tap'
import { Batch } from '#engine'
import { newKey } from '../../engine/api-key.ts'
import { plan, type Plane } from '../../engine/api/server.ts'
import { normalise } from '../../engine/lint.ts'
import { planTables } from '../../engine/plan.ts'
import { readYaml } from '../../engine/yaml.ts'
import * as sources from '../../connectors/index.ts'
import * as operators from '../../operators/index.ts'
import * as sinks from '../../sinks/index.ts'
import { PostgresActions } from '../../sinks/postgres-actions.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { PostgresQuery } from '../../sinks/postgres-query.ts'
import { freshDatabase, quiet } from '../support/postgres.ts'
import { alertEvent, batchOf, Opened, T0, type Row } from '../support/store.ts'
import { parseStrictly } from '../support/strict-html.ts'

const components = { sources, operators, sinks } as unknown as Plane['components'], MINUTE = 60_000
const file = 'name: p\nfrom: { simulator: {} }\npipe: [ hygiene, anomaly ]\nbranches: { w: { pipe: [ tumbling: { every: 10s, features: [ mean ] } ], to: [ postgres: { table: windows } ] } }\nto: [ postgres: { table: readings } ]\n'
const BACK = 864e5                   // ms before T0, so that all of it is over
const iso = (after: number) => new Date(T0 - BACK + after).toISOString()
const back = (rows: readonly Row[]): Row[] => rows.map(([device, metric, after, ...rest]) => [device, metric, after - BACK, ...rest])
const odd = '<b>"odd" & \'\n'

/** One hour: pump is heard in minutes 0 to 9 and 40 to 59, once without a value; the odd one once; quiet is known and silent. */
async function open (t: Test) {
  const url = (await freshDatabase(t))!, pipeline = normalise(readYaml(file, components, { file: 'p.yaml' }).pipeline!, components)
  const store = await new Opened(url, planTables(pipeline).tables.map(table => ({ ...table, options: { ...table.options, url } }))).open(), { series } = store
  series.tag(series.device('acme', 'pump'), { site: 'north', type: 'pump' })
  series.tag(series.device('acme', odd), { site: odd })
  const minutes = Array.from({ length: 60 }, (_, m) => m).filter(m => m < 10 || m >= 40), rows: Row[] = [
    ...minutes.flatMap((m): Row[] => [['pump', 'temp', m * MINUTE, m === 3 ? NaN : m, { anomaly_alarm: m % 10 === 0 ? 1 : 0, hygiene: m === 5 ? 2 : 0 }], ['pump', 'flow', m * MINUTE + 1000, 1, { anomaly_alarm: 0, hygiene: 0 }]]),
    [odd, 'temp', 30 * MINUTE, 1, { anomaly_alarm: 0, hygiene: 0 }], ['quiet', 'temp', -MINUTE, 1, { anomaly_alarm: 0, hygiene: 0 }], ['pump', 'temp', 60 * MINUTE, 1, { anomaly_alarm: 1, hygiene: 0 }]
  ]
  const event = (id: string, after: number, parts: object = {}) => alertEvent(id, { device: 'pump', metric: 'temp', since: T0 - BACK + after, time: T0 - BACK + after, ...parts })
  const over = (id: string, after: number, parts: object = {}) => ({ ...event(id, after, parts), id: `${id}.resolved`, state: 'resolved' as const })
  const alerts = [event('a', MINUTE, { details: { verdict: 'device', version: 'v' } }), over('a', 3 * MINUTE), event('b', 5 * MINUTE, { details: { verdict: 'sensor', version: 'v' } }), over('b', 6 * MINUTE), event('c', 50 * MINUTE, { details: { verdict: 'device', version: 'v' } }), event('d', 8 * MINUTE, { alert: 'cold' }), event('x', MINUTE, { tenant: 'umbra' }), event('y', 61 * MINUTE), event('w', -20 * MINUTE, { alert: 'old' }), over('w', -10 * MINUTE, { alert: 'old' }), event('z', -10 * MINUTE, { alert: 'old' }), over('z', 5 * MINUTE, { alert: 'old' }), event('q', 59 * MINUTE, { pipeline: 'q' })]
  await store.commit({ ...store.write('readings', batchOf(series, back(rows))), late: ['w', 'v'].map(branch => ({ branch, step: 'tumbling', batch: batchOf(series, back([['pump', 'temp', MINUTE, 1], ['pump', 'temp', 2 * MINUTE, 1], ...branch === 'w' ? [['pump', 'temp', 2 * MINUTE, 2] as Row] : [], [odd, 'temp', 90 * MINUTE, 1]])) })), alerts: alerts.map(event => ({ event, receivers: [] })) })
  const theirs = batchOf(series, back([['pump', 'temp', MINUTE, 1, { anomaly_alarm: 1, hygiene: 3 }]]))
  await store.commit({ ...store.write('readings', new Batch<any>({ ...theirs, series: Int32Array.of(series.id('umbra', 'pump', 'temp')), position: Float64Array.of(1000) })), position: 1000 })
  const keys = new PostgresKeys(url), query = new PostgresQuery(url), actions = new PostgresActions(url), actor = { id: 'k', tenant: 'acme' }
  await actions.judge('a', 'real', undefined, actor)
  await actions.judge('b', 'false alarm', undefined, actor)
  const app = await plan({ runs: () => [{ pipeline, store: store.store }] as never, stopping: () => false, components, keys, query, actions }, quiet)
  t.teardown(async () => { await app.close(); await keys.close(); await query.close(); await actions.close(); await store.store.close() })
  const keyOf = async (tenant: string | null) => {
    const { key, id, digest } = newKey()
    await keys.add({ id, digest, name: 'test', tenant, scopes: ['query:read'], expires: null }, 'test')
    return key
  }
  const acme = await keyOf('acme'), all = await keyOf(null), umbra = await keyOf('umbra')
  const ask = async (given: Record<string, string> = {}, as = acme) => {
    const reply = await app.inject({ url: `/api/v1/reports?${new URLSearchParams({ from: iso(0), to: iso(60 * MINUTE), every: '1m', ...given }).toString()}`, headers: { authorization: `Bearer ${as}` } })
    return { status: reply.statusCode, body: reply.body, headers: reply.headers, json: () => reply.json() as any }
  }
  return { ask, all, umbra, rows }
}

t.test('what a device did is counted as it was stored', async t => {
  const { ask, rows } = await open(t), report = (await ask()).json()
  t.match(report, { from: iso(0), to: iso(60 * MINUTE), every: 60, table: 'readings', truncated: false })
  t.strictSame(report.devices.map((d: any) => d.device), [odd, 'pump', 'quiet'])
  const [strange, pump, quiet] = report.devices, inside = rows.filter(([device,, after]) => device === 'pump' && after >= 0 && after < 60 * MINUTE)
  t.strictSame(pump, {
    tenant: 'acme', device: 'pump', site: 'north', type: 'pump', series: 2, readings: inside.length, missing: inside.filter(r => Number.isNaN(r[3])).length, late: 3, availability: 30 / 60, longestGap: 30 * 60,
    anomalies: { anomaly_alarm: inside.filter(r => r[4]?.anomaly_alarm === 1).length }, suspect: { hygiene: 1 },
    alerts: [
      { pipeline: 'p', alert: 'cold', severity: 'warning', fired: 1, open: 1, seconds: 52 * 60, real: 0, falseAlarm: 0, notJudged: 1, verdicts: {} },
      { pipeline: 'p', alert: 'hot', severity: 'warning', fired: 3, open: 1, seconds: (2 + 1 + 10) * 60, real: 1, falseAlarm: 1, notJudged: 1, verdicts: { device: 2, sensor: 1 } },
      { pipeline: 'q', alert: 'hot', severity: 'warning', fired: 1, open: 1, seconds: 60, real: 0, falseAlarm: 0, notJudged: 1, verdicts: {} },
      { pipeline: 'p', alert: 'old', severity: 'warning', fired: 1, open: 0, seconds: 5 * 60, real: 0, falseAlarm: 0, notJudged: 1, verdicts: {} }
    ]
  })
  t.match(strange, { readings: 1, availability: 1 / 60, longestGap: 30 * 60, late: 0, alerts: [] })
  t.match(quiet, { readings: 0, availability: 0, longestGap: 3600, series: 1 })
  t.strictSame((await ask({ site: 'north' })).json().devices, [pump])
  t.strictSame((await ask({ device: 'quiet' })).json().devices, [quiet])
  t.match((await ask({ limit: '2' })).json(), { truncated: true, devices: { length: 2 } })
  t.match((await ask({ every: '30m', device: 'pump' })).json().devices[0], { availability: 1, longestGap: 0 })
})

t.test('nothing of another tenant is in it', async t => {
  const { ask, all, umbra } = await open(t)
  t.match((await ask({}, umbra)).json().devices, [{ tenant: 'umbra', device: 'pump', readings: 1, anomalies: { anomaly_alarm: 1 }, alerts: [{ fired: 1 }] }])
  t.equal((await ask({}, umbra)).json().devices.length, 1)
  t.equal((await ask({ tenant: 'umbra' })).status, 404)
  t.strictSame((await ask({ tenant: 'umbra' }, all)).json(), (await ask({}, umbra)).json())
  t.strictSame((await ask({}, all)).json().devices.map((d: any) => `${d.tenant} ${d.device}`), [`acme ${odd}`, 'acme pump', 'acme quiet', 'umbra pump'])
})

t.test('what costs too much, or cannot be meant, is refused', async t => {
  const { ask } = await open(t)
  for (const given of [{ to: iso(32 * 24 * 60 * MINUTE) }, { every: '1s', to: iso(600 * MINUTE) }, { every: '0s' }, { every: '1ms' }, { table: 'windows' }, { limit: '501' }, { to: iso(-1) }]) t.equal((await ask(given)).status, 400, JSON.stringify(given))
  t.equal((await ask({ table: 'none' })).status, 404)
  t.equal((await ask({ from: iso(366 * 24 * 60 * MINUTE), to: iso(367 * 24 * 60 * MINUTE), every: '1h', device: 'pump' })).json().devices[0].availability, null, 'nothing of it has been yet')
})

t.test('as a page it needs nothing else, and no name is markup', async t => {
  const { ask } = await open(t), { body, headers } = await ask({ format: 'html' })
  t.match(headers['content-type'], 'text/html')
  t.match(headers['content-security-policy'], "default-src 'none'")
  const text: string[] = [], walk = (element: ReturnType<typeof parseStrictly>): void => { text.push(element.text); element.children.forEach(walk) }
  walk(parseStrictly(body))
  t.ok(text.includes(odd) && text.includes('50.0 %') && text.includes('device 2, sensor 1'))
  t.notMatch(body, /<b>|https?:|src=|<script/)
})
