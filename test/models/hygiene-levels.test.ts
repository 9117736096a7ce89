import t from 'tap'
import { Finding } from '../../models/hygiene-finding.ts'
import { Levels, levels, LEVELS_WIDTH } from '../../models/hygiene-levels.ts'
import { normal } from './random.ts'

/** A series; `stay` gives noise about a level, the first value by a change that is not believed, and says whether that was a switch. */
function open () {
  const m = Float64Array.from(Object.values(levels)), model = new Levels(), z = normal(3)
  let before = 50
  const give = (value: number, jumped: boolean) => {
    const is = jumped && model.isSwitch(m, 0, before, value)
    model.learn(m, 0, value, jumped)
    before = value
    return is
  }
  const stay = (level: number, n: number, noise = 1) => Array.from({ length: n }, (_, i) => give(level + noise * z(), i === 0))[0]
  return { m, give, stay }
}

t.test('a level at which a series has stayed twice is one that it is switched to, from then on and from wherever it comes', async t => {
  const { stay, give } = open()
  t.strictSame([stay(0, 300, 0), stay(50, 300), stay(0, 300, 0), stay(50, 300)], [false, false, false, false])
  t.strictSame([stay(0, 300, 0), stay(50, 300), stay(0, 300, 0), stay(50, 300)], [true, true, true, true])
  t.equal(stay(70, 5), false, 'where it never was')
  t.ok(give(50.5, true), 'and back')
})

t.test('what does not stay is no level: a hundred readings at least', async t => {
  const short = open(), long = open()
  for (let i = 0; i < 20; i++) t.notOk(short.stay(0, 99, 0) && i > 0)
  for (let i = 0; i < 2; i++) { long.stay(0, 100, 0); long.stay(50, 100) }
  t.ok(long.stay(0, 100, 0))
})

t.test('a jump within a level is none between two', async t => {
  const { stay, give } = open()
  for (let i = 0; i < 4; i++) { stay(0, 300, 0); stay(50, 300) }
  t.notOk(give(47, true))
  t.notOk(give(53, true))
})

t.test('a level that is come to by way of what is near it is the same level', async t => {
  const { m, stay, give } = open()
  for (let i = 0; i < 3; i++) { stay(0, 300); stay(50, 300) }
  for (let i = 0; i < 3; i++) {
    give(10, true)
    for (let n = 0; n < 300; n++) give(n % 2 === 0 ? 0.5 : -0.5, false)
    t.ok(Math.abs(m[5]) < 1 && m[7] === 4 + i, 'it has come once more')
    t.ok(give(50, true))
    give(0, true)
  }
})

t.test('a spike a reading long drives out no level and ends no stay for good', async t => {
  const { stay, give } = open()
  for (let i = 0; i < 2; i++) { stay(0, 300, 0); stay(50, 300) }
  for (let i = 0; i < 50; i++) {
    t.notOk(give(1000 + 10 * i, true))
    give(50, true)
  }
  t.ok(stay(0, 300, 0))
})

t.test('a level goes with the series while it is there, and not with a slow way out of it', async t => {
  const { m, stay, give } = open(), value = () => m[5]
  for (let i = 0; i < 2; i++) { stay(0, 300, 0); stay(50, 300) }
  for (let i = 0; i < 20_000; i++) give(50 + 5 * i / 20_000, false)
  t.ok(value() > 52.5 && value() < 55, `${value()}`)
  const before = value()
  for (let i = 0; i < 1000; i++) give(80, false)
  t.equal(value(), before)
})

t.test('of a fourth level the one is forgotten that was not there for longest', async t => {
  const { stay } = open(), round = (...levels: number[]) => levels.map(level => stay(level, 200, 0))
  round(0, 100, 200, 0, 100, 200)
  t.strictSame(round(0, 100, 200), [true, true, true])
  round(300, 200, 300, 200)
  t.strictSame(round(300, 200, 100, 0), [true, true, true, false])
  t.equal(LEVELS_WIDTH, 14)
})

t.test('a switch that takes some readings is held back until it is there; what does not get there is told ten readings later', async t => {
  const known = () => {
    const { m, stay, give } = open(), model = new Levels(), told = new Finding()
    for (let i = 0; i < 3; i++) { stay(0, 300, 0); stay(50, 300) }
    let before = 50
    give(50, false)
    /** Values that are each led to by a change of evidence 9; what is told of each. */
    const go = (values: readonly number[], back = false) => values.map(value => {
      const jumped = Math.abs(value - before) > 4
      if (jumped) model.isSwitch(m, 0, before, value)
      told.say(jumped ? 9 : 0, value - before)
      model.holdBack(m, 0, before, value, jumped, back, told)
      model.learn(m, 0, value, jumped)
      before = value
      return told.evidence
    })
    return { go, told }
  }
  const held = Array.from({ length: 9 }, () => 47 - 12), quiet = (n: number) => Array.from({ length: n }, () => 0)
  t.strictSame(known().go([45, 30, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), quiet(13), 'there')
  t.strictSame(known().go([0, 48, 60, 50, 50]), quiet(5), 'what goes on behind a switch is part of it')
  const { go, told } = known()
  t.strictSame(go([35, ...held]), quiet(10))
  t.strictSame([...go([35]), told.size], [9, -15])
  t.strictSame(go([35]), [0])
  t.strictSame(known().go([65]), [9], 'away from any other level')
  t.strictSame(known().go([-65]), [9], 'beyond it')
  const spike = known()
  spike.go([20])
  t.strictSame([...spike.go([50], true), ...spike.go(Array.from({ length: 20 }, () => 50))], [9, ...quiet(20)], 'a spike is told as such')
  const twice = known()
  twice.go([35, 35, 35, 25])
  t.strictSame(twice.go(Array.from({ length: 7 }, () => 25)), [...quiet(6), 9], 'from the first change on')
})
