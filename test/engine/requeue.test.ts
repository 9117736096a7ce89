import t from 'tap'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Letter } from '../../engine/store.ts'
import { disk } from '../../engine/files.ts'
import { leaveRequests, readRequests } from '../../engine/requeue.ts'
import { quiet } from '../support/collect.ts'

const letter = (more: Partial<Letter>, reading: object): Letter =>
  ({ origin: 'log:a', position: 7, part: 0, reason: 'late', detail: 'w/tumbling', topic: 't/d/m', payload: Buffer.from(JSON.stringify(reading)), ingest: 1000, requeued: false, ...more })

t.test('a reading that was late in several branches is read again once, and others of its message too', async t => {
  const folder = t.testdir(), reading = { tenant: 't', device: 'd', metric: 'm', time: 500, value: 1 }
  const refused = await leaveRequests(folder, [
    letter({}, reading), letter({ part: 1, detail: 'v/session' }, reading), letter({ part: 2 }, { ...reading, value: 2 }), letter({ part: 3 }, { ...reading, metric: 'n' }), letter({ position: 8 }, reading)
  ])
  t.equal(refused.size, 0)
  const requests = await readRequests(disk, folder, quiet().log)
  t.strictSame(requests.map(r => `${r.client.split('/')[1]} ${r.message.reading!.metric} ${r.message.reading!.value}`).toSorted(), ['7 m 1', '7 m 2', '7 n 1', '8 m 1'])
  t.equal(readdirSync(join(folder, 'requeue')).length, 4)
  await leaveRequests(folder, [letter({}, reading)])
  const again = await readRequests(disk, folder, quiet().log)
  t.equal(again.length, 4)
  t.equal(again.filter(r => requests.every(before => before.client !== r.client)).length, 1, 'left again it is another request, also when the log still knows the one before')
})

t.test('a row of a window cannot be read again', async t => {
  const row = letter({ reason: 'operator_failed' }, { tenant: 't', device: 'd', metric: 'm', time: 500, value: 1, revision: 0, max: 3 })
  t.strictSame([...await leaveRequests(t.testdir(), [row])], [[row, 'it is a row of a window']])
})

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
  t.equal(new Set(requests.map(r => r.client)).size, 3)
  await leaveRequests(folder, [late(0, 'a', 1, { origin: 'log:b' })])
  t.equal((await readRequests(disk, folder, quiet().log)).length, 4, 'of another log')
})
