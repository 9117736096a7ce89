/** What a log has, as the past of a pipeline. */
import t from 'tap'
import type { PastRecord } from '../../engine/history.ts'
import { readingsOf } from '../../engine/log-past.ts'
import { open, temporary } from '../support/journal.ts'

t.test('readings from the oldest record up to a position, that one too, in the order and with the time of their arrival', async t => {
  const { journal, ear } = await open(t, temporary(t)), at: number[] = []
  for (let k = 0; k < 9; k++) {
    at.push(ear.hear(String(k))!)
    journal.confirm('me', 0)         // a record that is no message
    await journal.wal.flush()
  }
  const values = async (upTo: number, from?: number) => {
    const found: PastRecord[] = []
    for await (const some of readingsOf(journal, upTo, { ahead: 0, from, maxSeries: 10 })) found.push(...some)
    t.ok(found.every(({ at }, i) => i === 0 || at >= found[i - 1].at))
    return found.flatMap(({ readings }) => readings!.map(r => r.value))
  }
  t.strictSame(await values(at[4]), [0, 1, 2, 3, 4])
  t.strictSame(await values(at[4] + 1), [0, 1, 2, 3, 4])
  t.strictSame(await values(at[0]), [0])
  t.strictSame(await values(journal.wal.durable), [0, 1, 2, 3, 4, 5, 6, 7, 8])
  t.strictSame(await values(journal.wal.durable, Infinity), [], 'of no event time')
})
