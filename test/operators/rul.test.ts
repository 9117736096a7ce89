import t from 'tap'
import { key, normal } from '../../models/random.ts'
import { rul } from '../../operators/rul.ts'
import { each, through, type Got } from './table.ts'

const wear = (n: number, rate: number, seed: number) => { let x = 0; return Array.from({ length: n }, (_, i) => x += rate + 0.5 * normal(key(seed), i)) }
const times = ['rul_p10', 'rul_p50', 'rul_p90'] as const

t.test('a straight line reaches the threshold when it does', async t => {
  const out = through(rul({ above: 100, over: '100d' }), each(Array.from({ length: 60 }, (_, i) => i)))
  t.ok(times.every(column => Number.isNaN(out[28][column])) && out[28].rul_learned === 29)
  for (const [i, r] of out.slice(29).entries()) for (const column of times) t.ok(Math.abs(r[column] as number - (71 - i)) < 0.5, `${r.at}: ${column} ${r[column]}`)
  t.equal(out[59].rul_rate, 1)
})

t.test('falling to a threshold is the same mirrored', async t => {
  const values = wear(200, 0.4, 1)
  const rising = through(rul({ above: 150 }), each(values)), falling = through(rul({ below: -150 }), each(values.map(x => -x)))
  t.strictSame(falling.map(r => times.map(c => r[c])), rising.map(r => times.map(c => r[c])))
  t.ok(rising.slice(100).every(r => r.rul_p10 as number > 0 && r.rul_p10 < r.rul_p50 && r.rul_p50 < r.rul_p90))
})

t.test('is silent where there is no trend, and where it leads away', async t => {
  let spoken = 0
  for (let seed = 0; seed < 100; seed++) if (!Number.isNaN(through(rul({ above: 20 }), each(wear(200, 0, 10 + seed)))[199].rul_p50)) spoken++
  t.ok(spoken <= 9, `${spoken} of 100 that only wander`)
  t.ok(through(rul({ above: 20 }), each(wear(200, -0.5, 2))).every(r => Number.isNaN(r.rul_p50)))
})

t.test('is 0 once the threshold is reached', async t => {
  t.strictSame(times.map(c => through(rul({ above: 20 }), each(wear(200, 0.5, 3)))[199][c]), [0, 0, 0])
})

t.test('one noisy reading beyond the threshold does not reach it, and one short of it when it is reached does not take that back', async t => {
  const zeros = (below: number, above: number, out: readonly Got[]) => out.slice(below, above).filter(r => r.rul_p50 === 0).length
  let early = 0, back = 0, beyond = 0
  for (let seed = 30; seed < 50; seed++) {
    const values = Array.from({ length: 400 }, (_, i) => 0.5 * i + 10 * normal(key(seed), i)), out = through(rul({ above: 150, over: '100d' }), each(values))      // reached at 300
    beyond += values.slice(200, 280).filter(x => x >= 150).length
    early += zeros(200, 280, out)
    back += 80 - zeros(320, 400, out)
  }
  t.ok(beyond > 20 && early === 0 && back <= 3, `${beyond} readings beyond, ${early} times 0 before, ${back} times not 0 after`)
})

t.test('a reading without a value or not later than the last has no times and teaches nothing', async t => {
  const values = wear(100, 0.5, 4), clean = through(rul({ above: 200 }), each(values))
  const dirty = through(rul({ above: 200 }), each(values).flatMap(([s, name, x], i) => i === 50 ? [[s, name, x], [s, name, 999], [s - 3, name, 999], [s, name, NaN], [s + 0.5, name, 1e200]] as const : [[s, name, x]] as const))
  t.ok(dirty.slice(51, 55).every(r => times.every(c => Number.isNaN(r[c]))))
  t.strictSame(dirty.at(-1), clean.at(-1))
})

t.test('one wild reading, whenever it comes, makes it neither silent nor less sure, and reaches no threshold', async t => {
  const width = (r: Got) => (r.rul_p90 as number) - (r.rul_p10 as number), values = wear(600, 0.5, 5), clean = through(rul({ above: 600 }), each(values))
  for (const when of [0, 1, 7, 12, 40, 300]) {
    for (const wild of [-9999, 85 + values[when], 65535, 3.4e38]) {
      const out = through(rul({ above: 600 }), each(values.map((x, i) => i === when ? wild : x)))
      if (when > 7) t.ok(times.every(c => Number.isNaN(out[when][c])), `${wild} at ${when}: ${out[when].rul_p50}`)
      for (const i of [when + 100, when + 290]) t.ok(Math.abs(width(out[i]) / width(clean[i]) - 1) < 0.1, `${wild} at ${when}: ${width(out[i])} at ${i}, not ${width(clean[i])}`)
    }
  }
})

t.test('says what is wrong with its options', async t => {
  t.throws(() => rul({}), { message: /give either above or below/ })
  t.throws(() => rul({ above: 1, below: 2 }), { message: /give either above or below/ })
  t.throws(() => rul({ above: 1, over: '0s' }), { message: /over must be longer/ })
})
