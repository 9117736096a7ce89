import t from 'tap'
import { inWords, aspects } from '../../models/comparison.ts'
import { key, normal, uniform } from '../../models/random.ts'
import { drift } from '../../operators/drift.ts'
import { each, inPieces, through, type Given, type Got } from './table.ts'

type Options = Parameters<typeof drift>[0]
const noise = (n: number, seed: number) => Array.from({ length: n }, (_, i) => 50 + 2 * normal(key(seed), i))
const rows = (values: readonly number[], options: Options = {}) => through(drift(options), each(values))
const small = { reference: 500, current: 200 }
const findings = ['drift', 'drift_psi', 'drift_ks', 'drift_js', 'drift_wasserstein', 'drift_p', 'drift_mean', 'drift_spread', 'drift_aspect']
const found = (out: readonly Got[]) => out.find(r => r.drift === 1)
const words = (r: Got | undefined) => r === undefined ? 'nothing' : inWords(aspects[r.drift_aspect as number], { shift: r.drift_mean as number, ratio: r.drift_spread as number, ks: r.drift_ks as number })

t.test('while it learns it says how far it is, and nothing else', async t => {
  const out = rows(noise(120, 1), { reference: 50, current: 50 })
  t.strictSame(out.map(r => r.drift_learned), Array.from({ length: 120 }, (_, i) => Math.min(i, 100)))
  t.ok(out.slice(0, 99).every(r => findings.every(c => Number.isNaN(r[c]))))
  t.ok(out.slice(99).every(r => findings.every(c => !Number.isNaN(r[c]))))
})

t.test('without drift there is none, and all measures are small', async t => {
  const out = rows(noise(5000, 2), small).slice(699)
  t.ok(out.every(r => r.drift === 0 && r.drift_aspect === 0 && r.drift_p as number > 0.001))
  t.ok(out.every(r => r.drift_psi as number < 0.2 && r.drift_ks as number < 0.2 && r.drift_wasserstein as number < 0.4 && r.drift_js as number < 0.2))
})

t.test('names the aspect that moved, and by how much', async t => {
  const after = (odd: (x: number, i: number) => number) => found(rows([...noise(1500, 3), ...noise(400, 4).map(odd)], small))
  const up = after(x => x + 2), down = after(x => x - 16), wide = after(x => 50 + 2.5 * (x - 50)), narrow = after(x => 50 + 0.3 * (x - 50))
  t.ok(Math.abs(up!.drift_mean as number - 1) < 0.25 && up!.drift_aspect === 1, words(up))
  t.ok(down!.drift_mean as number < -6 && down!.drift_aspect === 1, words(down))
  t.ok(Math.abs(wide!.drift_spread as number - 2.5) < 0.5 && wide!.drift_aspect === 2, words(wide))
  t.ok(Math.abs(narrow!.drift_spread as number - 0.3) < 0.1 && narrow!.drift_aspect === 2, words(narrow))
  const twice = after((_, i) => 50 + (uniform(key(5), i) < 0.5 ? 2 : -2) + 0.1 * normal(key(6), i))
  t.ok(twice!.drift_aspect === 3, words(twice))
  t.strictSame([words(up).slice(0, 8), words(down).slice(0, 10), words(wide).slice(0, 8), words(twice).slice(0, 9)], ['mean up ', 'mean down ', 'spread x', 'shape by '])
})

t.test('after drift it learns a new reference from what follows, and is silent on it', async t => {
  const out = rows([...noise(1500, 7), ...noise(3000, 8).map(x => x + 6)], small), at = out.findIndex(r => r.drift === 1)
  t.ok(at > 1500 && at < 1700, `${at}`)
  t.strictSame([out[at + 1].drift_learned, out[at + 1].drift], [0, NaN])
  t.ok(out.slice(at + 1).every(r => r.drift !== 1))
  t.equal(out[at + 700].drift, 0)
})

t.test('or keeps its reference, and says so for as long as it lasts', async t => {
  const out = rows([...noise(1500, 7), ...noise(1000, 8).map(x => x + 6), ...noise(1000, 9)], { ...small, after: 'keep' })
  t.ok(out.slice(1700, 2500).every(r => r.drift === 1))
  t.ok(out.slice(2700).every(r => r.drift === 0))
})

t.test('a difference below `effect` is none, however sure; one that is not sure is none, however large', async t => {
  const values = [...noise(4000, 10), ...noise(4000, 11).map(x => x + 0.6)], large = { reference: 4000, current: 4000 }
  const [last] = rows(values, { ...large, effect: 0.5 }).slice(-1)
  t.ok(last.drift === 0 && last.drift_p as number < 1e-6, JSON.stringify(last))
  t.equal(rows(values, large).at(-1)!.drift, 1)
  t.equal(rows(values, { ...large, measures: ['psi'] }).at(-1)!.drift, 0)
  const few = rows([...noise(20, 12), ...noise(20, 13).map(x => x + 1)], { reference: 20, current: 20 }).at(-1)!
  t.ok(few.drift === 0 && few.drift_ks as number > 0.1)
})

t.test('a series that wanders slowly has few readings that are as good as independent', async t => {
  const wander = (seed: number, n: number) => { let x = 0; return Array.from({ length: n }, (_, i) => x = 0.98 * x + normal(key(seed), i)) }
  t.equal(Array.from({ length: 20 }, (_, k) => rows(wander(20 + k, 2000), { reference: 1000, current: 500 })).filter(found).length, 0)
})

t.test('a series that never varied: any other value is drift, and equal ones are none', async t => {
  const same = Array.from({ length: 400 }, () => 5)
  t.equal(found(rows(same, { reference: 100, current: 100 })), undefined)
  for (const other of [5.01, 4.99]) {
    const r = found(rows([...same, ...Array.from({ length: 200 }, () => other)], { reference: 100, current: 100 }))
    t.strictSame([r?.drift_aspect, Math.abs(r?.drift_mean as number)], [1, 1000], `${other}`)
  }
  const stuck = found(rows([...noise(200, 14), ...same.map(() => 50)], { reference: 200, current: 100 }))
  t.equal(stuck?.drift_aspect, 2, words(stuck))
})

t.test('states of a machine, with few values, are compared as they are', async t => {
  const states = (n: number, seed: number, on: number) => Array.from({ length: n }, (_, i) => uniform(key(seed), i) < on ? 1 : 0)
  t.equal(found(rows(states(3000, 15, 0.3), small)), undefined)
  const r = found(rows([...states(1500, 15, 0.3), ...states(300, 16, 0.7)], small))
  t.ok(r?.drift_ks as number > 0.1 && r?.drift_mean as number > 0.3, words(r))
})

t.test('one wild reading in the reference or later hides no drift and is none', async t => {
  const calm = noise(1500, 23)
  for (const when of [undefined, 0, 100, 600]) {
    for (const wild of when === undefined ? [50] : [0, -9999, 65535, 3.4e38, 9e99, 1e200]) {
      const out = rows(calm.map((x, i) => i === when ? wild : i < 1000 ? x : x + 4), small), at = out.findIndex(r => r.drift === 1)
      t.ok(at >= 1000 && at < 1200, `${wild} at ${when}: ${at}`)
    }
  }
})

t.test('codes for missing values do not hide that a series is correlated: no drift in an autoregression with them', async t => {
  for (const [share, code] of [[0.001, -9999], [0.01, -9999], [0.05, 65535]]) {
    let x = 0
    const values = Array.from({ length: 20_000 }, (_, i) => {
      x = 0.95 * x + normal(key(31), i)
      return uniform(key(32), i) < share ? code : x
    })
    t.equal(rows(values).filter(r => r.drift === 1).length, 0, `${code} in ${share}`)
  }
})

t.test('a reading without a finite value teaches nothing', async t => {
  const values = [...noise(400, 17), ...noise(200, 18).map(x => x + 3)], options = { reference: 200, current: 100 }
  const whole = rows(values, options), gaps = rows(values.flatMap(x => [NaN, x, Infinity]), options)
  t.strictSame(gaps.filter((_, i) => i % 3 === 1).map(r => ({ ...r, at: 0 })), whole.map(r => ({ ...r, at: 0 })))
})

t.test('a long stream in pieces, with a snapshot between them and beside another series, gives the same', async t => {
  const options = { reference: 100, current: 50 }
  const mixed = noise(1200, 19).flatMap((x, i): Given[] => [[i * 60, 'a/x', x + (i > 500 ? 5 : 0)], [i * 60, 'b/x', Math.abs(x)]])
  const alone = through(drift(options), mixed.filter(r => r[1] === 'a/x'))
  t.strictSame(inPieces(() => drift(options), mixed).filter(r => r.series === 'a/x'), alone)
  t.equal(alone.filter(r => r.drift === 1).length, 1)
})

t.test('options that cannot be are named', async t => {
  t.throws(() => drift({ current: 12 }), /current/)
  t.throws(() => drift({ measures: [] }), /measures/)
  t.throws(() => drift({ significance: 0 }), /significance/)
})
