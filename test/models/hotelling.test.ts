import t from 'tap'
import { Hotelling, least, signals } from '../../models/hotelling.ts'
import { Principal } from '../../models/principal.ts'
import { normal } from './random.ts'

const AT = 3
/** Three numbers from one hidden one, a fourth on its own, in units far apart. */
const source = (seed: number) => { const z = normal(seed); return () => { const h = z(); return [100 + 5 * h + z(), 1e-3 * (h + 0.3 * z()), -40 * h + 8 * z(), 7 + z()] } }

function principal (vectors: readonly number[][], memory = 1000) {
  const p = new Principal(4, memory), m = new Float64Array(AT + Object.keys(p.shape).length)
  for (const x of vectors) p.learn(m, AT, Float64Array.from(x), 1)
  const of = (x: readonly number[]) => {
    x.forEach((x, j) => { p.z[j] = p.standard(m, AT, j, x) })
    p.score(m, AT)
    return { t2: p.t2, spe: p.spe, whole: p.whole(m, AT) }
  }
  return { p, m, of }
}

/** x' A^-1 x by elimination. */
function quadratic (a: number[][], x: number[]): number {
  const n = x.length, rows = a.map((row, i) => [...row, x[i]])
  for (let i = 0; i < n; i++) for (let k = i + 1; k < n; k++) { const by = rows[k][i] / rows[i][i]; for (let j = i; j <= n; j++) rows[k][j] -= by * rows[i][j] }
  const y = Array.from({ length: n }, () => 0)
  for (let i = n - 1; i >= 0; i--) y[i] = (rows[i][n] - rows[i].reduce((sum, r, j) => sum + (j > i && j < n ? r * y[j] : 0), 0)) / rows[i][i]
  return x.reduce((sum, x, i) => sum + x * y[i], 0)
}

t.test('mean and covariance are those of all vectors while these are few, then they fade', async t => {
  const next = source(1), vectors = Array.from({ length: 64 }, next)
  const { p, m } = principal(vectors)
  const means = [0, 1, 2, 3].map(j => vectors.reduce((sum, x) => sum + x[j], 0) / 64)
  const variance = (j: number) => vectors.reduce((sum, x) => sum + (x[j] - means[j]) ** 2, 0) / 64
  means.forEach((mean, j) => { t.ok(Math.abs(p.standard(m, AT, j, mean)) < 1e-9 && Math.abs(p.standard(m, AT, j, mean + Math.sqrt(variance(j))) - 1) < 1e-9) })
  const later = principal([...vectors, ...Array.from({ length: 3000 }, () => next().map(x => 2 * x))], 200)
  t.ok(Math.abs(later.p.standard(later.m, AT, 0, 200)) < 0.5 && later.p.standard(later.m, AT, 0, 100) < -5)
})

t.test('one wild vector of the first hundred does not widen the scale', async t => {
  const vectors = Array.from({ length: 100 }, source(14)).map((x, i) => i === 20 ? x.map(x => x + 1e6) : x), { p, m } = principal(vectors)
  t.ok(1 / p.difference(m, AT, 0, 1) < 10 && Math.abs(p.standard(m, AT, 0, 100)) < 0.5, `${1 / p.difference(m, AT, 0, 1)}`)
})

t.test('when all components are kept, T2 is the distance of Mahalanobis; otherwise the whole is that with one variance for the rest', async t => {
  const z = normal(2), independent = Array.from({ length: 256 }, () => [z(), z(), z(), z()])
  const all = principal(independent), covariance = [0, 1, 2, 3].map(i => [0, 1, 2, 3].map(j => independent.reduce((sum, x) => sum + x[i] * x[j], 0) / 256 - independent.reduce((sum, x) => sum + x[i], 0) * independent.reduce((sum, x) => sum + x[j], 0) / 65536))
  const mean = [0, 1, 2, 3].map(j => independent.reduce((sum, x) => sum + x[j], 0) / 256), x = [1, -2, 0.5, 3]
  t.ok(Math.abs(all.of(x).t2 - quadratic(covariance, x.map((x, j) => x - mean[j]))) < 1e-9)
  t.equal(all.of(x).spe, 0)
  const { of } = principal(Array.from({ length: 256 }, source(3)))
  const { t2, spe, whole } = of([110, 0.002, -80, 7])
  t.ok(t2 > 2 && spe < 0.3 && whole > t2, 'as ever, only more')
  const broken = of([110, -0.002, -80, 7])
  t.ok(broken.spe > 2 && broken.whole > 20, 'against the coupling')
})

t.test('shares sum to one and name the number that broke ranks', async t => {
  const { p, m, of } = principal(Array.from({ length: 256 }, source(4))), into = new Float64Array(4)
  of([100, 0.004, 0, 7])
  for (const [plane, rest] of [[true, false], [false, true], [true, true]]) {
    p.shares(m, AT, plane, rest, into)
    t.ok(Math.abs(into.reduce((a, b) => a + b) - 1) < 1e-12 && into.every(x => x >= 0))
  }
  p.shares(m, AT, false, true, into)
  t.ok(into[1] > 0.5, into.join())
})

t.test('a missing number becomes what is most likely beside the others: no other is nearer', async t => {
  const { p, m, of } = principal(Array.from({ length: 256 }, source(5)))
  const x = [106, 0, -40, 8]
  of(x)
  p.complete(m, AT, Uint8Array.of(0, 1, 0, 0))
  const z = p.z.slice()
  p.score(m, AT)
  const best = p.whole(m, AT)
  t.ok(z[1] > 0.5 && z[1] < 1.5, `${z[1]}`)
  for (const by of [-0.01, 0.01]) {
    p.z.set(z)
    p.z[1] += by
    p.score(m, AT)
    t.ok(p.whole(m, AT) > best)
  }
})

t.test('what never varied has no say, and a copy of another number breaks nothing', async t => {
  const z = normal(6), { of } = principal(Array.from({ length: 200 }, () => { const x = z(); return [x, 2 * x + 1, 5, z()] }))
  t.strictSame(of([0, 1, 5, 0]).whole, of([0, 1, 6, 0]).whole)
  t.ok(of([1, 3, 5, 0]).spe < 0.1 && of([1, 1, 5, 0]).spe > 0.3)
})

/** What the whole model says of each vector. */
function judge (vectors: readonly (readonly number[])[], memory = 1000) {
  const model = new Hotelling(4, memory), m = Float64Array.from([...Array.from({ length: AT }, () => 0), ...Object.values(model.shape)])
  return vectors.map((x, i) => {
    x.forEach((x, j) => { model.put(m, AT, j, x, i * 1000, 5000) })
    const said = model.score(m, AT), out = { said, evidence: model.evidence, news: model.news, signal: signals[model.signal] as string | undefined, t2: model.t2, spe: model.spe, shares: [...model.shares] }
    model.learn(m, AT, i * 1000)
    return out
  })
}
const quiet = (n: number, seed: number) => Array.from({ length: n }, source(seed))

t.test('the signals speak of what they should', async t => {
  const before = quiet(3000, 7)
  const broken = judge([...before, [100, 0.006, 0, 7]])[3000]
  t.ok(broken.evidence > 4 && broken.signal === 'spe' && broken.shares[1] > 0.5, JSON.stringify(broken))
  const far = judge([...before, [100 + 35, 0.007, -280, 7]])[3000]
  t.ok(far.evidence > 4 && far.signal === 't2', JSON.stringify(far))
  const small = judge([...before, ...quiet(40, 8).map(x => [x[0], x[1] + 0.0005, x[2], x[3]])]).slice(3000)
  t.ok(small.some(r => r.evidence > 3 && r.signal === 'shift' && r.shares[1] > 0.5), JSON.stringify(small.find(r => r.evidence > 3)))
})

t.test('T2 is smaller by what mean and covariance of few vectors are off: n (n - d) / (n^2 - 1), of Tracy, Young and Mason', async t => {
  const d = 4, n = 2 * d + 16, vectors = quiet(n, 30), x = [110, 0.002, -80, 7], { t2 } = principal(vectors).of(x)
  t.ok(t2 > 1)
  t.ok(Math.abs(judge([...vectors, x])[n].t2 / t2 - n * (n - d) / (n * n - 1)) < 1e-12)
})

t.test('a number that is late is judged as it is, and does not stand in for those behind it', async t => {
  const late = (values: readonly (readonly [value: number, at: number])[]) => {
    const model = new Hotelling(4, 1000), m = Float64Array.from([...Array.from({ length: AT }, () => 0), ...Object.values(model.shape)]), END = 1_000_000
    const put = (x: readonly number[], at: number) => { x.forEach((x, j) => { model.put(m, AT, j, x, at, 5000) }); return model.score(m, AT) ? model.t2 : NaN }
    quiet(200, 31).forEach((x, i) => { put(x, END - (200 - i) * 1000); model.learn(m, AT, END - (200 - i) * 1000) })
    return values.map(([value, at]) => put([value, 0, 0, 7], END + at))
  }
  const [, held] = late([[105, 0], [NaN, 1000]]), [, far, behind] = late([[105, 0], [180, -2000], [NaN, 1000]])
  t.equal(behind, held)
  t.ok(far > 2 * held)
})

t.test('p-values are as often below 1e-2 and 1e-3 as they say, within a factor of two', async t => {
  const rows = judge(quiet(60_000, 9)).slice(10_000)
  for (const p of [1e-2, 1e-3]) {
    const share = rows.filter(r => r.evidence >= -Math.log10(p)).length / rows.length
    t.ok(share > p / 2 && share < 2 * p, `${p}: ${share}`)
  }
})

const GLITCHES = [65535, -9999, 85, 1000, 0], FROM = 1000, WITHIN = 30
for (const when of [0, 3, 7, 15, 16, 17, 23, 100, 500]) {
  t.test(`after one wild value in row ${when} a metric that leaves the others by 20 deviations of what they do not share is found in ${WITHIN} rows`, async t => {
    for (const glitch of GLITCHES) {
      const z = normal(100 + when), vectors = Array.from({ length: FROM + WITHIN }, (_, i) => { const h = z(); return [0, 1, 2, 3].map(j => 20 + h + 0.2 * z() + (j === 0 && i >= FROM ? 4 : 0)) })
      vectors[when][0] = glitch
      const rows = judge(vectors), found = rows.slice(FROM).findIndex(r => r.evidence > 3.5 && r.shares[0] > 0.5)
      t.ok(found >= 0, `${glitch}: at most ${Math.max(...rows.slice(FROM).map(r => r.evidence))}`)
      t.ok(rows.slice(400, FROM).filter(r => r.evidence > 3.5).length <= (when >= 400 ? 12 : 3), `${glitch}: false ones`)
    }
  })
}

t.test('of what never varied one wild row is no spread, a lasting change is', async t => {
  const z = normal(20), still = (x: number) => [z(), z(), z(), x]
  const glitch = principal(Array.from({ length: 400 }, (_, i) => still(i === 5 || i === 200 ? 65535 : 20)))
  t.equal(glitch.p.standard(glitch.m, AT, 3, 65535), 0)
  const later = principal(Array.from({ length: 400 }, (_, i) => still(i === 5 || i === 100 ? 65535 : i < 200 ? 20 : 21 + 0.1 * z())))
  t.ok(1 / later.p.difference(later.m, AT, 3, 1) < 1 && Math.abs(later.p.standard(later.m, AT, 3, 20.5)) < 2, `${1 / later.p.difference(later.m, AT, 3, 1)}`)
})

t.test('a lasting change of level and of spread is usual after some hundred rows', async t => {
  const rows = judge([...quiet(1000, 21), ...quiet(4000, 22).map(x => x.map((x, j) => x * 3 + (j === 0 ? 500 : 0)))])
  t.ok(rows.slice(1000, 1010).some(r => r.evidence > 6))
  t.ok(rows.slice(4000).filter(r => r.evidence > 2).length < 30, `${rows.slice(4000).filter(r => r.evidence > 2).length}`)
})

t.test('one wild vector in 100, from the start, does not make the wild usual', async t => {
  const wild = quiet(4000, 10).map((x, i) => i % 100 === 20 ? x.map(x => x + 1000) : x)
  const last = judge(wild).slice(3000)
  t.ok(last.filter((_, i) => i % 100 === 20).every(r => r.t2 + r.spe > 30), 'far')
  t.ok(last.filter((_, i) => i % 100 !== 20).every(r => r.t2 < 30), 'near')
})

t.test('while numbers are few nothing is said, and of no number at all either', async t => {
  const rows = judge([...quiet(60, 11), [NaN, NaN, NaN, NaN]])
  t.equal(rows.findIndex(r => r.said), 2 * 4 + 16)
  const gone = judge([...quiet(400, 11), ...Array.from({ length: 10 }, () => [NaN, NaN, NaN, NaN])])
  t.ok(gone.slice(400, 405).every(r => r.said), 'held')
  t.ok(gone.slice(406).every(r => !r.said), 'gone')
  t.ok(least(4) > 2 * 4 + 16 + 32)
})

t.test('a number that stays away does not hide what the others do, and its own place is taken by what is likely', async t => {
  const rows = judge([...quiet(2000, 12), ...quiet(100, 13).map(x => [x[0], NaN, x[2], x[3]]), [100, NaN, -500, 7]])
  const without = rows.slice(2006, 2100)
  t.ok(without.every(r => r.said && r.evidence < 4), 'quiet')
  t.ok(rows[2100].evidence > 4 && rows[2100].shares[2] > 0.3, JSON.stringify(rows[2100]))
})
