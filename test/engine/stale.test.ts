import t from 'tap'
import { Credits, Intake, pipeline, SeriesTable } from '#engine'
import { Flow } from '../../engine/flow.ts'
import { isStale, STALE } from '../../engine/stale.ts'
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
  const by = { ...event, position: 5 }
  t.notOk(isStale(by, made(at - STALE), at), 'though its own time is two hours ago: a window, closed by a reading of now')
  t.ok(isStale(by, made(at - STALE - 1), at))
  t.notOk(isStale(by, made(at + 1000), at))
  t.notOk(isStale(by, made(at - STALE - 1, at - 1), at), 'by the arrival of their own record, not of what came with it')
  t.ok(isStale({ ...event, position: 3 }, made(at), at), 'by its own time when no reading made it')
  t.notOk(isStale({ ...event, position: 7 }, made(0), event.time + 1), 'by its own time when no reading made it')
  t.notOk(isStale(event, undefined, event.time + STALE))
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
  t.strictSame(alerts.map(({ event, receivers, stale }) => [event.device, receivers, stale]), [['live', ['hot/stdout'], undefined], ['offline', [], true]])
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
