import t from 'tap'
import { zscore } from '../../operators/zscore.ts'
import { bench, each, through, type Given } from './table.ts'

const wave = (n: number) => Array.from({ length: n }, (_, i) => 20 + Math.sin(i) + Math.cos(i * 1.7))
const times = (n: number, value: number) => Array.from({ length: n }, () => value)
const scores = (values: readonly number[], options: Parameters<typeof zscore>[0] = {}) => through(zscore(options), each(values)).map(r => r.zscore as number)

t.test('says nothing until it has learned, and nothing about missing values', async t => {
  const z = scores([...wave(30), NaN, 20])
  t.ok(z.slice(0, 31).every(Number.isNaN))
  t.ok(Math.abs(z[31]) < 1)
})

t.test('scores first and learns afterwards: the first reading of a fault stands out, and hides nothing after it', async t => {
  const z = scores([...wave(200), 60, 60, ...wave(10)])
  t.ok(z[200] > 20 && z[201] > 20, `${z[200]} ${z[201]}`)
  t.ok(Math.max(...z.slice(30, 200).map(Math.abs)) < 3)
  t.ok(Math.max(...z.slice(202).map(Math.abs)) < 3)
})

t.test('a series that never varied gives 0 for its value and the limit for any other', async t => {
  t.strictSame(scores([...times(30, 5), 5, 5.1, 4]).slice(30, 32), [0, 1000])
  t.strictSame(scores([...times(30, 5), -7]).slice(30), [-1000])
})

t.test('with a floor, noise below the resolution is nothing unusual', async t => {
  t.strictSame(scores([...times(30, 5), 5.5], { floor: 0.5 }).slice(30), [1])
})

t.test('how batches are sampled in time does not matter, how long ago they are does', async t => {
  const slow = (every: number): Given[] => [...wave(100), ...times(100, 40), 20].map((value, i) => [i * every, 'a/x', value])
  const last = (every: number) => through(zscore({ over: '10m' }), slow(every)).at(-1)!.zscore as number
  t.ok(last(0.01) > -3, 'within a second 20 is as common as 40')
  t.ok(last(60) < -4, 'after 100 minutes 20 is long forgotten')
})

t.test('series learn on their own', async t => {
  const b = bench(zscore({ samples: 2 }))
  b.give([[0, 'a/x', 1], [0, 'b/x', 100], [1, 'a/x', 2], [1, 'b/x', 200]])
  const [a, c] = b.give([[2, 'a/x', 1.5], [2, 'b/x', 150]])
  t.equal(a.zscore, 0)
  t.equal(c.zscore, 0)
})
