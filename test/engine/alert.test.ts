import { deserialize, serialize } from 'node:v8'
import assert from 'node:assert/strict'
import t from 'tap'
import fc from 'fast-check'
import { Batch, SeriesTable, type AlertEvent, type AlertOptions, type Numbers } from '#engine'
import { incidentId, openAlert } from '../../engine/alert.ts'

const hot: AlertOptions = { when: { value: { above: 10 } } }

function start (options: AlertOptions, table = new SeriesTable(10)) {
  const alert = openAlert({ name: 'hot', options, receivers: [] }, { pipeline: 'plant', version: '1', explains: [] }, { series: table, late () {}, aggregated () {} })
  let position = 0
  const give = (rows: readonly (readonly [second: number, value: number, series?: string])[], columns: Record<string, Numbers> = {}): AlertEvent[] => alert.process(new Batch({
    time: Float64Array.from(rows, r => r[0] * 1000), value: Float64Array.from(rows, r => r[1]), columns,
    series: Int32Array.from(rows, r => table.id('t', ...(r[2] ?? 'pump/temp').split('/') as [string, string])), position: Float64Array.from(rows, () => ++position)
  })).map(({ event }) => event)
  return { alert, table, give }
}
const said = (events: readonly AlertEvent[]) => events.map(e => `${e.time / 1000} ${e.state} since ${e.since / 1000}`)

t.test('fires once when the condition holds, and is resolved once when it does not', async t => {
  t.strictSame(said(start(hot).give([[0, 5], [1, 11], [2, 12], [3, 10], [4, 9], [5, 20]])), ['1 firing since 1', '3 resolved since 1', '5 firing since 5'])
})

t.test('with `for` it must hold that long without a break', async t => {
  const { give } = start({ ...hot, for: '3s' })
  t.strictSame(said(give([[0, 11], [2, 11], [2.5, 9], [3, 11], [5.9, 11], [6, 11], [7, 11], [8, 1]])), ['6 firing since 3', '8 resolved since 3'])
})

t.test('until then it is pending, under the id of the incident that it will be', async t => {
  const { alert, give } = start({ ...hot, for: '3s' }), pending = () => alert.pending().map(({ incident, device, since, time }) => [device, since / 1000, time / 1000, incident])
  give([[0, 11], [0, 1, 'fan/temp'], [1, NaN], [2, 12]])
  const [[, , , incident], ...others] = pending()
  t.strictSame([pending(), others], [[['pump', 0, 2, incident]], []])
  t.equal(give([[3, 11]])[0].incident, incident)
  t.strictSame(pending(), [], 'it fires')
  give([[4, 1], [5, 11]])
  t.notSame(pending()[0][3], incident)
  give([[6, 1]])
  t.strictSame(pending(), [])
  t.strictSame(start(hot).alert.pending(), [])
})

t.test('a missing value changes nothing: neither what is pending nor what fires', async t => {
  const { give } = start({ ...hot, for: '3s' })
  t.strictSame(said(give([[0, 11], [1, NaN], [3, NaN], [4, 11], [5, NaN], [6, 1]])), ['4 firing since 0', '6 resolved since 0'])
})

t.test('with `clear` it is resolved when that holds, not before', async t => {
  const { give } = start({ ...hot, clear: { value: { below: 5 } } })
  t.strictSame(said(give([[0, 11], [1, 9], [2, NaN], [3, 12], [4, 4]])), ['0 firing since 0', '4 resolved since 0'])
})

t.test('rows older than the newest of their series are not looked at', async t => {
  t.strictSame(said(start(hot).give([[5, 11], [4, 1], [5, 12], [6, 1], [5.5, 20]])), ['5 firing since 5', '6 resolved since 5'])
})

t.test('each series has its own state', async t => {
  t.strictSame(start(hot).give([[0, 11], [0, 11, 'fan/temp'], [1, 1, 'fan/temp']]).map(e => `${e.device} ${e.state}`), ['pump firing', 'fan firing', 'fan resolved'])
})

t.test('an event says what, where, when and how much', async t => {
  const { give } = start({ when: { zscore: { above: 4 }, value: { above: 10 } }, for: '2s', severity: 'critical' })
  const [event, ...rest] = give([[0, 11], [2.5, 12.3456789]], { zscore: Float64Array.of(5, 6.5) })
  const incident = incidentId({ tenant: 't', device: 'pump', metric: 'temp' }, 'plant', 'hot', 0, 0)
  t.strictSame(event, {
    id: `${incident}.firing`, incident, state: 'firing', tenant: 't', device: 'pump', metric: 'temp', pipeline: 'plant', alert: 'hot', severity: 'critical',
    since: 0, time: 2500, value: 12.3456789, evidence: { zscore: 6.5 }, details: { version: '1' }, position: 2,
    message: 'hot: pump temp: zscore is 6.5 (above 4) and value is 12.3457 (above 10) for 2500ms; its value is 12.3457'
  })
  t.strictSame(rest, [])
  t.match(give([[3, 1]], { zscore: Float64Array.of(NaN) })[0].message, 'hot is over: pump temp: zscore is unknown (above 4) and value is 1 (above 10) no longer holds; its value is 1')
})

t.test('a message of one\'s own is filled in', async t => {
  const { give } = start({ ...hot, when: { z: { above: 0 } }, message: '{alert} {state}: {device} {metric} of {tenant} is {value}, z {z}, since {since}' })
  t.equal(give([[1, 11]], { z: Float64Array.of(3) })[0].message, 'hot firing: pump temp of t is 11, z 3, since 1970-01-01T00:00:01.000Z')
})

t.test('a place that nothing fills is an error before anything runs, and so is a condition that makes no sense', async t => {
  t.throws(() => start({ ...hot, message: '{vlaue}' }), { code: 'config/invalid', message: /\{vlaue\}/, help: 'did you mean "value"?' })
  t.throws(() => start({ when: {} }), { code: 'config/invalid', message: /says nothing/ })
  t.throws(() => start({ when: { value: { above: 1 } }, for: '3 seconds' }), { code: 'config/invalid' })
})

t.test('ids are the same whenever the same data is processed again, in any batches and across a snapshot', async t => {
  const rows = fc.array(fc.tuple(fc.nat(20), fc.constantFrom(5, 15, NaN), fc.constantFrom('a/x', 'b/x')), { maxLength: 60, size: 'max' })
  fc.assert(fc.property(rows, fc.nat(60), (rows, cut) => {
    const bare = (events: AlertEvent[]) => events.map(event => ({ ...event, position: 0 }))
    const whole = bare(start(hot).give(rows))
    const first = start(hot), head = bare(first.give(rows.slice(0, cut)))
    const second = start(hot, first.table)
    second.alert.stage.load(deserialize(serialize(first.alert.stage.save())))
    assert.deepEqual([...head, ...bare(second.give(rows.slice(cut)))], whole)
    assert.equal(new Set(whole.map(e => e.id)).size, whole.length, 'no two events have the same id')
  }))
  t.ok(true)
})

t.test('incidents that begin at the same time have different ids', async t => {
  const events = start(hot).give([[1, 11], [1, 5], [1, 12], [1, 4], [2, 11]])
  t.strictSame(said(events), ['1 firing since 1', '1 resolved since 1', '1 firing since 1', '1 resolved since 1', '2 firing since 2'])
  t.equal(new Set(events.map(e => e.incident)).size, 3)
})

t.test('an incident id is 160 bits of SHA-256 in base32', async t => {
  // printf '["t","p","a","d","m",1000,0]' | sha256sum | cut -c1-40 | xxd -r -p | base32 | tr A-Z a-z
  t.equal(incidentId({ tenant: 't', device: 'd', metric: 'm' }, 'p', 'a', 1000, 0), 'fg4cjekbtea657ouy4vcflwqwge2gsqq')
  t.ok(incidentId({ tenant: 't', device: 'd', metric: 'm' }, 'p', 'a', 1000, 1) !== incidentId({ tenant: 't', device: 'd', metric: 'm' }, 'p', 'a', 1000, 0))
})
