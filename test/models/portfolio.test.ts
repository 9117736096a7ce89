import t from 'tap'
import { portfolio, Portfolio } from '../../models/portfolio.ts'
import { uniform } from './random.ts'

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
