import t, { type Test } from 'tap'
import { defineOperator, Type, type Batch, type Host } from '#engine'
import { newKey } from '../../engine/api-key.ts'
import { plan, type Plane } from '../../engine/api/server.ts'
import { clock as real, type Clock } from '../../engine/clock.ts'
import type { KeyRecord, Keys } from '../../engine/keys.ts'
import { signals } from '../../models/portfolio.ts'
import { key as seeded, normal } from '../../models/random.ts'
import * as sources from '../../connectors/index.ts'
import * as operators from '../../operators/index.ts'
import * as sinks from '../../sinks/index.ts'
import { each, through } from '../operators/table.ts'
import { quiet } from '../support/postgres.ts'

const components = { sources, operators, sinks } as unknown as Plane['components']
const noise = (n: number, seed: number) => Array.from({ length: n }, (_, i) => 50 + normal(seeded(seed), i))

/** A plane with keys in memory: how they are kept is tested elsewhere. */
async function open (t: Test, given: Pick<Partial<Plane>, 'clock' | 'components'> = {}) {
  const known = new Map<string, KeyRecord>(), unused = () => { throw new Error('not here') }
  const keys: Keys = { find: async id => known.get(id), list: unused, add: unused, rotate: unused, revoke: unused, used: async () => {}, close: async () => {} }
  const app = await plan({ runs: () => [], stopping: () => false, components, keys, query: undefined, ...given }, quiet)
  t.teardown(() => app.close())
  const keyOf = () => { const { key, id, digest } = newKey(); known.set(id, { id, digest, name: 'test', tenant: null, scopes: ['query:read'], created: new Date(), expires: null, revoked: null, used: null }); return key }
  const own = keyOf()
  const post = async (url: string, payload: object, as = own) => { const reply = await app.inject({ method: 'POST', url: `/api/v1/${url}`, payload, headers: { authorization: `Bearer ${as}` } }); return { status: reply.statusCode, headers: reply.headers, body: reply.json() as any } }
  return { post, keyOf }
}

t.test('anomalies, forecasts and drift on demand are what the operators say', async t => {
  const { post } = await open(t), value = [...noise(400, 51), 62, ...noise(20, 52)]
  const { status, body: { readings, rows } } = await post('detect_anomaly', { data: { value }, options: { alarms: 1, per: '10h' }, last: 421 })
  t.strictSame([status, readings, rows.length], [200, 421, 421])
  const plain = ({ time: _time, at: _at, series: _series, contributions: _contributions, ...row }: any) => Object.fromEntries(Object.entries<any>(row).map(([k, v]) => [k, Number.isFinite(v) ? v : null]))
  t.strictSame(rows.map(plain), through(operators.anomaly({ alarms: 1, per: '10h' }), each(value)).map(plain))
  t.equal(rows.reduce((a: any, b: any) => b.anomaly > a.anomaly ? b : a).time, new Date(400_000).toISOString())
  const day = Array.from({ length: 240 }, (_, i) => 20 + 5 * Math.sin(i * Math.PI / 12)), time = day.map((_, i) => new Date(Date.UTC(2026, 0, 1) + 36e5 * i).toISOString())
  const { body: { rows: [next] } } = await post('predict', { data: { value: day, time }, options: { every: '1h', seasons: ['1d'], horizons: [1, 6] } })
  t.ok(Math.abs(next.forecast_1 - 20) < 0.5 && Math.abs(next.forecast_6 - 20 - 5 * Math.sin(245 * Math.PI / 12)) < 0.5 && next.forecast_6_low <= next.forecast_6, JSON.stringify(next))
  const drift = async (by: number) => (await post('check_drift', { data: { value: [...noise(500, 53), ...noise(250, 54).map(x => x + by)] }, options: { reference: 500, current: 250 } })).body.rows[0]
  t.match([await drift(0), await drift(2)], [{ drift: 0 }, { drift: 1, drift_aspect: 1 }])
})

t.test('each signal says what it contributes: of what is unusual the one that spoke the most, of the usual mostly nothing', async t => {
  const { post } = await open(t), value = [...noise(600, 59), 62, ...noise(20, 60)], { body: { rows } } = await post('detect_anomaly', { data: { value }, last: value.length })
  const unusual = rows.filter((row: any) => row.anomaly_signal > 0)
  t.ok(unusual.some((row: any) => row.value === 62), 'the spike is among them')
  for (const { anomaly_signal: spoke, contributions } of unusual) {
    const parts = signals.map(signal => contributions[signal]), largest = Math.max(...parts)
    t.ok(largest > 1 && signals[parts.indexOf(largest)] === signals[spoke - 1], JSON.stringify(contributions))
  }
  t.ok(rows.filter((row: any) => row.anomaly_signal === 0 && Object.values(row.contributions).every(part => part === 0)).length > 300)
  t.strictSame([rows[0], rows[300]].map(row => Object.entries<any>(row.contributions).map(([signal, part]) => [signal, part === null])), [true, false].map(unknown => signals.map(signal => [signal, unknown])), 'none while it learns')
  t.notOk('contributions' in (await post('check_drift', { data: { value: [1, 2] } })).body.rows[0], 'drift has none')
})

t.test('a large question lets everything else have its turn: one that comes behind it is answered before it', async t => {
  const { post } = await open(t), value = noise(5000, 61)
  await post('check_drift', { data: { value: [1, 2] } })
  for (const [url, options] of [['detect_anomaly', {}], ['predict', { every: '1s', seasons: ['60s'], horizons: [1, 5, 10, 20, 50] }]] as const) {
    const answered: string[] = []
    const asked = async (name: string, to: string, payload: object) => { const { status } = await post(to, payload); answered.push(`${name} ${status}`) }
    await Promise.all([asked('large', url, { data: { value }, options }), asked('small', 'check_drift', { data: { value: [1, 2] } })])
    t.strictSame(answered, ['small 200', 'large 200'], url)
  }
})

t.test('what is sent is taken as it is: null is no number, text is none', async t => {
  const { post } = await open(t), value = noise(300, 55)
  const { body: { rows } } = await post('detect_anomaly', { data: { value: [...value, null] } })
  t.strictSame([rows[0].value, rows[0].anomaly], [null, null])
  for (const [body, detail] of [
    [{ data: { value: ['5'] } }, /value\/0/], [{ data: { value: [] } }, /fewer than 1/], [{ data: { value: Array(5001).fill(1) } }, /more than 5000/], [{}, /data/], [{ data: { value: [1] }, more: 1 }, /additional/],
    [{ data: { value: [1] }, options: { sample: 50 } }, /additional/], [{ data: { value: [1] }, options: { samples: 5 } }, />= 50/], [{ data: { value: [1] }, options: { per: '1 day' } }, /pattern/],
    [{ data: { value: [1, 2], time: ['2026-01-01T00:00:00Z'] } }, /1 times and 2 values/], [{ data: { value: [1, 2], time: ['2026-01-02T00:00:00Z', '2026-01-01T00:00:00Z'] } }, /number 1 is older/], [{ data: { value: [1], time: ['today'] } }, /date-time/]
  ] as const) {
    const reply = await post('detect_anomaly', body)
    t.equal(reply.status, 400, JSON.stringify(reply.body))
    t.match(reply.body.detail, detail)
  }
  t.match(await post('predict', { data: { value: [1] }, options: { every: '7s' } }), { status: 400, body: { code: 'config/invalid', detail: /seasons/ } }, 'options that do not go together')
})

/** A clock that stands still until a test moves it, and how long each turn took: from one pause for the others to the next. */
function stopped () {
  let time = 0, since = 0
  const turns: number[] = [], turn = () => { turns.push(time - since); since = time }
  return { turns, turn, pass: (ms: number) => { time += ms }, clock: { ...real, monotonic: () => time, soon: (act: () => void) => { turn(); real.soon(act) } } satisfies Clock }
}
/** Components whose forecast takes so many ms to make, to open, and for a reading. */
function taking (pass: (ms: number) => void, { make, open, reading }: { make: number, open: number, reading: number }): typeof components {
  const slow = defineOperator({ name: 'forecast', summary: 'Takes its time.', options: Type.Object({}), adds: [], perSeries: {}, process (batch) { pass(reading * batch.length); return batch } })
  const forecast = () => { const operator = slow(); pass(make); return { ...operator, open (host: Host) { pass(open); return operator.open(host) } } }
  return { ...components, operators: { ...operators, forecast: Object.assign(forecast, { definition: slow.definition }) } as never }
}

t.test('however long an answer takes, nothing else waits for it for long', async t => {
  const value = noise(1000, 57)
  for (const [name, costs, first, longest, fewest, most] of [
    ['slow readings', { make: 0, open: 0, reading: 1 }, [16], 8, 123, 246],
    ['very slow readings', { make: 0, open: 0, reading: 100 }, [1600, 800, 400, 200], 100, 960, 1000],
    ['slow to make and to open', { make: 40, open: 30, reading: 1 }, [40, 30, 16], 8, 123, 246],
    ['quick readings, with few pauses', { make: 0, open: 0, reading: 0.0625 }, [], 8, 8, 30],
    ['a short answer, without any', { make: 1, open: 1, reading: 0.001 }, [], 4, 1, 1]
  ] as const) {
    const { turns, turn, pass, clock } = stopped(), { post } = await open(t, { clock, components: taking(pass, costs) })
    turns.length = 0
    t.match(await post('predict', { data: { value } }), { status: 200, body: { readings: 1000 } }, name)
    turn()
    t.strictSame(turns.slice(0, first.length), first, `${name}: what is known only afterwards`)
    const rest = turns.slice(first.length)
    t.ok(Math.max(...rest) <= longest, `${name}: ${Math.max(...rest)} ms at once`)
    t.ok(rest.length >= fewest && rest.length <= most, `${name}: ${rest.length} turns`)
    t.ok(Math.abs(turns.reduce((a, b) => a + b, 0) - costs.make - costs.open - 1000 * costs.reading) < 1e-6)
  }
})

t.test('pieces make no difference to an answer, whose size has a limit', async t => {
  const { pass, clock, turns } = stopped(), value = noise(600, 57), options = { every: '1s', seasons: ['60s'], horizons: Array.from({ length: 70 }, (_, i) => i + 1) }
  const forecast = Object.assign((given: object) => { const operator = operators.forecast(given); return { ...operator, open (host: Host) { const stage = operator.open(host); return { ...stage, process (batch: Batch) { pass(5 + turns.length % 2); return stage.process(batch) } } } } }, { definition: operators.forecast.definition })
  const { post } = await open(t, { clock, components: { ...components, operators: { ...operators, forecast } as never } })
  const { status, body } = await post('predict', { data: { value }, options, last: 3 })
  t.equal(status, 200)
  t.ok(turns.length > 20, `${turns.length} turns`)
  const whole = through(operators.forecast(options), each(value)) as any[], short = whole.slice(-3).map(({ time: _time, at: _at, series: _series, ...row }) => Object.fromEntries(Object.entries<any>(row).map(([k, v]) => [k, Number.isFinite(v) ? v : null])))
  t.strictSame(body.rows.map(({ time: _time, ...row }: any) => row), short)
  t.match(await post('predict', { data: { value: noise(5000, 57) }, options, last: 5000 }), { status: 400, body: { detail: /more than the 100000 numbers/ } })
})

t.test('more questions than are worked on at once wait for their turn; when too many wait they are told to come back', async t => {
  const { post, keyOf } = await open(t), body = { data: { value: noise(1000, 58) } }
  t.ok((await Promise.all(Array.from({ length: 40 }, () => post('detect_anomaly', body, keyOf())))).every(a => a.status === 200), 'forty at once')
  const answers = await Promise.all(Array.from({ length: 100 }, () => post('detect_anomaly', body, keyOf())))
  const busy = answers.filter(a => a.status === 503)
  t.strictSame([answers.filter(a => a.status === 200).length + busy.length, busy.length > 0, busy.length <= 36], [100, true, true])
  for (const { headers, body } of busy) t.strictSame([headers['retry-after'], body.code], ['5', 'api/busy'])
  t.equal((await post('detect_anomaly', body)).status, 200, 'and then they are answered')
})

t.test('drift may be asked for ten times in a minute, by each key', async t => {
  const { post, keyOf } = await open(t), ask = (as?: string) => post('check_drift', { data: { value: [1, 2] } }, as)
  for (let k = 0; k < 10; k++) t.equal((await ask()).status, 200)
  const refused = await ask()
  t.match(refused, { status: 429, body: { code: 'api/too-many', status: 429 } })
  t.ok(Number(refused.headers['retry-after']) > 0 && Number(refused.headers['retry-after']) <= 60)
  t.equal((await ask(keyOf())).status, 200, 'another key')
  t.equal((await post('detect_anomaly', { data: { value: [1, 2] } })).status, 200, 'another question')
})
