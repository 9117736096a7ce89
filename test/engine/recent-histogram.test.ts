import t from 'tap'
import { RecentHistogram } from '../../engine/recent-histogram.ts'

t.test('percentiles are of the last one to two minutes, and of all when that is asked for', t => {
  let now = 5000
  const recent = new RecentHistogram(() => now)
  const at = (time: number, value: number, n = 1) => {
    now = time
    recent.turn()
    for (let i = 0; i < n; i++) recent.record(value)
  }
  t.equal(recent.percentile(99), 0, 'nothing yet')
  at(5000, 10, 90)
  t.equal(recent.percentile(50), 10)
  at(64_999, 100, 30)
  t.equal(recent.percentile(50), 10, 'the same minute')
  at(65_000, 100, 30)
  t.equal(recent.percentile(50), 10, 'the minute before counts')
  at(124_999, 100, 1)
  t.equal(recent.percentile(1), 10)
  now = 125_000
  t.equal(recent.percentile(1), 100, 'and then does not')
  t.equal(recent.ever(50), 10, 'but ever')
  now = 185_000
  t.equal(recent.percentile(99), 0)
  at(185_000, 20, 1)
  now = 10_000_000
  t.equal(recent.percentile(99), 0, 'what came before a long silence is not recent')
  t.strictSame([recent.count, recent.ever(1), recent.ever(100)], [152, 10, 100])
  at(10_000_001, -5)
  t.equal(recent.percentile(50), 1, 'a clock that is behind')
  t.end()
})

t.test('what is rounded is so to 1 %', t => {
  const recent = new RecentHistogram(() => 0)
  for (const value of [12_345, 98_765_432.1]) {
    recent.record(value)
    t.ok(Math.abs(recent.percentile(100) / value - 1) < 0.01)
  }
  t.end()
})
