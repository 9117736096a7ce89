import t from 'tap'
import { Credits, defineOperator, Intake, pipeline, SeriesTable, Type, type AlertOptions } from '#engine'
import { Flow } from '../../engine/flow.ts'
import { Poison } from '../../engine/poison.ts'
import { arrivalOf, STALE } from '../../engine/stale.ts'
import { stdout } from '../../sinks/stdout.ts'
import { alert } from '../fixtures/bench.ts'

void t.test('an alert is stale when the readings that made it arrived more than 15 minutes after they were made', async t => {
  const { event } = alert('a')
  const hour = 3_600_000
  const rows = (ingest: number, ...rows: [position: number, time: number][]) => ({
    position: Float64Array.from(rows, r => r[0]), time: Float64Array.from(rows, r => r[1]), series: new Int32Array(rows.length), value: new Float64Array(rows.length),
    ingest: new Float64Array(rows.length).fill(ingest)
  })
  const at = event.time + 2 * hour
  const made = (time: number, ingest = at) => rows(ingest, [4, at], [5, time - 1], [5, time], [6, 0])
  const isStale = (position: number, ...[rows, ingest]: [Parameters<typeof arrivalOf>[2], number]) => arrivalOf(event.time, position, rows, ingest).stale
  t.notOk(isStale(5, made(at - STALE), at), 'though its own time is two hours ago: a window, closed by a reading of now')
  t.ok(isStale(5, made(at - STALE - 1), at))
  t.notOk(isStale(5, made(at + 1000), at))
  t.notOk(isStale(5, made(at - STALE - 1, at - 1), at), 'by the arrival of their own record, not of what came with it')
  t.ok(isStale(3, made(at), at), 'by its own time when no reading made it')
  t.notOk(isStale(7, made(0), event.time + 1), 'by its own time when no reading made it')
  t.notOk(isStale(event.position, undefined, event.time + STALE))
  t.equal(arrivalOf(event.time, 5, made(at, at - 1), at).at, at - 1)
})

void t.test('alerts of a backlog are committed with the mark and without receivers, those of now with receivers', async t => {
  const series = new SeriesTable(10)
  const flow = new Flow(pipeline('p').alert('hot', { when: { value: { above: 80 } } }, stdout()), series)
  const intake = new Intake(series, new Credits(), { ahead: 0, after: 0 })
  const now = Date.UTC(2026, 2, 9, 12)
  for (const [device, age] of [['live', 1000], ['offline', STALE + 1]] as const) {
    intake.message(device, new Uint8Array(0), now)
    intake.reading(series.id('acme', device, 'temp'), now - age, 90)
  }
  const { alerts } = flow.process(intake.take(now))
  t.strictSame(alerts.map(({ event, receivers, stale }) => [event.device, receivers, stale]), [['live', ['hot/stdout:74234e98'], undefined], ['offline', [], true]])
})

void t.test('whether a record is of a backlog does not depend on which of its readings are tried together', async t => {
  const throws = defineOperator({ name: 'throws', summary: 'Throws on 13.', options: Type.Object({}), process: batch => { if (batch.value.includes(13)) throw new Error('13'); return batch } })
  const told = (value: number) => {
    const series = new SeriesTable(10), flow = new Flow(pipeline('p').pipe(throws()).alert('hot', { when: { value: { above: 80 } } }, stdout()), series)
    const intake = new Intake(series, new Credits(), { ahead: 0, after: 0 }), now = Date.UTC(2026, 2, 9, 12)
    intake.message('d', new Uint8Array(0), now)
    intake.reading(series.id('acme', 'd', 'temp'), now - STALE - 1, 90)
    intake.reading(series.id('acme', 'd', 'flow'), now, value)
    return new Poison(10).feed(flow, intake.take(now), series)!.alerts.map(({ stale = false }) => stale)
  }
  t.strictSame([told(12), told(13)], [[false], [false]])
})

void t.test('the end of an alert is told to whoever was told of its beginning, however late it comes, and to nobody else', async t => {
  const plan = () => pipeline('p').alert('hot', { when: { value: { above: 80 } } }, stdout())
  let series = new SeriesTable(10), flow = new Flow(plan(), series), position = 0
  const now = Date.UTC(2026, 2, 9, 12), hour = 3_600_000
  const give = (...rows: readonly (readonly [device: string, time: number, value: number])[]) => (ingest: number) => {
    const intake = new Intake(series, new Credits(), { ahead: 0, after: position })
    for (const [device, time, value] of rows) {
      intake.message(device, new Uint8Array(0), ingest)
      intake.reading(series.id('acme', device, 'temp'), time, value)
    }
    position += rows.length
    return flow.process(intake.take(ingest)).alerts.map(({ event, receivers, stale = false }) => [event.device, event.state, receivers.length, stale])
  }
  t.strictSame(give(['told', now, 90], ['untold', now - hour, 90])(now), [['told', 'firing', 1, false], ['untold', 'firing', 0, true]])
  flow.snapshots.begin(true)
  flow.snapshots.advance(Infinity)
  const pages = flow.snapshots.take()
  series = new SeriesTable(10)
  flow = new Flow(plan(), series, position)
  for (const page of pages) flow.snapshots.load(page)
  t.strictSame(give(['told', now + 1000, 20], ['untold', now + 1000, 20])(now + hour), [['told', 'resolved', 1, false], ['untold', 'resolved', 0, true]])
})

type Row = readonly [time: number, value: number, ingest: number]
const NOW = Date.UTC(2026, 2, 9, 12), MINUTE = 60_000
const said = (alerts: readonly { readonly event: { readonly id: string, readonly incident: string, readonly state: string, readonly value: number | null, readonly time: number }, readonly receivers: readonly string[], readonly stale?: boolean }[]) =>
  alerts.map(({ event, receivers, stale = false }) => `${event.state} ${event.value} at ${(event.time - NOW) / MINUTE}${stale ? ' stale' : ''} to ${receivers.length}`)

/** What an alert makes of these rows of one series, in deliveries of so many; after each of them from a snapshot. */
function play (rows: readonly Row[], at: number, options: AlertOptions<'value'> = { when: { value: { above: 80 } } }) {
  const plan = () => pipeline('p').alert('hot', options, stdout())
  let series = new SeriesTable(10), flow = new Flow(plan(), series)
  const alerts = []
  for (let from = 0; from < rows.length; from += at) {
    const intake = new Intake(series, new Credits(), { ahead: Infinity, after: from })
    for (const [time, value, ingest] of rows.slice(from, from + at)) {
      intake.message('d', new Uint8Array(0), NOW + ingest * MINUTE)
      intake.reading(series.id('acme', 'd', 'temp'), NOW + time * MINUTE, value)
    }
    alerts.push(...flow.process(intake.take(NOW + rows[Math.min(from + at, rows.length) - 1][2] * MINUTE)).alerts)
    flow.snapshots.begin(true)
    flow.snapshots.advance(Infinity)
    const pages = flow.snapshots.take()
    series = new SeriesTable(10)
    flow = new Flow(plan(), series, from + at)
    for (const page of pages) flow.snapshots.load(page)
  }
  return alerts
}

void t.test('an alert of a backlog is told when the backlog is over and it still holds: once, under its id, as of the reading of now', async t => {
  const rows: Row[] = [[-40, 1, 0], [-30, 90, 0], [-20, 91, 0], [-15.01, 92, 0], [-10, NaN, 0], [-14.5, 93, 0], [-9, 94, 0], [0, 95, 0.1], [1, 96, 1], [2, 20, 2]]
  for (const at of [1, 2, 3, rows.length]) {
    const alerts = play(rows, at)
    t.strictSame(said(alerts), ['firing 90 at -30 stale to 0', 'firing 94 at -9 to 1', 'resolved 20 at 2 to 1'], `deliveries of ${at}`)
    t.equal(alerts[0].event.id, alerts[1].event.id)
    t.equal(alerts[0].event.since, alerts[1].event.since)
  }
})

void t.test('one that ends within its backlog is told to nobody, nor while it is only not yet cleared', async t => {
  t.strictSame(said(play([[-30, 90, 0], [-20, 1, 0], [0, 20, 0]], 1)), ['firing 90 at -30 stale to 0', 'resolved 1 at -20 stale to 0'])
  const clear = { when: { value: { above: 80 } }, clear: { value: { below: 50 } } }
  t.strictSame(said(play([[-30, 90, 0], [0, 60, 0], [1, 85, 1], [2, 60, 2], [3, 40, 3]], 1, clear)), ['firing 90 at -30 stale to 0', 'firing 85 at 1 to 1', 'resolved 40 at 3 to 1'])
})

void t.test('where all readings seem old, because a clock was ahead, it is told a quarter of an hour after it has fired', async t => {
  const day = 24 * 60
  const rows: Row[] = [[0, 90, day], [5, 91, day + 5], [14.9, 92, day + 14.9], [15, 93, day + 15], [16, 94, day + 16], [17, 1, day + 17]]
  for (const at of [1, 4, rows.length]) t.strictSame(said(play(rows, at)), ['firing 90 at 0 stale to 0', 'firing 93 at 15 to 1', 'resolved 1 at 17 to 1'], `deliveries of ${at}`)
})
