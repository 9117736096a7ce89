import t from 'tap'
import { Checkpoints } from '../../engine/checkpoint.ts'
import type { Flow } from '../../engine/flow.ts'
import type { Recovered } from '../../engine/store.ts'

const MiB = 2 ** 20
const recovered = { snapshots: [] } as unknown as Recovered

/** Checkpoints that have completed a snapshot of so many bytes. */
function after (bytes: number): Checkpoints {
  const snapshots = { begin: () => 1, layout: [], advance () {}, take: () => [{ data: Buffer.alloc(bytes) }], left: 0 }
  const checkpoints = new Checkpoints({ position: 1, snapshots } as unknown as Flow, recovered)
  checkpoints.begin(0, 'here')
  t.equal(checkpoints.committed(checkpoints.part(), 0), 1)
  return checkpoints
}

t.test('what lies behind the older of two snapshots is not needed any more, when both count in one log', async t => {
  const flow = { position: 1, snapshots: { begin: () => 1, layout: [], advance () {}, take: () => [], left: 0 } }
  const checkpoints = new Checkpoints(flow as unknown as Flow, recovered)
  const next = (position: number, origin: string) => {
    flow.position = position
    checkpoints.begin(0, origin)
    return checkpoints.committed(checkpoints.part(), 0)
  }
  t.strictSame([next(1, 'a'), next(5, 'a'), next(9, 'a'), next(2, 'b'), next(4, 'b')], [1, 1, 5, undefined, 2])
})

t.test('the next snapshot begins when working out again would take 0.5 s, 2 s when snapshots are large, more when they are very large', async t => {
  for (const [bytes, most] of [[0, 500], [MiB, 500], [6 * MiB, 900], [100 * MiB, 2000], [200 * MiB, 3000]]) {
    const checkpoints = after(bytes)
    checkpoints.did(most, 0, 0)
    t.notOk(checkpoints.due(false), `${bytes} bytes, ${most} ms`)
    checkpoints.did(0, 0, 1)
    t.ok(checkpoints.due(false), `${bytes} bytes, more than ${most} ms`)
  }
})

t.test('reading again counts too: by message and by reading', async t => {
  const checkpoints = after(0)
  checkpoints.did(0, 40_000, 60_000)
  t.notOk(checkpoints.due(false), '490 ms')
  checkpoints.did(0, 1000, 1000)
  t.ok(checkpoints.due(false), '501.5 ms')
})

t.test('how long it has taken once is what the next estimate goes by', async t => {
  const checkpoints = after(0)
  checkpoints.did(100, 0, 0)
  checkpoints.again(400)             // the source is slow to read
  checkpoints.did(20, 0, 0)
  t.notOk(checkpoints.due(false), '480 ms')
  checkpoints.did(6, 0, 0)
  t.ok(checkpoints.due(false), '504 ms')
  const held = after(0)
  held.did(60, 0, 0)
  held.again(300_000)                // the server was away meanwhile
  held.did(30, 0, 0)
  t.notOk(held.due(false), '450 ms')
  const quick = after(0)
  quick.did(100, 0, 0)
  quick.again(60)
  quick.did(390, 0, 0)
  t.notOk(quick.due(false), 'never less than thought')
})

t.test('a snapshot that was given up is begun again as soon as possible, and nothing of it becomes the one to recover from', async t => {
  const snapshots = { begin: () => 1, layout: [], advance () {}, take: () => [], left: 0, isGivenUp: false }
  const checkpoints = new Checkpoints({ position: 1, snapshots } as unknown as Flow, recovered)
  checkpoints.begin(0, 'here')
  snapshots.isGivenUp = true
  const part = checkpoints.part()
  t.equal(part, undefined)
  t.equal(checkpoints.committed(part, 0), undefined)
  t.notOk(checkpoints.isUnderWay)
  t.ok(checkpoints.due(false))
})
