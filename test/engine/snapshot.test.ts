import t from 'tap'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Batch, SeriesTable } from '#engine'
import { alertOperator } from '../../engine/alert.ts'
import { isIntact, type SnapshotPage } from '../../engine/snapshot.ts'
import { partitionOf } from '../../engine/partition.ts'
import { serialize } from 'node:v8'
import { decodePage } from '../../engine/snapshot-page.ts'
import { threshold, tumbling, validate, zscore } from '../../index.ts'
import { DEVICES, Driven, remembering, START, type Step } from '../support/flow.ts'

const reading = fc.record({ device: fc.nat(DEVICES.length - 1), metric: fc.nat(1), behind: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(15) }), value: fc.integer({ min: 0, max: 9 }) })
const steps: fc.Arbitrary<Step[]> = fc.array(fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('readings' as const), after: fc.nat(8), of: fc.array(reading, { minLength: 1, maxLength: 6 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('tick' as const), after: fc.constantFrom(5, 40, 400) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('listen' as const), after: fc.nat(40) }) }
), { minLength: 4, maxLength: 40, size: 'max' }).map(list => {
  let clock = START
  return list.map((step): Step => {
    clock += step.after * 1000
    return step.do === 'readings' ? { do: 'readings', ingest: clock, of: step.of.map(({ device, metric, behind, value }) => [device, metric, clock - behind * 1000, value] as const) } : { do: step.do, time: clock }
  })
})
/** Every device and metric at once: then nothing is new while a snapshot is copied. */
const roll: Step = { do: 'readings', ingest: START - 1000, of: DEVICES.flatMap((_, device) => [0, 1].map(metric => [device, metric, START - 1000, device % 3] as const)) }
/** While a snapshot is copied: what changes everything at once gives it up. */
const partly = (all: readonly Step[]) => all.filter(step => step.do !== 'listen')
const cut = fc.nat(40), budgets = fc.array(fc.constantFrom(0, 1, 500, 5000), { minLength: 1, maxLength: 7 })
const key = ({ partition, page }: SnapshotPage) => `${partition}/${page}`
const newest = (pages: readonly SnapshotPage[]) => new Map(pages.map(page => [key(page), page]))
const plain = (pages: Iterable<SnapshotPage>) => Object.fromEntries([...pages].map(page => [key(page), decodePage(page.data)] as const).sort(([a], [b]) => a < b ? -1 : 1))

/** A flow that has taken up these pages and stands at `position`. */
function resumed (pages: Iterable<SnapshotPage>, from: Driven, position: number, p = remembering()): Driven {
  const driven = new Driven(p, position)
  for (const page of pages) driven.flow.snapshots.load(page, from.flow.snapshots.layout)
  driven.flow.snapshots.loaded(from.flow.snapshots.layout)
  return driven
}

t.test('a snapshot copied while the flow goes on is the state at its beginning, byte for byte', async t => {
  fc.assert(fc.property(steps, cut, budgets, (all, at, bytes) => {
    const driven = new Driven(), { snapshots } = driven.flow
    driven.feed(roll)
    all.slice(0, at).forEach(step => driven.feed(step))
    const atOnce = plain(driven.pages)
    const count = snapshots.begin(true)
    assert.equal(count, driven.pages.length)
    const copied: SnapshotPage[] = []
    partly(all.slice(at)).forEach((step, i) => {
      snapshots.advance(bytes[i % bytes.length])
      copied.push(...snapshots.take())
      driven.feed(step)
    })
    snapshots.advance(Infinity)
    copied.push(...snapshots.take())
    assert.equal(snapshots.left, 0)
    assert.equal(copied.length, count, 'each page once')
    assert.deepEqual(plain(copied), atOnce)
    assert.ok(copied.every(isIntact))
  }), { numRuns: 200 })
  t.ok(true)
})

t.test('what takes up a snapshot goes on as if it had always been there, also when devices appeared while it was copied', async t => {
  fc.assert(fc.property(steps, cut, budgets, (all, at, bytes) => {
    const driven = new Driven(), { snapshots } = driven.flow
    all.slice(0, at).forEach(step => driven.feed(step))
    const { position } = driven.flow, whole = driven.pages
    snapshots.begin(true)
    const copied: SnapshotPage[] = [], expected: unknown[] = []
    const rest = partly(all.slice(at))
    rest.forEach((step, i) => {
      expected.push(driven.feed(step))
      snapshots.advance(bytes[i % bytes.length])
      copied.push(...snapshots.take())
    })
    snapshots.advance(Infinity)
    copied.push(...snapshots.take())
    for (const pages of [copied, whole, [...copied].reverse()]) {
      const again = resumed(pages, driven, position)
      assert.deepEqual(rest.map(step => again.feed(step)), expected)
    }
  }), { numRuns: 200 })
  t.ok(true)
})

t.test('the newest copy of each page is enough: a snapshot copies only what has changed since the one before', async t => {
  fc.assert(fc.property(steps, budgets, (all, bytes) => {
    const driven = new Driven(), { snapshots } = driven.flow
    const stored = new Map<string, SnapshotPage>()
    let written = 0
    driven.feed(roll)
    all.forEach((step, i) => {
      if (i % 4 === 0) {               // what one under way has not copied belongs to the next
        const atOnce = plain(driven.pages), count = snapshots.begin()
        const complete = new Map([...stored, ...newest(snapshots.take())])
        const twin = i % 8 === 0
        if (twin) {
          snapshots.advance(Infinity)
          for (const [at, page] of newest(snapshots.take())) { complete.set(at, page); written++ }
          for (const [at, page] of complete) stored.set(at, page)
          assert.equal(stored.size, count)
          assert.deepEqual(plain(stored.values()), atOnce)
        }
      }
      driven.feed(step)
      snapshots.advance(bytes[i % bytes.length])
      for (const [at, page] of newest(snapshots.take())) { stored.set(at, page); written++ }
    })
    assert.ok(written <= driven.pages.length * (all.length + 1))
  }), { numRuns: 100 })

  const driven = new Driven(), { snapshots } = driven.flow
  driven.feed(roll)
  const copied = () => { snapshots.begin(); snapshots.advance(Infinity); return snapshots.take().map(key) }
  t.equal(copied().length, driven.pages.length, 'at first all')
  t.strictSame(copied(), [], 'nothing has changed')
  driven.feed({ do: 'readings', ingest: START, of: [[0, 0, START, 1]] })
  t.equal(copied().length, 1, 'one device has moved')
  driven.feed({ do: 'tick', time: START + 31_000 })
  t.equal(copied().length, driven.pages.length, 'all have gone silent')
})

t.test('what changes everything at once gives up a snapshot that is being copied; the next one is of everything', async t => {
  const driven = new Driven(), { snapshots } = driven.flow
  driven.feed(roll)
  const count = snapshots.begin()
  snapshots.advance(1)
  driven.feed({ do: 'readings', ingest: START, of: [[0, 0, START, 1], [20, 0, START, 1]] })
  driven.feed({ do: 'listen', time: START + 1000 })
  t.ok(snapshots.isGivenUp)
  t.equal(snapshots.left, 0)
  t.strictSame(snapshots.take(), [], 'and nothing of it is kept')
  const atOnce = plain(driven.pages)
  t.equal(snapshots.begin(), count)
  t.notOk(snapshots.isGivenUp)
  driven.feed({ do: 'readings', ingest: START + 2000, of: [[0, 0, START + 2000, 5], [20, 1, START + 2000, 5]] })
  snapshots.advance(Infinity)
  t.strictSame(plain(snapshots.take()), atOnce)
  driven.feed({ do: 'listen', time: START + 3000 })
  t.notOk(snapshots.isGivenUp, 'none was under way')
})

t.test('the more is kept for a snapshot, the more of it is copied at once', async t => {
  const driven = new Driven(), { snapshots } = driven.flow
  driven.feed(roll)
  t.ok(snapshots.begin() > 3)
  snapshots.advance(1)
  t.equal(snapshots.take().length, 1)
  driven.feed({ ...roll, ingest: START } as Step)
  snapshots.advance(1)
  t.ok(snapshots.take().length > 1)
})

t.test('pages as they were first written, by v8.serialize, are taken up as well', async t => {
  const driven = new Driven()
  driven.feed(roll)
  driven.feed({ do: 'readings', ingest: START, of: [[0, 0, START, 5], [1, 1, START - 500, 8]] })
  const older = driven.pages.map(page => ({ ...page, data: serialize(decodePage(page.data)) }))
  t.strictSame(plain(resumed(older, driven, driven.flow.position).pages), plain(driven.pages))
})

t.test('a page is of one partition and of at most eight devices, and every device is on one', async t => {
  const driven = new Driven()
  driven.feed(roll)
  const pages = driven.pages
  const devices = pages.map(page => ({ ...page, names: decodePage(page.data)[0].map(([tenant, device]) => [tenant, device] as const) }))
  for (const { partition, names } of devices) {
    t.ok(names.length <= 8)
    for (const [tenant, device] of names) t.equal(partitionOf(tenant, device), partition)
  }
  t.strictSame(devices.flatMap(d => d.names.map(([, device]) => device)).toSorted(), [...DEVICES].toSorted())
  t.equal(new Set(pages.map(key)).size, pages.length)
  t.ok(new Set(pages.map(p => p.page)).size > 1, 'a partition has several')
  t.strictSame(driven.flow.snapshots.partitions(), [3, 40], 'and both have been touched')
  t.strictSame(driven.flow.snapshots.partitions(), [])
  driven.feed({ do: 'readings', ingest: START, of: [[12, 0, START, 1]] })
  t.strictSame(driven.flow.snapshots.partitions(), [40])
})

t.test('new devices go where there is room, also after a restart: no page is written by two', async t => {
  const few: Step = { ...roll, of: roll.do === 'readings' ? roll.of.slice(0, 10) : [] } as Step        // five devices of one partition
  const driven = new Driven()
  driven.feed(few)
  const again = resumed(driven.pages, driven, driven.flow.position)
  again.feed(roll)
  const names = again.pages.map(page => [key(page), decodePage(page.data)[0].length])
  t.strictSame(names, [['3/0', 8], ['3/1', 4], ['40/0', 8], ['40/1', 4]])
})

t.test('a step with an option that gives its memory another meaning begins without it and is named; the others go on, tuned ones too', async t => {
  const driven = new Driven(), at = (i: number, value: number): Step => ({ do: 'readings', ingest: START + i * 1000, of: [[0, 0, START + i * 1000, value]] })
  for (let i = 0; i < 6; i++) driven.feed(at(i, i))
  const { layout } = driven.flow.snapshots
  const other = new Driven(remembering({ alpha: 0.25, samples: 4 }), driven.flow.position)
  for (const page of driven.pages) other.flow.snapshots.load(page, layout)
  t.strictSame(other.flow.snapshots.loaded(layout), { same: ['time', '/dedupe', '/alert:high', 'tens/tumbling'], fresh: [], tuned: ['/ewma'], changed: ['/zscore'], gone: [] })
  t.ok(other.flow.snapshots.begin() > 0)
  t.equal(other.flow.snapshots.left, other.pages.length, 'the next snapshot is of all')
  const columns = (out: any) => Object.fromEntries(out.rows.find(([table]: [string]) => table === 'r')[1][0].slice(6))
  const [before, after] = [columns(driven.feed(at(6, 9))), columns(other.feed(at(6, 9)))]
  t.ok(Number.isFinite(before.zscore))
  t.ok(Number.isNaN(after.zscore), 'it learns anew')
  t.equal(4 * (after.ewma - 9), 6 * (before.ewma - 9), 'goes on from the same mean: a half and three quarters of the way to it are left')

  const same = new Driven(remembering(), driven.flow.position)
  for (const page of driven.pages) same.flow.snapshots.load(page, layout)
  t.strictSame(same.flow.snapshots.loaded(layout), { same: ['time', '/dedupe', '/ewma', '/zscore', '/alert:high', 'tens/tumbling'], fresh: [], tuned: [], changed: [], gone: [] })
  same.flow.snapshots.begin()
  t.equal(same.flow.snapshots.left, 0, 'what was taken up as it was need not be written again')
})

t.test('a page that is not as it was written is found out', async t => {
  const driven = new Driven()
  driven.feed(roll)
  const [page] = driven.pages
  t.ok(isIntact(page))
  for (const at of [0, page.data.length >> 1, page.data.length - 1]) {
    const data = Buffer.from(page.data)
    data[at] ^= 1
    t.notOk(isIntact({ ...page, data }))
  }
})

t.test('options in another order, or one that nothing was remembered for, are no change', async t => {
  const host = { series: new SeriesTable(10), late () {}, aggregated () {} }
  const stage = (o: any) => o.open(host)
  t.equal(stage(tumbling({ every: '1m', features: ['mean'] })).match(stage(tumbling({ features: ['mean'], every: '1m' })).fingerprint), 'same')
  t.equal(stage(zscore({ over: '1m', samples: 3 })).match(JSON.stringify(['zscore', 1, { samples: 3, over: 60_000, floor: 0 }])), 'same')
  t.equal(stage(tumbling({ every: '1m', features: ['mean'] })).match(stage(tumbling({ every: '2m', features: ['mean'] })).fingerprint), 'other')
  t.equal(stage(validate({ min: 0, rate: 5 })).match(stage(validate({ min: 0 })).fingerprint), 'none')
  t.equal(stage(validate({ min: 0, rate: 5 })).match(stage(validate({ min: 1, rate: 5 })).fingerprint), 'tuned')
  t.equal(stage(validate({ min: 0, rate: 5 })).match('nonsense'), 'other')
})

t.test('what does not hold under new values is forgotten: what was pending for another condition, a state of another direction', async t => {
  const series = new SeriesTable(10), host = { series, late () {}, aggregated () {} }, s = series.id('t', 'd', 'm')
  const rows = (...of: [second: number, value: number][]) => new Batch({ time: Float64Array.from(of, r => r[0] * 1000), series: new Int32Array(of.length).fill(s), value: Float64Array.from(of, r => r[1]) })
  const alert = (when: any) => alertOperator({ when, for: '30s' }).open(host)
  const before = alert({ value: { above: 80 } })
  before.process(rows([0, 90], [29, 90]))
  const other = alert({ value: { below: 10 } }), longer = alertOperator({ when: { value: { above: 80 } }, for: '40s' }).open(host)
  other.load(before.save())
  t.equal(other.process(rows([31, 5])).length, 0)
  t.equal(other.process(rows([61, 5])).length, 1)
  longer.load(before.save())
  t.equal(longer.process(rows([41, 90])).length, 1, 'goes on waiting when it only has to wait longer')
  const high = threshold({ above: 80, clear: 70 }).open(host), low = threshold({ below: 10, clear: 20 }).open(host)
  high.process(rows([0, 90]))
  low.load(high.save())
  t.equal((low.process(rows([1, 15])).columns as any).threshold[0], 0)
})
