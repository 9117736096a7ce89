import t from 'tap'
import { portfolio, Portfolio } from '../../models/portfolio.ts'
import { places } from '../../models/portfolio-memory.ts'
import { TAIL } from '../../models/tail.ts'
import { normal, uniform } from './random.ts'

const names = Object.keys(portfolio), isUnknown = (name: string) => /^season_(?:hour|mean\d+)$/.test(name)

const u = uniform(5)
const wild: Record<string, (i: number) => number> = {
  'two values': i => i % 2 === 0 ? 1e308 : -1e308,
  'one in 97': i => i % 97 === 0 ? 1.7e308 : u(),
  'thirty at a time': i => i % 500 < 30 ? -1.7e308 : u(),
  'at first': i => i < 100 ? 1e308 * (u() - 0.5) : u(),
  'all sizes': () => (u() - 0.5) * 10 ** (616 * u() - 308),
  'among the smallest': i => i % 50 === 0 ? 1e308 : 5e-324 * (i % 3),
  'two levels': i => i % 400 < 200 ? 1e308 : -1e308,
  'half a day': i => (i % 288 < 144 ? 1e308 : 3) + u(),
  'growing': i => 10 ** Math.min(i / 20, 308)
}

t.test('no value, however large, leaves a number in the memory that is none', async t => {
  for (const [kind, valueAt] of Object.entries(wild)) {
    const m = Float64Array.from(Object.values(portfolio)), model = new Portfolio(), bad = new Set<string>()
    for (let i = 0; i < 5000; i++) {
      model.read(valueAt(i), i * 300_000)
      if (i > 0) model.score(m, 0)
      model.alarm(m, 0, 1, 604_800_000)
      model.learn(m, 0)
      for (let k = 0; k < m.length; k++) if (!Number.isFinite(m[k]) && !(isUnknown(names[k]) && Number.isNaN(m[k])) && !(names[k].endsWith('threshold') && m[k] === Infinity)) bad.add(names[k])
      if (!Number.isFinite(model.evidence)) bad.add('evidence')
    }
    t.strictSame([...bad], [], kind)
  }
})

t.test('what is written out for usual readings learns what is learned of unusual ones, to the last bit', async t => {
  const { CHANGE, FAST, FAST_MEAN, JUMP, N, START, TAILS } = places, z = normal(3)
  const valueAt = (i: number): number => (i % 288 < 144 ? 10 : 0) + (i % 5000 === 4000 ? 500 : 0) + (i > 9000 && i < 9040 ? 30 : 0) + z()
  const m = Float64Array.from(Object.values(portfolio)), other = m.slice(), model = new Portfolio(), general = new Portfolio()
  let usual = 0, seasonal = 0, wrong = 0
  for (let i = 0; i < 15_000; i++) {
    const value = valueAt(i)
    for (const [one, memory] of [[model, m], [general, other]] as const) {
      one.read(value, i * 300_000)
      one.score(memory, 0)
    }
    const { x, unusual, doubted } = model, scored = m[N] >= START, before = { fast: m[FAST_MEAN], change: m[CHANGE] }
    if (scored && unusual !== x.some((number, k) => number > m[TAILS + k * TAIL])) wrong++
    if (scored && !unusual) usual++
    if (scored && model.seasonal) seasonal++
    general.unusual = true
    model.learn(m, 0)
    general.learn(other, 0)
    if (scored && !doubted && (m[FAST_MEAN] !== before.fast + (value - before.fast) / FAST || m[CHANGE] !== before.change + (x[JUMP] - before.change) / FAST)) wrong++
    for (let k = 0; k < m.length; k++) if (!Object.is(m[k], other[k])) wrong++
  }
  t.equal(wrong, 0)
  t.ok(usual > 10_000 && usual < 14_900 && seasonal > 10_000, `${usual} usual, ${seasonal} with a season`)
})
