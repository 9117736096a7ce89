import t from 'tap'
import { kinds } from '../../models/naming.ts'
import { fault } from '../../operators/fault.ts'
import { bench, rowsOf, type Given } from './table.ts'

/** What a row says: hygiene, its rate, whether anomaly alarms and by which signal, whether peers do, how far from what the others let expect, and evidence that these disagree without it. */
type Said = readonly [series: string, hygiene: number, spike: number, rate: number, anomaly: number, signal: number, peers: number, deviation?: number, rest?: number]
const columns = ['hygiene', 'hygiene_spike', 'hygiene_rate', 'anomaly_alarm', 'anomaly_signal', 'peers_alarm', 'peers_deviation', 'peers_rest'] as const
const calm = (series: string): Said => [series, 0, 0, 0, 0, 0, 0]

/** One operator; rows go in, [name, readings] come out. */
function open () {
  const b = bench(fault())
  let at = 0
  return {
    restart: () => { b.restart() },
    give (rows: readonly Said[]) {
      const batch = b.batch(rows.map(([series]): Given => [at++, series, 1])).with(Object.fromEntries(columns.map((name, k) => [name, Float64Array.from(rows, row => (row[k + 1] ?? NaN) as number)])))
      return rowsOf(b.stage.process(batch), b.table).map(r => [r.fault === 0 ? undefined : kinds[r.fault as number - 1], r.fault_readings])
    }
  }
}

t.test('each of the three is heard, and each series by itself', async t => {
  t.strictSame(open().give([calm('a/x'), ['a/x', 1, 0, 0, 0, 0, 0], calm('a/x')]), [[undefined, 0], ['stuck', 1], ['stuck', 2]])
  t.strictSame(open().give([['a/x', 0, 0, 0, 0, 0, 1], calm('b/x'), ['b/x', 4, 0, 16, 0, 0, 0], calm('a/x'), calm('b/x')]), [['drift', 1], [undefined, 0], ['shift', 1], ['drift', 2], ['shift', 2]])
  t.strictSame(open().give([['a/x', 0, 0, 0, 1, 7, 0]]), [['noise', 1]])
  t.strictSame(open().give([['a/x', 0, 0, 0, 0, 7, 0]]), [[undefined, 0]], 'a signal without an alarm is none')
})

t.test('unusual changes that are no alarm of their own make noise of an event', async t => {
  t.strictSame(open().give([['a/x', 4, 0, 16, 0, 0, 0], ...Array.from({ length: 8 }, (): Said => ['a/x', 0, 0, 3, 0, 0, 0])]).at(-1), ['noise', 9])
})

t.test('a spike that began an event is one, although hygiene is not sure of it', async t => {
  t.strictSame(open().give([['a/x', 0, 0, 0, 1, 1, 0], ['a/x', 0, 4, 0, 0, 0, 0]]), [['shift', 1], ['spike', 2]])
})

t.test('where detectors have nothing to say yet, nothing is wrong', async t => {
  t.strictSame(open().give([['a/x', NaN, NaN, NaN, NaN, NaN, NaN]]), [[undefined, 0]])
})

/** An alarm of peers: how far it is, and evidence that the others disagree without it. */
const left = (series: string, deviation: number, rest: number): Said => [series, 0, 0, 0, 0, 0, 1, deviation, rest]
const names = (rows: readonly Said[]) => open().give(rows).map(([kind]) => kind)

t.test('of metrics that disagree the one is named that disagrees most, as long as the others agree without it', async t => {
  t.strictSame(names([left('a/x', -6, 0.5), left('a/y', 4, 5), left('a/z', 3, 5), left('a/x', -6, 0.5)]), ['drift', undefined, undefined, 'drift'])
  t.strictSame(names([left('a/y', 4, 1), left('a/x', 6, 0.5), left('a/y', -7, 1)]), ['drift', 'drift', 'drift'], 'who comes first, and who turns out to be farther')
  t.strictSame(names([left('a/x', 6, 4), left('a/y', 4, 5)]), ['drift', 'drift'], 'none explains the others: each may be wrong')
  t.strictSame(names([left('a/x', 6, NaN), left('a/y', 6, NaN)]), ['drift', 'drift'], 'of two metrics it is not to be known which is wrong')
  t.strictSame(names([left('a/x', 6, 0.5), left('b/y', 4, 5)]), ['drift', 'drift'], 'another device')
})

t.test('a metric that another explains is still named by what hygiene and anomaly say of it', async t => {
  t.strictSame(names([left('a/x', 6, 0.5), ['a/y', 1, 0, 0, 0, 0, 1, 4, 5], ['a/z', 0, 0, 0, 1, 7, 1, 4, 5]]), ['drift', 'stuck', 'noise'])
  t.strictSame(open().give([['a/y', 4, 0, 16, 0, 0, 0, 1, 0], left('a/x', 6, 0.5), ...Array.from({ length: 100 }, () => left('a/y', 4, 5))]).at(-1), [undefined, 0], 'and its event is over, whatever peers says meanwhile')
})

t.test('a metric that is judged no more explains nothing behind a hundred readings of each', async t => {
  const silent = (n: number): Said[] => Array.from({ length: n }, () => ['a/x', 0, 0, 0, 0, 0, 0, NaN, NaN])
  t.equal(names([left('a/x', 6, 0.5), calm('a/y'), ...silent(198), left('a/y', 4, 5)]).at(-1), undefined)
  t.equal(names([left('a/x', 6, 0.5), calm('a/y'), ...silent(199), left('a/y', 4, 5)]).at(-1), 'drift')
})

t.test('an event goes on behind a snapshot, and ends after a hundred readings without an alarm', async t => {
  const one = open()
  one.give([['a/x', 0, 0, 0, 0, 0, 1, 6, 0.5]])
  one.restart()
  t.strictSame(one.give([left('a/y', 4, 5)]), [[undefined, 0]], 'what explains it is remembered')
  const out = one.give(Array.from({ length: 101 }, () => calm('a/x')))
  t.strictSame([out[0], out[98], out[99], out[100]], [['drift', 2], ['drift', 100], [undefined, 0], [undefined, 0]])
})
