import t from 'tap'
import { Credits, Intake, SeriesTable, type Delivery } from '#engine'
import { Flow } from '../../engine/flow.ts'
import type { Outputs } from '../../engine/outputs.ts'
import { decodePage } from '../../engine/snapshot-page.ts'
import { partitionOf, workerOf } from '../../engine/partition.ts'
import { Workers } from '../../engine/workers.ts'
import { rowsOf } from '../laws/stream.ts'
import { remembering, START } from '../support/flow.ts'

const module = new URL('../support/pipeline-module.ts', import.meta.url).href, given = { alpha: 0.25 }
const DEVICES = Array.from({ length: 30 }, (_, d) => `device-${d}`)
const open = (t: any, workers: number, position = 0) => {
  const series = new SeriesTable(200), of = new Workers(series, { module, given, workers }, position)
  t.teardown(() => of.close())
  return { series, of }
}

/** Readings of 30 devices in turns, some late, some twice, dead ones among them: the same for every table. */
function deliveries (series: SeriesTable, from: number, to: number): Delivery[] {
  const intake = new Intake(series, new Credits({ bytes: Infinity, deliveries: Infinity }), { ahead: 1e9, after: from * 40 })
  return Array.from({ length: to - from }, (_, k) => {
    const second = from + k, ingest = START + second * 1000
    for (let i = 0; i < 40; i++) {
      const n = second * 40 + i, device = n * 7 % DEVICES.length
      intake.message('test', new Uint8Array(0), ingest)
      if (n % 97 === 0) intake.reject('not_a_number', 'planted')
      else intake.reading(series.id('default', DEVICES[device], `m${n % 2}`), ingest - (n % 31 === 0 ? 15_000 : n % 3 * 1000), n % 53 === 0 ? NaN : n * 13 % 10)
    }
    return intake.take(ingest)
  })
}

/** What has come out of it for each device, in its order; what is not of a device, sorted. */
function byDevice (all: readonly (Outputs | undefined)[], series: SeriesTable) {
  const devices: Record<string, unknown[]> = {}, counts: Record<string, Record<string, number>> = {}
  const put = (device: string, of: unknown) => (devices[device] ??= []).push(of)
  let letters = 0, received = 0
  for (const outputs of all) {
    if (outputs === undefined) continue
    for (const { table, batch } of outputs.writes) for (const [kind, rows] of [[table, batch], ['provisional', batch.provisional]] as const) if (rows !== undefined) rowsOf(rows, series).forEach((row, i) => { put(`${series.name(rows.series[i]).device} ${kind}`, row) })
    for (const { batch } of outputs.late) rowsOf(batch, series, 'late').forEach((row, i) => { put(`${series.name(batch.series[i]).device} late`, row) })
    for (const { event } of outputs.alerts) put(`${event.device} alerts`, event)
    letters += outputs.deadLetters.length
    received += outputs.received
    for (const [branch, of] of Object.entries(outputs.counts(outputs.writes.map(({ batch }) => ({ written: batch.length, duplicates: 1, refused: 2 }))))) {
      for (const [key, n] of Object.entries(of)) if (key !== 'deduplicated' && key !== 'dead_lettered') (counts[branch] ??= {})[key] = (counts[branch][key] ?? 0) + n
    }
  }
  return { devices, counts, letters, received }
}

const SILENT = START + 40 * 1000 + 31_000, FORGOTTEN = START + 400_000
async function through (of: Workers, all: readonly Delivery[]): Promise<(Outputs | undefined)[]> {
  const underWay = all.map(delivery => of.process(delivery))       // none waits for the one before
  return [...await Promise.all(underWay), await of.tick(SILENT), await of.tick(SILENT), await of.tick(FORGOTTEN)]
}

t.test('what comes out for a device does not depend on how many workers there are', async t => {
  const series = new SeriesTable(200), flow = new Flow(remembering(given), series)
  const plain = byDevice([...deliveries(series, 0, 40).map(delivery => flow.process(delivery)), flow.tick(SILENT), flow.tick(SILENT), flow.tick(FORGOTTEN)], series)
  t.equal(plain.received, 1600)
  t.ok(plain.letters > 10)
  t.ok(['r', 'w', 'provisional', 'late', 'alerts'].every(kind => Object.keys(plain.devices).some(key => key.endsWith(` ${kind}`))), Object.keys(plain.devices).join(', '))
  for (const workers of [1, 2, 3]) {
    const { series, of } = open(t, workers)
    t.strictSame(byDevice(await through(of, deliveries(series, 0, 40)), series), plain, `${workers} workers`)
    t.equal(of.watermark, flow.watermark)
    t.equal(of.position, 1600)
  }
})

t.test('a snapshot of some workers is that of one flow, and is taken up by any number of them', async t => {
  const plain = new SeriesTable(200), flow = new Flow(remembering(given), plain)
  for (const delivery of deliveries(plain, 0, 20)) flow.process(delivery)
  const { position } = flow, { layout } = flow.snapshots
  flow.snapshots.begin()
  flow.snapshots.advance(Infinity)
  const rest = byDevice([...deliveries(plain, 20, 40).map(delivery => flow.process(delivery)), flow.tick(SILENT)], plain)

  const two = open(t, 2)
  await Promise.all(deliveries(two.series, 0, 20).map(delivery => two.of.process(delivery)))
  const pages = await two.of.begin(), copied = await two.of.advance(1)
  t.ok(copied.left > 0 && copied.pages.length < pages, 'a few at a time')
  const others = await two.of.advance(1e9)
  t.equal(others.left, 0)
  const all = [...copied.pages, ...others.pages]
  t.equal(all.length, pages)
  for (const [name, taken] of [['of one flow', flow.snapshots.take()], ['of two workers', all]] as const) {
    for (const workers of [1, 3]) {
      const { series, of } = open(t, workers, position)
      t.strictSame((await of.load(taken, layout)).changed, [])
      t.strictSame(byDevice([...await Promise.all(deliveries(series, 20, 40).map(delivery => of.process(delivery))), await of.tick(SILENT)], series), rest, `a snapshot ${name}, in ${workers} workers`)
    }
  }
})

t.test('partitions are dealt out to workers in turn', async t => {
  t.strictSame(Array.from({ length: 6 }, (_, partition) => workerOf(partition, 4)), [0, 1, 2, 3, 0, 1])
  t.ok(new Set(DEVICES.map(device => workerOf(partitionOf('default', device), 3))).size === 3, 'and the devices of these tests to all of three')
})

t.test('tags reach the thread of their device, also when they change; what a thread throws reaches the caller, and it goes on', async t => {
  const { series, of } = open(t, 2)
  const [delivery] = deliveries(series, 0, 1)
  series.tag(series.device('default', DEVICES[0]), { site: 'here' })
  await of.process(delivery)
  series.tag(series.device('default', DEVICES[0]), { site: 'there' })
  await of.process(deliveries(series, 1, 2)[0])
  await of.begin(true)
  const { pages } = await of.advance(1e9)
  const tags = pages.flatMap(({ data }) => decodePage(data)[0]).find(([, device]) => device === DEVICES[0])![2]
  t.strictSame(tags, { site: 'there' })
  await t.rejects(of.load([{ ...pages[0], data: Buffer.from('nonsense') }], []), /deserialize/)
  t.ok(await of.process(deliveries(series, 2, 3)[0]))
})

t.test('a number of workers that cannot be is refused; what is asked after the end is refused too', async t => {
  for (const workers of [0, 65, 1.5]) t.throws(() => new Workers(new SeriesTable(1), { module, workers }), { code: 'config/invalid' })
  const { series, of } = open(t, 1)
  await of.close()
  await t.rejects(of.process(deliveries(series, 0, 1)[0]), /has ended/)
})
