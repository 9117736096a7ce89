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

t.test('the next snapshot begins when working out again would take 0.5 s, 2 s when snapshots are large', async t => {
  for (const [bytes, most] of [[0, 500], [MiB, 500], [6 * MiB, 900], [100 * MiB, 2000]]) {
    const checkpoints = after(bytes)
    checkpoints.did(most, 0, 0)
    t.notOk(checkpoints.due(false), `${bytes} bytes, ${most} ms`)
    checkpoints.did(0, 0, 1)
    t.ok(checkpoints.due(false), `${bytes} bytes, more than ${most} ms`)
  }
})

t.test('reading again counts too: by message and by reading', async t => {
  const checkpoints = after(0)
  checkpoints.did(0, 50_000, 50_000)
  t.notOk(checkpoints.due(false), '475 ms')
  checkpoints.did(0, 3000, 3000)
  t.ok(checkpoints.due(false), '503.5 ms')
})
