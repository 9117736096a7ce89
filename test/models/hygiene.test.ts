import t from 'tap'
import fc from 'fast-check'
import { checks, codeOf, Hygiene, hygiene, type Check, type Known } from '../../models/hygiene.ts'
import { normal, uniform } from './random.ts'

type Reading = readonly [time: number, value: number]
const LIMIT = 5
/** Evidence and sizes of each reading, in the order of `checks`, and what is said. */
function run (readings: readonly Reading[], known: Known = {}, limit = LIMIT) {
  const m = Float64Array.from(Object.values(hygiene)), model = new Hygiene(known)
  return readings.map(([time, value]) => {
    model.take(m, 0, value, time, limit, false, false)
    return { code: model.said(limit), evidence: model.findings.map(f => f.evidence), sizes: model.findings.map(f => f.evidence > 0 ? f.size : 0) }
  })
}

/** Noise on a grid of 1/1024, so that sums with whole numbers are exact, with what goes wrong in it. */
const wrong = fc.record({ at: fc.integer({ min: 1050, max: 1500 }), length: fc.integer({ min: 1, max: 60 }), kind: fc.constantFrom('stuck', 'shift', 'spike', 'noise', 'clip', 'missing', 'back'), size: fc.integer({ min: -40, max: 40 }) })
const streams = fc.record({ seed: fc.nat(1000), faults: fc.array(wrong, { minLength: 1, maxLength: 4 }) }).map(({ seed, faults }) => {
  const z = normal(seed), values = Array.from({ length: 1600 }, () => Math.round(1024 * z()) / 1024), out: Reading[] = []
  values.forEach((x, i) => {
    const { kind, size, at } = faults.find(f => i >= f.at && i < f.at + f.length) ?? { kind: 'none', size: 0, at: 0 }
    if (kind === 'missing') return
    const value = { none: x, stuck: values[at - 1], shift: x + size, spike: i === at ? x + size : x, noise: 8 * x, clip: Math.min(x, 1), back: x }[kind]
    out.push([1000 * i - (kind === 'back' ? 30_000 : 0), value])
  })
  return out
})
const UNIT = checks.indexOf('unit')      // the only one that asks for the level itself
const others = (of: readonly number[]) => of.filter((_, k) => k !== UNIT)

t.test('the unit of a value and where its zero is make no difference', async t => {
  let said = 0
  fc.assert(fc.property(streams, fc.integer({ min: -9, max: 9 }), fc.integer({ min: -1000, max: 1000 }), (stream, exponent, shift) => {
    const scale = 2 ** exponent, plain = run(stream), moved = run(stream.map(([time, x]) => [time, scale * (x + shift)]))
    plain.forEach(({ evidence, code }, i) => {
      if (others(evidence).some((e, k) => e !== others(moved[i].evidence)[k])) throw new Error(`reading ${i}: ${evidence.join()}; ${moved[i].evidence.join()}`)
      if (code > 0) said++
    })
  }), { numRuns: 25, seed: 1 })
  t.ok(said > 100, `${said}`)
})

t.test('upside down it is the same, with sizes of the other sign', async t => {
  const signed = new Set<Check>(['spike', 'rate', 'clipping']), found = new Set<number>()
  fc.assert(fc.property(streams, stream => {
    const plain = run(stream), turned = run(stream.map(([time, x]) => [time, -x]))
    plain.forEach(({ evidence, sizes, code }, i) => {
      found.add(code)
      if (others(evidence).some((e, k) => e !== others(turned[i].evidence)[k])) throw new Error(`reading ${i}: ${evidence.join()}; ${turned[i].evidence.join()}`)
      checks.forEach((check, k) => { if (k !== UNIT && sizes[k] + (signed.has(check) ? 1 : -1) * turned[i].sizes[k] !== 0) throw new Error(`size of ${check} at reading ${i}: ${sizes[k]}, ${turned[i].sizes[k]}`) })
    })
  }), { numRuns: 25, seed: 2 })
  t.ok(found.size >= 5, [...found].join())
})

t.test('what an author knows to be possible: certain outside of it, on either side', async t => {
  const of = (known: Known) => run([[0, -3], [1000, 0], [2000, 4]], known).map(({ evidence, sizes }) => [evidence[codeOf('range') - 1], sizes[codeOf('range') - 1]])
  t.strictSame(of({ min: -2, max: 3 }), [[16, -1], [0, 0], [16, 1]])
  t.strictSame(of({ max: 3 }), [[0, 0], [0, 0], [16, 1]])
  t.strictSame(of({ min: -2 }), [[16, -1], [0, 0], [0, 0]])
  t.strictSame(of({}), [[0, 0], [0, 0], [0, 0]])
})

const healthy: Record<string, (seed: number) => () => number> = {
  normal,
  uniform,
  laplace: seed => { const u = uniform(seed); return () => { const x = u() - 0.5; return -Math.sign(x) * Math.log(1 - 2 * Math.abs(x)) } },
  'log-normal': seed => { const z = normal(seed); return () => Math.exp(z() / 2) },
  'autoregressive, 0.9': seed => { const z = normal(seed); let x = 0; return () => x = 0.9 * x + z() },
  'a random walk': seed => { const z = normal(seed); let x = 0; return () => x += z() },
  coarse: seed => { const z = normal(seed); let x = 0; return () => { x = 0.9 * x + z(); return Math.round(x) } }
}
for (const [name, make] of Object.entries(healthy)) {
  t.test(`healthy readings, ${name}: no more is said than four in 100,000 readings, all checks together`, async t => {
    const READINGS = 20_000, limit = Math.log10(8 * 100_000)
    let said = 0
    for (let s = 0; s < 20; s++) {
      const next = make(100 + s), m = Float64Array.from(Object.values(hygiene)), model = new Hygiene()
      for (let i = 0; i < READINGS; i++) {
        model.take(m, 0, next(), 1000 * i, limit, false, false)
        if (i >= 200 && model.said(limit) > 0) said++
      }
    }
    t.comment(`${said} in 400,000 readings`)
    t.ok(said <= 16, `${said}, where four are expected, and those of coarse readings come several at a time`)
  })
}
