import t, { type Test } from 'tap'
import { Batch, MillraceError, type Letter } from '#engine'
import { isIntact } from '../../engine/snapshot.ts'
import { alert, Bench, pagesOf, snapshot, TIME, type StoreHarness } from '../fixtures/bench.ts'
export { alert, Bench, type StoredRow, type StoreHarness } from '../fixtures/bench.ts'

/** The laws of every Store. `fresh` gives an empty one. */
export function storeLaws (name: string, fresh: (t: Test) => Promise<StoreHarness>): void {
  const law = (says: string, body: (t: Test, bench: Bench) => Promise<void>) => {
    void t.test(`${name}: ${says}`, async t => {
      const bench = new Bench(await fresh(t))
      try { await body(t, bench) } finally { await bench.close() }
    })
  }

  law('a new pipeline begins at no position, version 0', async (t, bench) => {
    const { recovered } = await bench.open()
    t.equal(recovered.position, undefined)
    t.equal(recovered.version, 0)
    t.strictSame(recovered.counts, {})
    t.equal(recovered.origin, undefined)
    t.strictSame([recovered.snapshots, recovered.marks], [[], []])
  })

  law('opened again, it knows position and what it counts in, version and counts', async (t, bench) => {
    const one = await bench.open()
    await one.commit([1, 2], { origin: 'log:a' })
    const written = await one.commit([3], { origin: 'log:b', partitions: [] })
    t.strictSame(written, [{ written: 1, duplicates: 0, refused: 0 }])
    await one.store.close()
    const { recovered } = await bench.open()
    t.equal(recovered.position, 3)
    t.equal(recovered.origin, 'log:b')
    t.equal(recovered.version, 2)
    t.equal(recovered.counts[''].written, 3)
    t.ok(recovered.epoch > one.recovered.epoch)
    t.strictSame((await bench.values()), [1, 2, 3])
  })

  law('a snapshot comes back when its header was committed, with every page, whichever commit brought it', async (t, bench) => {
    const one = await bench.open()
    await one.commit([1])
    await one.commit([2, 3], snapshot(1, { '0/0': 'a', '63/1': 'b' }))
    t.strictSame(await one.commit([], snapshot(1, { '5/0': 'c' }, { pages: 3, position: 1, version: 1, origin: 'log:a' })), [])
    await one.store.close()
    const { recovered: { snapshots } } = await bench.open()
    t.match(snapshots, [{ generation: 1, position: 1, version: 1, origin: 'log:a', pages: 3, layout: [['time', 'time'], ['/ewma', '1']] }])
    t.equal(snapshots.length, 1)
    t.strictSame(await pagesOf(snapshots[0]), { '0/0': 'a', '5/0': 'c', '63/1': 'b' })
    t.ok((await snapshots[0].content()).every(isIntact), 'and its digest')
  })

  law('pages are durable with their commit and not without it', async (t, bench) => {
    const one = await bench.open()
    await one.commit([1])
    const whole = snapshot(1, { '0/0': 'never' }, { pages: 1, position: 1, version: 1 })
    await t.rejects(one.commit([2], { ...whole, counts: () => { throw new Error('crash') } }))
    await one.commit([2], snapshot(1, { '0/0': 'a' }))
    await t.rejects(one.commit([3], { ...snapshot(1, { '1/0': 'never', '2/0': 'never' }), counts: () => { throw new Error('crash') } }))
    await one.commit([3], snapshot(1, { '1/0': 'b' }, { pages: 2, position: 1, version: 1 }))
    await one.store.close()
    const { recovered: { snapshots } } = await bench.open()
    t.strictSame(await pagesOf(snapshots[0]), { '0/0': 'a', '1/0': 'b' })
  })

  law('what was never completed is gone at the next start, and the one before it is whole', async (t, bench) => {
    const one = await bench.open()
    await one.commit([1], snapshot(1, { '0/0': 'a', '1/0': 'b' }, { pages: 2, position: 0, version: 0 }))
    await one.commit([2], snapshot(2, { '0/0': 'half', '9/0': 'half' }))
    await one.store.close()
    const two = await bench.open()
    t.strictSame(two.recovered.snapshots.map(s => s.generation), [1])
    t.strictSame(await pagesOf(two.recovered.snapshots[0]), { '0/0': 'a', '1/0': 'b' })
    await two.commit([3], snapshot(2, { '0/0': 'A', '1/0': 'b' }, { pages: 2, position: 2, version: 2 }))
    await two.store.close()
    const { recovered: { snapshots } } = await bench.open()
    t.strictSame(await Promise.all(snapshots.map(pagesOf)), [{ '0/0': 'A', '1/0': 'b' }, { '0/0': 'a', '1/0': 'b' }])
  })

  law('the newest snapshot and the one before are kept as they were, older ones are not', async (t, bench) => {
    let { store, commit } = await bench.open()
    const all = { '0/0': '1', '0/1': '1', '7/0': '1' }
    for (const [i, changed] of [{}, { '0/0': '2' }, { '0/1': '3' }, { '0/0': '4', '7/0': '4' }].entries()) {
      const generation = i + 1
      Object.assign(all, changed)
      await commit([generation], snapshot(generation, store.whole === true || i === 0 ? all : changed, { pages: 3, position: i, version: i }))
      await store.close()
      const again = await bench.open()
      t.strictSame(again.recovered.snapshots.map(s => s.generation), [generation, generation - 1].filter(g => g > 0))
      const [newest, before] = await Promise.all(again.recovered.snapshots.map(pagesOf))
      t.strictSame(newest, all, 'a page that was not written again comes with it')
      if (before !== undefined) t.strictSame(Object.keys(before), Object.keys(all))
      if (generation === 3) t.strictSame(before, { '0/0': '2', '0/1': '1', '7/0': '1' })
      if (generation === 4) t.strictSame(before, { '0/0': '2', '0/1': '3', '7/0': '1' });
      ({ store, commit } = again)
    }
  })

  law('marks come back in order, each with the position and the version it was kept with', async (t, bench) => {
    const one = await bench.open()
    await one.commit([1], { marks: [{ kind: 'listen', time: TIME }] })
    await one.commit([2])
    await one.commit([], { marks: [{ kind: 'tick', time: TIME + 5.125 }, { kind: 'listen', time: TIME + 6 }] })
    await one.commit([3], { marks: [{ kind: 'tick', time: TIME + 7 }, { kind: 'relearn', time: TIME + 8, of: { tenant: 't', device: 'é', end: TIME + 0.125 } }] })
    await one.store.close()
    t.strictSame((await bench.open()).recovered.marks.map(m => ({ ...m })), [
      { kind: 'listen', time: TIME, position: 1, version: 1 },
      { kind: 'tick', time: TIME + 5.125, position: 2, version: 3 }, { kind: 'listen', time: TIME + 6, position: 2, version: 3 },
      { kind: 'tick', time: TIME + 7, position: 3, version: 4 }, { kind: 'relearn', time: TIME + 8, of: { tenant: 't', device: 'é', end: TIME + 0.125 }, position: 3, version: 4 }
    ])
  })

  law('marks are kept since the older snapshot, and not longer', async (t, bench) => {
    let { store, commit } = await bench.open()
    const pages = { '0/0': 'a' }
    const kept: number[][] = []
    for (let version = 1; version <= 6; version++) {
      await commit([version], { marks: [{ kind: 'tick', time: version }], ...version % 2 === 0 ? snapshot(version / 2, pages, { pages: 1, position: version - 1, version: version - 1 }) : {} })
      await store.close()
      const again = await bench.open()
      kept.push(again.recovered.marks.map(m => m.time))
      ;({ store, commit } = again)
    }
    const needed = [[1], [2], [2, 3], [2, 3, 4], [2, 3, 4, 5], [4, 5, 6]]
    t.strictSame(kept.slice(3), needed.slice(3))
    t.strictSame(kept.slice(0, 3).map((times, i) => times.slice(-needed[i].length)), needed.slice(0, 3), 'while there is no older one, more may be there')
  })

  law('a commit that fails before its end leaves nothing, and can be made again', async (t, bench) => {
    const one = await bench.open()
    await one.commit([1])
    await t.rejects(one.commit([2, 3], { alerts: [alert('a')], counts: () => { throw new Error('crash') } }))
    t.strictSame(await one.store.due(10, Date.now()), [])
    t.strictSame(await bench.values(), [1])
    await one.commit([2, 3, 4])
    await one.store.close()
    const { recovered } = await bench.open()
    t.equal(recovered.version, 2)
    t.equal(recovered.position, 4)
    t.strictSame(await bench.values(), [1, 2, 3, 4])
  })

  law('the same commit tried again is not applied twice', async (t, bench) => {
    const one = await bench.open()
    const same = one.make([1, 2], { alerts: [alert('a')] })
    await one.store.commit(same)
    await one.store.commit(same).catch(error => t.equal(error.code, 'store/fenced'))
    await one.store.close()
    const two = await bench.open()
    t.equal(two.recovered.version, 1)
    t.equal(two.recovered.counts[''].written, 2)
    t.strictSame(await bench.values(), [1, 2])
    t.equal((await two.store.due(10, Date.now())).length, 1)
  })

  law('the same commit tried again is not applied twice, whichever partitions it is about', async (t, bench) => {
    const one = await bench.open()
    for (const partitions of [[3], [4], [3, 4], [], [63]]) {
      const same = one.make([7], { partitions })
      await one.commit([7], { partitions })
      await one.store.commit(same).catch(error => t.equal(error.code, 'store/fenced'))
    }
    await one.store.close()
    const { recovered } = await bench.open()
    t.equal(recovered.version, 5)
    t.equal(recovered.position, 5)
    t.equal(recovered.counts[''].written, 5)
    t.strictSame(await bench.values(), [7, 7, 7, 7, 7])
  })

  law('who opened earlier is fenced off, whichever partition its commit is about', async (t, bench) => {
    const one = await bench.open()
    await one.commit([1], { partitions: [5] })
    await bench.harness.abandon(one.pipeline)
    const two = await bench.open()
    await two.commit([2], { partitions: [5, 6] })
    for (const partitions of [[5], [6], [0], [63], [], [5, 63]]) await t.rejects(one.store.commit(one.make([3], { partitions })), { code: 'store/fenced' }, `about ${partitions.join(', ')}`)
    t.ok(await one.commit([3]).catch(error => error instanceof MillraceError))
    await two.commit([4], { partitions: [63] })
    t.strictSame(await bench.values(), [1, 2, 4])
  })

  law('who opened earlier leases nothing any more, and goes on where it was only if nobody has opened since', async (t, bench) => {
    const one = await bench.open()
    await one.commit([1], { alerts: [alert('a')] })
    const now = Date.now() + 1000, [entry] = await one.store.due(10, now)
    await bench.harness.abandon(one.pipeline)
    const two = await bench.open(one.pipeline, undefined, { epoch: one.recovered.epoch })
    await t.rejects(one.store.due(10, now + 60_001), { code: 'store/fenced' })
    t.strictSame(await two.store.due(10, now + 60_001), [entry], 'it is tried again, by who has it now')
    await bench.harness.abandon(one.pipeline)
    await t.rejects(bench.open(one.pipeline, undefined, { epoch: one.recovered.epoch }), { code: 'store/fenced' })
    const three = await bench.open(one.pipeline, undefined, { epoch: two.recovered.epoch })
    t.ok(three.recovered.epoch > two.recovered.epoch)
    t.strictSame(await three.store.due(10, now + 120_002), [entry])
  })

  law('what is kept for a receiver goes with it when it has another key, once', async (t, bench) => {
    const one = await bench.open('p', undefined, { receivers: ['hot/x', 'hot/x#1', 'hot/y'].map(key => ({ key, former: [] })) })
    await one.commit([1], { alerts: [alert('a', ['hot/x', 'hot/x#1', 'hot/y']), alert('b', ['hot/x#1'])] })
    const now = Date.now() + 1000, due = async ({ store }: typeof one, at: number) => (await store.due(10, at)).map(e => `${e.events[0].id} ${e.receiver}`).toSorted()
    for (const entry of await one.store.due(10, now)) if (entry.receiver === 'hot/x#1' && entry.id === 'b.firing') await one.store.settle(entry, { state: 'delivered' })
    await one.store.close()
    const receivers = [{ key: 'hot/x:1', former: ['hot/x:0', 'hot/x'] }, { key: 'hot/x:ops', former: ['hot/x:2', 'hot/x#1'] }, { key: 'hot/y:3', former: ['hot/y#2'] }]
    const two = await bench.open('p', undefined, { receivers })
    t.strictSame(await due(two, now + 60_001), ['a.firing hot/x:1', 'a.firing hot/x:ops', 'a.firing hot/y'])
    await two.commit([2], { alerts: [alert('b', ['hot/x:ops']), alert('c', ['hot/x:1'])] })
    t.strictSame(await due(two, now + 60_002), ['c.firing hot/x:1'], 'what is settled stays so')
    await two.store.close()
    const three = await bench.open('p', undefined, { receivers: [{ key: 'hot/x:duty', former: ['hot/x:1', 'hot/x'] }] })
    t.strictSame(await due(three, now + 180_003), ['a.firing hot/x:duty', 'a.firing hot/x:ops', 'a.firing hot/y', 'c.firing hot/x:duty'])
  })

  law('a delivery is leased once, and again when the lease is over', async (t, bench) => {
    const one = await bench.open()
    await one.commit([1], { alerts: [alert('a', ['x', 'y']), alert('b', ['x'])] })
    const now = Date.now() + 1000
    const [first, second] = [await one.store.due(2, now), await one.store.due(10, now)]
    t.strictSame([...first, ...second].map(e => `${e.events[0].id} ${e.receiver} ${e.attempts}`).toSorted(), ['a.firing x 0', 'a.firing y 0', 'b.firing x 0'])
    t.equal(first.length, 2)
    t.strictSame(first[0].events[0], alert(first[0].events[0].incident).event, 'an event comes back as it was given')
    t.strictSame(await one.store.due(10, now + 1000), [])
    t.equal((await one.store.due(10, now + 61_000)).length, 3)
  })

  law('a receiver that has enough to do gets nothing more', async (t, bench) => {
    const one = await bench.open()
    await one.commit([1], { alerts: [alert('a', ['x', 'y'])] })
    t.strictSame((await one.store.due(10, Date.now() + 1000, ['x'])).map(e => e.receiver), ['y'])
  })

  law('what is settled stays so: delivered and dead never again, a retry when it is due', async (t, bench) => {
    const one = await bench.open()
    await one.commit([1], { alerts: [alert('a', ['x', 'y', 'z'])] })
    const now = Date.now() + 1000
    const entries = Object.fromEntries((await one.store.due(10, now)).map(e => [e.receiver, e]))
    await Promise.all([
      one.store.settle(entries.x, { state: 'delivered' }),
      one.store.settle(entries.y, { state: 'dead', error: '410 Gone' }),
      one.store.settle(entries.z, { state: 'retry', after: now + 5000, error: '503' })
    ])
    t.strictSame(await one.store.due(10, now + 4000), [])
    await one.store.close()
    const two = await bench.open()
    t.strictSame(await two.store.due(10, now + 4000), [])
    t.strictSame((await two.store.due(10, now + 6000)).map(e => [e.receiver, e.attempts]), [['z', 1]])
  })

  law('an end is not told while its beginning is still to be told to the same receiver', async (t, bench) => {
    const one = await bench.open(), { event } = alert('a'), end = { event: { ...event, id: 'a.resolved', state: 'resolved' as const, position: 2 }, receivers: ['x', 'y'] }
    await one.commit([1, 2], { alerts: [alert('a', ['x', 'y']), end] })
    const now = Date.now() + 1000, entries = await one.store.due(10, now)
    t.strictSame(entries.map(e => e.id), ['a.firing', 'a.firing'])
    for (const entry of entries) await one.store.settle(entry, entry.receiver === 'x' ? { state: 'retry', after: now + 120_000, error: '503' } : { state: 'delivered' })
    t.strictSame((await one.store.due(10, now + 61_000)).map(e => `${e.id} ${e.receiver}`), ['a.resolved y'])
    const [again] = await one.store.due(1, now + 120_000)
    t.equal(`${again.id} ${again.receiver}`, 'a.firing x')
    await one.store.settle(again, { state: 'dead', error: '410 Gone' })
    t.ok((await one.store.due(10, now + 120_000)).some(e => e.id === 'a.resolved' && e.receiver === 'x'), 'delivered or given up')
  })

  law('a delivery that was not settled is not lost', async (t, bench) => {
    const one = await bench.open()
    await one.commit([1], { alerts: [alert('a', ['x'])] })
    const now = Date.now() + 1000
    await one.store.due(10, now)
    await one.store.close()
    const two = await bench.open()
    t.strictSame((await two.store.due(10, now + 61_000)).map(e => e.events[0].id), ['a.firing'])
  })

  law('an event that is known already is not sent again', async (t, bench) => {
    const one = await bench.open()
    await one.commit([1], { alerts: [alert('a', ['x'])] })
    const now = Date.now() + 1000
    const [entry] = await one.store.due(10, now)
    await one.store.settle(entry, { state: 'delivered' })
    await one.commit([2], { alerts: [alert('a', ['x'])] })
    t.strictSame(await one.store.due(10, now + 61_000), [])
  })

  law('an alert without receivers is stored and not sent', async (t, bench) => {
    const one = await bench.open()
    await one.commit([1], { alerts: [{ ...alert('a', []), stale: true }] })
    t.strictSame(await one.store.due(10, Date.now() + 1000), [])
  })

  law('late rows are given back one by one: each is listed until it is, whatever message, log and pipeline others of it are of', async (t, bench) => {
    const one = await bench.open('one', 'ones'), two = await bench.open('two', 'twos')
    const late = ({ series }: typeof one) => ['b', 'a'].map(branch => ({
      branch, step: 'tumbling',
      batch: new Batch({ time: Float64Array.of(TIME + 1, TIME, TIME), series: Int32Array.from(['y', 'x', 'x'], device => series.id('acme', device, 'm')), value: Float64Array.of(1, 2, 3), position: Float64Array.of(5, 5, 5) })
    }))
    const shown = ({ origin, position, part, detail, payload }: Letter) => `${origin} ${position}/${part} ${detail} ${Buffer.from(payload).toString()}`
    const listed = async (requeued = false) => (await one.store.letters({ late: true, limit: 100, requeued })).map(shown).toSorted()
    await two.commit([1], { late: late(two), origin: 'log:a' })
    await one.commit([1], { late: late(one), origin: 'log:a' })
    const all = await listed()
    t.equal(new Set(all).size, 6)
    const some = await one.store.letters({ late: true, limit: 4 })
    await one.store.requeued(some, 'test')
    t.strictSame(await listed(), all.filter(l => !some.map(shown).includes(l)))
    t.strictSame(await listed(true), all, 'and keeps its number')
    await one.commit([1], { late: late(one), origin: 'log:b', ingest: TIME + 2 * 864e5 })
    t.equal((await listed()).length, 2 + 6, 'of another log')
    await one.store.requeued(await one.store.letters({ late: true, limit: 100 }), 'test')
    t.strictSame(await listed(), [])
    t.equal((await two.store.letters({ late: true, limit: 100 })).length, 6)
  })

  law('dead letters of several commits at one position are all there, each under a part of its own', async (t, bench) => {
    const one = await bench.open(), letter = (part: number, text: string) => ({ position: 1, part, reason: 'operator_failed' as const, detail: 'x', topic: '', payload: Buffer.from(text), ingest: TIME })
    await one.commit([1], { origin: 'log:a', deadLetters: [letter(2, 'a'), letter(0, 'b')] })
    await one.commit([], { origin: 'log:a', deadLetters: [letter(0, 'c'), letter(1, 'd'), letter(1000, 'e')] })
    await one.commit([], { origin: 'log:a', deadLetters: [letter(1000, 'f'), letter(1000, 'g')] })
    await one.commit([], { origin: 'log:b', deadLetters: [letter(0, 'h')] })
    const letters = await one.store.letters({ limit: 100 }), texts = letters.map(l => Buffer.from(l.payload).toString())
    t.strictSame(texts.toSorted(), [...'abcdefgh'])
    t.equal(new Set(letters.map(l => `${l.origin} ${l.part}`)).size, 8)
    t.strictSame(['a', 'b', 'e', 'h'].map(text => letters[texts.indexOf(text)].part), [2, 0, 1000, 0], 'those that come first keep theirs')
    await one.store.requeued(letters.filter((_, i) => texts[i] === 'c'), 'test')
    t.strictSame((await one.store.letters({ limit: 100 })).map(l => Buffer.from(l.payload).toString()).toSorted(), [...'abdefgh'])
  })

  law('an alert that was kept back and comes again to be told is sent, as of then, also within one commit', async (t, bench) => {
    const one = await bench.open()
    const kept = { ...alert('a', []), stale: true }, { event } = alert('a')
    const told = { event: { ...event, time: event.time + 60_000, value: 7, message: 'still' }, receivers: ['x'] }
    await one.commit([1], { alerts: [kept] })
    await one.commit([2], { alerts: [told] })
    await one.commit([3], { alerts: [kept] })
    const other = (a: typeof kept | typeof told) => ({ ...a, event: { ...a.event, id: 'b.firing', incident: 'b' } })
    await one.commit([4], { alerts: [other(kept), other(told)] })
    const due = await one.store.due(10, Date.now() + 1000)
    t.strictSame(due.map(d => [d.events[0].id, d.receiver, d.events[0].value, d.events[0].message]), [['a.firing', 'x', 7, 'still'], ['b.firing', 'x', 7, 'still']])
    t.equal(due[0].events[0].time, told.event.time)
  })

  law('two pipelines do not see each other', async (t, bench) => {
    const one = await bench.open('one', 'ones'), two = await bench.open('two', 'twos')
    await one.commit([1], { alerts: [alert('a')] })
    await two.commit([7, 8])
    t.strictSame(await two.store.due(10, Date.now() + 1000), [])
    t.strictSame((await one.store.due(10, Date.now() + 1000)).map(e => e.events[0].pipeline), ['p'])
    await one.store.close()
    await two.store.close()
    t.equal((await bench.open('one', 'ones')).recovered.version, 1)
    t.equal((await bench.open('two', 'twos')).recovered.position, 2)
  })
}
