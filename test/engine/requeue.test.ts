import t from 'tap'
import { disk } from '../../engine/files.ts'
import { leaveRequests, readRequests } from '../../engine/requeue.ts'
import type { Letter } from '../../engine/store.ts'
import { quiet } from '../support/collect.ts'

const late = (part: number, branch: string, value: number, more: Partial<Letter> = {}): Letter => ({
  origin: 'log:a', position: 5, part, reason: 'late', detail: `${branch}/tumbling`, topic: 't/d/m',
  payload: Buffer.from(JSON.stringify({ tenant: 't', device: 'd', metric: 'm', time: 1000, value })), ingest: 2000, requeued: false, ...more
})

void t.test('a reading that was late in several branches and pipelines is given back once; another one of its message too', async t => {
  const folder = t.testdir()
  t.equal((await leaveRequests(folder, [late(0, 'a', 1), late(1, 'b', 1), late(2, 'b', 2)])).size, 0)
  await leaveRequests(folder, [late(0, 'x', 2), late(1, 'x', 3)])          // another pipeline on the same log counts on its own
  const requests = await readRequests(disk, folder, quiet().log)
  t.strictSame(requests.map(r => r.message.reading?.value).toSorted((a, b) => Number(a) - Number(b)), [1, 2, 3])
  t.equal(new Set(requests.map(r => r.key)).size, 3)
  await leaveRequests(folder, [late(0, 'a', 1, { origin: 'log:b' })])
  t.equal((await readRequests(disk, folder, quiet().log)).length, 4, 'of another log')
})
