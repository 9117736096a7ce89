import t from 'tap'
import { cross, find, hasSeveral, hasStayed, isOnTheWay, isUsual, leave, meet, ratio, regime } from '../../models/regime.ts'
import { first, pair, second } from '../../models/halves.ts'

const AT = 3
const fresh = () => Float64Array.from([7, 7, 7, ...Object.values(regime), 7])
const here = (level: number, size = 0.1) => ({ level, size, error: size / 2 })
const placed = (m: Float64Array, value: number) => find(m, AT, value, 0.1)

t.test('an excursion is usual when it has been met three times, and only around its level', async t => {
  const m = fresh()
  for (const value of [0, 0.5]) {
    meet(m, AT, value, 0.1)
    t.notOk(isUsual(m, AT, placed(m, 0)))
  }
  meet(m, AT, 0.2, 0.1)
  t.ok(isUsual(m, AT, placed(m, 0)) && placed(m, 0.9) >= 0 && placed(m, 1.1) === -1)
  t.notOk(hasStayed(m, AT, placed(m, 0)) || hasSeveral(m, AT))
  t.strictSame([...m.subarray(0, AT), m.at(-1)], [7, 7, 7, 7])
})

t.test('where a series goes is as it was there; what it begins with is usual, what it left early is not', async t => {
  for (const early of [false, true]) {
    const m = fresh()
    t.equal(leave(m, AT, -1, here(20), early), undefined)
    const k = placed(m, 20)
    t.ok(hasStayed(m, AT, k) && hasSeveral(m, AT) && isUsual(m, AT, k) === !early)
    const there = leave(m, AT, k, here(0, 0.01), false)!
    t.ok(there.level === 20 && Math.abs(there.size - 0.1) < 1e-7 && Math.abs(there.error - 0.05) < 1e-7)
    t.ok(placed(m, 20) === -1 && placed(m, 0) === k && !isUsual(m, AT, k))
  }
})

t.test('a level that comes again and again stays, whatever else comes', async t => {
  const m = fresh()
  for (let i = 0; i < 500; i++) meet(m, AT, i % 3 === 0 ? 0 : 100 + 17 * i, 0.1)
  t.ok(isUsual(m, AT, placed(m, 0)))
  for (let i = 0; i < 500; i++) meet(m, AT, -100 - 17 * i, 0.1)
  t.equal(placed(m, -100 - 17 * 499) >= 0, true, 'and one that comes no more does not keep others out')
})

t.test('on the way is only between where a series is and a usual regime, once that is usual', async t => {
  const m = fresh()
  for (let i = 0; i < 3; i++) {
    meet(m, AT, 0, 0.1)
    t.notOk(isOnTheWay(m, AT, 10, 20))
    cross(m, AT)
  }
  t.strictSame([10, 1, 19, 21, -1].map(x => isOnTheWay(m, AT, x, 20)), [true, true, true, false, false])
})

t.test('a ratio of sizes and back is none, also with a size of 0, which counts as a thousandth', async t => {
  t.equal(ratio(0.1, 0), 1000)
  for (const [a, b] of [[0.1, 0.01], [0.1, 0], [1e-9, 5], [0, 0]]) t.ok(Math.abs(ratio(a, b) * ratio(b, a) - 1) < 1e-12, `${a}, ${b}`)
})

t.test('a pair gives back what went in, to 7 digits, and is a number whatever that was', async t => {
  for (const a of [0, 0.1, -1, 1e30, 1e100, -1e300, 5e-324]) {
    for (const b of [0, -0.1, 3e38, 1e200, -2]) {
      const both = Float64Array.of(pair(a, b))[0], near = (x: number, y: number) => Math.abs(x - y) <= 1e-7 * Math.abs(y)
      t.ok(Number.isFinite(both) && near(first(both), Math.max(-3e38, Math.min(a, 3e38))) || Math.abs(a) < 1e-38, `${a}`)
      t.ok(near(second(both), Math.max(-3e38, Math.min(b, 3e38))), `${b}`)
    }
  }
})
