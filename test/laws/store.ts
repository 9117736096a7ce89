import t, { type Test } from 'tap'
import { MillraceError } from '#engine'
import { alert, Bench, TIME, type StoreHarness } from '../fixtures/bench.ts'
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
  })

  law('opened again, it knows position, version, counts, tick and snapshot', async (t, bench) => {
    const one = await bench.open()
    await one.commit([1, 2], { tick: TIME + 5 })
    const written = await one.commit([3], { snapshot: Buffer.from('memory') })
    t.strictSame(written, [{ written: 1, duplicates: 0, refused: 0 }])
    await one.store.close()
    const { recovered } = await bench.open()
    t.equal(recovered.position, 3)
    t.equal(recovered.version, 2)
    t.equal(recovered.counts[''].written, 3)
    t.equal(recovered.tick, undefined, 'the tick was before the last position')
    t.equal(Buffer.from(recovered.snapshot as Uint8Array).toString(), 'memory')
    t.ok(recovered.epoch > one.recovered.epoch)
    t.strictSame((await bench.values()), [1, 2, 3])
  })

  law('a tick after the last position is known again', async (t, bench) => {
    const one = await bench.open()
    await one.commit([1])
    await one.commit([], { tick: TIME + 5 })
    await one.store.close()
    t.equal((await bench.open()).recovered.tick, TIME + 5)
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

  law('who opened earlier is fenced off', async (t, bench) => {
    const one = await bench.open()
    await one.commit([1])
    await bench.harness.abandon(one.pipeline)
    const two = await bench.open()
    await two.commit([2])
    await t.rejects(one.commit([3]), { code: 'store/fenced' })
    t.ok(await one.commit([3]).catch(error => error instanceof MillraceError))
    await two.commit([4])
    t.strictSame(await bench.values(), [1, 2, 4])
  })

  law('a delivery is leased once, and again when the lease is over', async (t, bench) => {
    const one = await bench.open()
    await one.commit([1], { alerts: [alert('a', ['x', 'y']), alert('b', ['x'])] })
    const now = Date.now() + 1000
    const [first, second] = [await one.store.due(2, now), await one.store.due(10, now)]
    t.strictSame([...first, ...second].map(e => `${e.event.id} ${e.receiver} ${e.attempts}`).toSorted(), ['a.firing x 0', 'a.firing y 0', 'b.firing x 0'])
    t.equal(first.length, 2)
    t.strictSame(first[0].event, alert(first[0].event.incident).event, 'an event comes back as it was given')
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

  law('a delivery that was not settled is not lost', async (t, bench) => {
    const one = await bench.open()
    await one.commit([1], { alerts: [alert('a', ['x'])] })
    const now = Date.now() + 1000
    await one.store.due(10, now)
    await one.store.close()
    const two = await bench.open()
    t.strictSame((await two.store.due(10, now + 61_000)).map(e => e.event.id), ['a.firing'])
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

  law('two pipelines do not see each other', async (t, bench) => {
    const one = await bench.open('one', 'ones'), two = await bench.open('two', 'twos')
    await one.commit([1], { alerts: [alert('a')] })
    await two.commit([7, 8])
    t.strictSame(await two.store.due(10, Date.now() + 1000), [])
    t.strictSame((await one.store.due(10, Date.now() + 1000)).map(e => e.event.pipeline), ['p'])
    await one.store.close()
    await two.store.close()
    t.equal((await bench.open('one', 'ones')).recovered.version, 1)
    t.equal((await bench.open('two', 'twos')).recovered.position, 2)
  })
}
