import t from 'tap'
import { readFileSync } from 'node:fs'
import { Adwin } from '../../models/adwin.ts'
import { Cusum } from '../../models/cusum.ts'
import { limitsOf } from '../../models/cusum-limits.ts'
import type { Detector } from '../../models/detector.ts'
import { Kswin } from '../../models/kswin.ts'
import { PageHinkley } from '../../models/page-hinkley.ts'
import { levelOf, residual, residuals } from '../../models/recursive-residuals.ts'
import { CLOCK, confidenceOf, distanceOf } from '../../models/run-length.ts'
import { normalOf, studentOf } from '../../models/significance.ts'
import { normal } from './random.ts'

const oracle = JSON.parse(readFileSync(new URL('../oracles/drift.json', import.meta.url), 'utf8')) as {
  fires: { name: string, values: number[], adwin: { confidence: number, at: number[] }[], page_hinkley: { allowance: number, threshold: number, forget: number, samples: number, at: number[] }[] }[]
  kolmogorov_smirnov: { values: number[], distance: number[] }
  tails: { student: [number, number, number][] }
}
const AT = 2
const near = (t: { ok (holds: boolean, what: string): unknown }, got: number, expected: number, by: number, what: string) => t.ok(Math.abs(got - expected) <= by, `${what}: ${got}, not ${expected}`)

/** Where a detector finds changes, begun anew after each. */
function fired (detector: Detector, values: readonly number[]): number[] {
  const first = Object.values(detector.state), m = new Float64Array(AT + first.length), out: number[] = []
  m.set(first, AT)
  values.forEach((x, i) => {
    if (!detector.update(m, AT, x)) return
    out.push(i)
    m.set(first, AT)
  })
  return out
}

t.test('ADWIN and Page-Hinkley find changes exactly where river does', async t => {
  for (const { name, values, adwin, page_hinkley } of oracle.fires) {
    for (const { confidence, at } of adwin) t.strictSame(fired(new Adwin(confidence), values), at, `${name}: ADWIN ${confidence}`)
    for (const { allowance, threshold, at, ...rest } of page_hinkley) t.strictSame(fired(new PageHinkley(allowance, threshold, rest), values), at, `${name}: Page-Hinkley ${allowance}, ${threshold}`)
  }
  t.ok(oracle.fires.flatMap(f => [...f.adwin, ...f.page_hinkley]).filter(c => c.at.length > 0).length > 10)
  t.equal(oracle.fires[0].adwin[0].at[0], 1023, 'as its documentation says')
})

t.test('the distance of KSWIN is that of scipy', async t => {
  const { values, distance } = oracle.kolmogorov_smirnov
  distance.forEach((d, i) => {
    const window = values.slice(0, i + 100)
    t.equal(fired(new Kswin(d - 1e-9), window.slice(i)).length, 1, `${d} at ${i}`)
    t.equal(fired(new Kswin(d + 1e-9), window.slice(i)).length, 0, `${d} at ${i}`)
  })
  const last = new Kswin(distance.at(-1)! - 1e-9), m = Float64Array.from(Object.values(last.state))
  t.equal(values.filter(x => last.update(m, 0, x)).length, distance.filter(d => d > last.threshold).length, 'also when the window has slid far')
})

t.test('ADWIN forgets the oldest when its table is full, and goes on', async t => {
  const z = normal(3), detector = new Adwin(1e-6), first = Object.values(detector.state), m = Float64Array.from(first)
  for (let i = 0; i < 600_000; i++) if (detector.update(m, 0, z())) t.fail(`a change at ${i}`)
  t.ok(m[2] > 200_000 && m[2] < 450_000, `${m[2]} numbers`)
  near(t, m[4] / m[2], 1, 0.02, 'variance')
  let after = 1
  while (!detector.update(m, 0, z() + 1)) after++
  t.ok(after < 200 && Math.abs(detector.size - 1) < 0.4, `${after}, ${detector.size}`)
})

/** Numbers for each false change. */
function averageOf (detector: Detector, clip = Infinity): number {
  const z = normal(4), first = Object.values(detector.state), m = Float64Array.from(first)
  let found = 0, n = 0
  for (; found < 300; n++) {
    if (!detector.update(m, 0, Math.max(-clip, Math.min(z(), clip)))) continue
    found++
    m.set(first)
  }
  return n / found
}

t.test('an average run length is what was asked for, on independent normal numbers', async t => {
  for (const wanted of [300, 3000]) {
    for (const allowance of [0.05, 0.25, 0.5, 1, 1.4, 1.75, 2]) {
      const { threshold, clip } = limitsOf(allowance, wanted), cusum = new Cusum(allowance, threshold), page = new PageHinkley(allowance, threshold, { samples: 1, clip })
      near(t, averageOf(cusum, clip) / wanted, 1, 0.15, `cusum, ${allowance}, ${wanted}`)
      near(t, averageOf(page, clip) / wanted, 1, 0.2, `page_hinkley, ${allowance}, ${wanted}`)
    }
    near(t, averageOf(new Adwin(confidenceOf(wanted), CLOCK)) / wanted, 1, 0.15, `adwin, ${wanted}`)
    near(t, averageOf(new Kswin(distanceOf(wanted))) / wanted, 1, 0.3, `kswin, ${wanted}`)
  }
})

t.test('one number is a change only where the run length asks for it', async t => {
  for (const allowance of [0.05, 0.5, 1, 1.5, 2]) {
    for (const wanted of [100, 1000, 10_000, 1_000_000]) {
      const { threshold, clip } = limitsOf(allowance, wanted), few = allowance >= 1.5 && wanted === 100
      t.equal(clip - allowance > threshold, few, `${allowance}, ${wanted}: ${clip}, ${threshold}`)
    }
  }
})

t.test('a sum tells when the shift began and how large it is', async t => {
  const z = normal(5)
  for (const [what, make] of Object.entries({ cusum: () => new Cusum(0.5, 12), page_hinkley: () => new PageHinkley(0.5, 12) })) {
    let after = 0, size = 0, late = 0
    for (let run = 0; run < 200; run++) {
      const detector = make(), m = Float64Array.from(Object.values(detector.state))
      for (let i = 0; i < 500; i++) detector.update(m, 0, z())
      m.set(Object.values(detector.state))
      for (let i = 0; i < 200; i++) detector.update(m, 0, z())
      let n = 1
      while (!detector.update(m, 0, z() - 1.5)) n++
      late += n / 200; after += detector.after / 200; size += detector.size / 200
    }
    near(t, after, late, 2.5, `${what}: began`)
    near(t, size, -1.5, 0.25, `${what}: size`)
  }
})

t.test('recursive residuals are independent standard normal numbers, from the begin, also for an autoregression', async t => {
  for (const r of [0, 0.5, 0.9, -0.5]) {
    const z = normal(6)
    let sum = 0, squares = 0, products = 0, count = 0
    for (let run = 0; run < 300; run++) {
      const m = Float64Array.of(...Array.from({ length: AT }, () => NaN), ...Object.values(residuals))
      let x = z() / Math.sqrt(1 - r * r), before = 0
      for (let i = 0; i < 300; i++) {
        x = r * x + z()
        const e = residual(m, AT, 1000 + 7 * x)
        if (i > 20) { sum += e; squares += e * e; products += e * before; count++ }
        before = e
      }
    }
    near(t, sum / count, 0, 0.01, `${r}: mean`)
    near(t, squares / count, 1, 0.03, `${r}: variance`)
    near(t, products / count, 0, 0.02, `${r}: correlation`)
  }
})

t.test('the normal equivalent of Student\'s t is that of scipy', async t => {
  for (const [x, freedom, expected] of oracle.tails.student) {
    const n = freedom + 2, m = Float64Array.from(Object.values(residuals))
    m.set([n, 0, 0, 0, 1e-300, 0, freedom * (n / (n + 1)) / (n >= 15 ? 1 / 0.9950073 : 1)])
    near(t, normalOf(studentOf(expected, freedom), freedom), expected, 1e-9, `and back: ${expected}, ${freedom}`)
    near(t, residual(m, 0, x), expected, 0.01 * expected + 0.003, `${x}, ${freedom}`)
  }
})

t.test('a wild reading does not change what is normal, and a shift of an autoregression is told in its own deviations', async t => {
  const z = normal(7), wild = Float64Array.from(Object.values(residuals)), calm = wild.slice()
  for (let i = 0; i < 500; i++) { const x = z(); residual(calm, 0, x); residual(wild, 0, i % 100 === 50 ? 1e6 : x) }
  t.ok(wild[6] / calm[6] < 1.2, `${wild[6] / calm[6]}`)
  const m = Float64Array.from(Object.values(residuals))
  for (let i = 0, x = 0; i < 5000; i++) residual(m, 0, x = 0.8 * x + z())
  near(t, levelOf(m, 0, 1), 3, 0.3, 'level')
})
