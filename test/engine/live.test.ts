import t from 'tap'
import { Batch, SeriesTable } from '#engine'
import { Live, type LiveEvent } from '../../engine/live.ts'
import { alertEvent } from '../support/store.ts'

const T0 = 1_700_000_000_000, ISO = '2023-11-14T22:13:20.000000Z'
function world () {
  const series = new SeriesTable(100), live = new Live()
  const commit = (names: readonly string[], pipeline = 'p', alerts: any[] = []) => {
    const ids = names.map(name => { const [tenant, device, metric] = name.split('/'); return series.id(tenant, device, metric) })
    const batch = new Batch({ time: new Float64Array(ids.length).fill(T0), series: Int32Array.from(ids), value: Float64Array.from(ids, (_, i) => i === 3 ? Infinity : i), columns: { ewma: Float64Array.from(ids, () => NaN) } })
    live.commit(pipeline, series, { writes: [{ branch: '', table: 'readings', batch }], alerts })
  }
  return { live, commit, series }
}
const rows = (events: readonly LiveEvent[]) => events.flatMap(({ event, data }) => event === 'rows' ? (JSON.parse(data) as { rows: any[] }).rows.map(r => `${r.tenant}/${r.device}/${r.metric}`) : [])
const both = ['rows', 'alerts'] as const

t.test('who listens gets what is committed from then on, as far as it is wanted; a number that JSON has not is null', t => {
  const { live, commit } = world(), all: LiveEvent[] = [], some: LiveEvent[] = []
  commit(['a/d/m'])
  live.listen({ kinds: both }, undefined, events => { all.push(...events) })
  live.listen({ kinds: ['rows'], tenant: 'a', metric: 'm', pipeline: 'p' }, undefined, events => { some.push(...events) })
  commit(['a/d/m', 'b/d/m', 'a/e/m', 'a/d/n'])
  commit(['a/f/m'], 'q')
  t.strictSame(rows(all), ['a/d/m', 'b/d/m', 'a/e/m', 'a/d/n', 'a/f/m'])
  t.strictSame(rows(some), ['a/d/m', 'a/e/m'])
  t.strictSame(JSON.parse(all[0].data).rows[3], { time: ISO, tenant: 'a', device: 'd', metric: 'n', value: null, ewma: null })
  t.match(JSON.parse(all[0].data), { pipeline: 'p', branch: '', table: 'readings' })
  t.end()
})

t.test('alerts go to those who want them, and are of their tenant', t => {
  const { live, commit } = world(), seen: LiveEvent[] = [], other: LiveEvent[] = []
  const event = alertEvent('i')
  live.listen({ kinds: ['alerts'], tenant: event.tenant }, undefined, events => { seen.push(...events) })
  live.listen({ kinds: both, tenant: 'nobody' }, undefined, events => { other.push(...events) })
  commit(['a/d/m'], 'p', [{ event, receivers: [], stale: true }])
  t.match(JSON.parse(seen[0].data), { pipeline: 'p', alerts: [{ id: event.id, stale: true, alert: event.alert }] })
  t.notOk(/"position"/.test(seen[0].data))
  t.equal(seen.length, 1)
  t.equal(other.length, 0)
  t.end()
})

t.test('scores are columns of steps that learn, of rows of which they say something', t => {
  const { live, series } = world(), seen: LiveEvent[] = [], all: LiveEvent[] = [], ids = ['d', 'e', 'f'].map(device => series.id('a', device, 'm'))
  live.listen({ kinds: ['scores'], tenant: 'a' }, undefined, events => { seen.push(...events) })
  live.listen({ kinds: ['scores'], tenant: 'b' }, undefined, events => { all.push(...events) })
  const batch = new Batch({ time: new Float64Array(3).fill(T0), series: Int32Array.from(ids), value: Float64Array.of(1, 2, 3), columns: { zscore: Float64Array.of(NaN, 5, -1), other: Float64Array.of(1, 1, 1), level: Float64Array.of(NaN, NaN, 7) } })
  live.commit('p', series, { writes: [{ branch: '', table: 'readings', batch }], alerts: [] }, new Set(['zscore', 'level']))
  t.strictSame(seen.map(({ id, event, data }) => [id !== undefined, event, JSON.parse(data)]), [[true, 'scores', { pipeline: 'p', branch: '', table: 'readings', rows: [
    { time: ISO, tenant: 'a', device: 'e', metric: 'm', value: 2, zscore: 5, level: null }, { time: ISO, tenant: 'a', device: 'f', metric: 'm', value: 3, zscore: -1, level: 7 }
  ] }]])
  t.strictSame(all, [])
  t.end()
})

t.test('who comes back has what came between, or is told that it is gone', t => {
  const { live, commit } = world(), seen: LiveEvent[] = []
  const first = live.listen({ kinds: both }, undefined, events => { seen.push(...events) })
  commit(['a/d/m'])
  first.stop()
  commit(['a/e/m'])
  commit(['b/f/m'])
  const again = live.listen({ kinds: both, tenant: 'a' }, seen[0].id, () => {})
  t.equal(again.whole, true)
  t.strictSame(rows(again.missed), ['a/e/m'])
  for (const odd of ['x-1', 'x', '', seen[0].id!.replace(/\d+$/, '99'), `${seen[0].id}z`]) t.equal(live.listen({ kinds: both }, odd, () => {}).whole, false, odd)
  for (let k = 0; k < 30; k++) commit(Array.from({ length: 1000 }, (_, i) => `a/d${i % 20}/m`))
  const late = live.listen({ kinds: both }, seen[0].id, () => {})
  t.equal(late.whole, false, 'more than 20,000 rows ago')
  t.ok(rows(late.missed).length <= 20_000)
  t.equal(live.listen({ kinds: both }, undefined, () => {}).whole, true)
  t.end()
})

t.test('the last event of a commit has its id, so whoever was cut off within the commit has it again', t => {
  const { live, commit } = world(), seen: LiveEvent[] = [], some: LiveEvent[] = [], event = alertEvent('i')
  live.listen({ kinds: both }, undefined, events => { seen.push(...events) })
  live.listen({ kinds: ['rows'] }, undefined, events => { some.push(...events) })
  commit(['a/d/m'])
  commit(['a/e/m'], 'p', [{ event, receivers: [] }])
  t.strictSame(seen.map(e => [e.event, e.id === undefined]), [['rows', false], ['rows', true], ['alerts', false]])
  t.equal(some[1].id, seen[2].id)
  t.strictSame(live.listen({ kinds: both }, seen[0].id, () => {}).missed, seen.slice(1))
  t.strictSame(live.listen({ kinds: both }, seen[2].id, () => {}).missed, [])
  t.end()
})

t.test('while nobody listens nothing is kept', t => {
  const { live, commit, series } = world()
  let touched = 0
  for (let k = 0; k < 1000; k++) {
    live.commit('p', series, { get writes (): never { touched++; throw new Error('looked at') }, alerts: [] } as never)
  }
  t.equal(touched, 0)
  commit(['a/d/m'])
  t.equal((live as any).kept.length, 0)
  t.end()
})
