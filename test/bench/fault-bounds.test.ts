/** Verdicts by how long something takes, in the check too, where the machine has other work and bounds are stretched. */
import t from 'tap'
import { waits } from '../../bench/faults/quota.ts'
import { delayed } from '../../bench/faults/tarpits.ts'

t.test('N7: good receivers that wait for ill ones fail the row, however slow they were when all were well', t => {
  t.strictSame(delayed({ well: 100, ill: 110, alone: 40 }, 1).wrong, [])
  t.strictSame(delayed({ well: 2848, ill: 534, alone: 124 }, 4).wrong, [], 'as on a busy machine')
  t.match(delayed({ well: 100, ill: 130, alone: 100 }, 1).wrong, [/1.3 times as long beside/])
  t.match(delayed({ well: 2848, ill: 3000, alone: 400 }, 4).wrong, [/wait 3000 ms/])
  t.match(delayed({ well: 900, ill: 800, alone: 20 }, 4).wrong, [/40 times as long as alone/])
  t.strictSame(delayed({ well: 60, ill: 70, alone: 5 }, 4).wrong, [], 'a few ms are not many times fewer')
  t.end()
})

t.test('P5: a tenant within its quota waits half a second at the most', t => {
  const all = (ms: number) => Array.from({ length: 100 }, () => ms)
  t.strictSame(waits(all(20), all(30), 1).wrong, [])
  t.match(waits(all(20), all(40), 1).wrong, [/40000 us instead of 20000/])
  t.strictSame(waits(all(70), all(92), 4).wrong, [], 'as on a busy machine')
  t.match(waits(all(200), all(700), 4).wrong, [/700000 us/])
  t.end()
})
