import fc from 'fast-check'
import t from 'tap'
import { conformal, coverage, half, learn, sizeOf } from '../../models/conformal.ts'
import { normal } from './random.ts'

const AT = 1, LEVEL = 0.95, GAIN = 0.05, WIDTH = AT + Object.keys(conformal).indexOf('width')

/** Errors that answer the half width, which is told before: what interval follows what error. */
function play (errorOf: (half: number, i: number) => number, steps: number, most = 100) {
  const m = new Float64Array(AT + sizeOf(1)), widths: number[] = []
  let first = NaN
  for (let i = 0; i < steps; i++) {
    const h = half(m, AT, LEVEL, most, 0, 1), error = errorOf(h, i)
    if (h === h && first !== first) first = m[WIDTH]
    if (h === h) widths.push(h)
    learn(m, AT, error, h === h ? Math.abs(error) <= h : undefined, LEVEL, 1, most, 0, 1)
  }
  return { m, widths, first, coverage: coverage(m, AT) }
}

t.test('none is given before enough errors are known that one in them would miss', async t => {
  const m = new Float64Array(AT + sizeOf(1))
  for (let i = 0; i < 19; i++) { learn(m, AT, 1, undefined, LEVEL, 1, 100, 0, 1); t.ok(Number.isNaN(half(m, AT, LEVEL, 100, 0, 1)) && Number.isNaN(coverage(m, AT))) }
  learn(m, AT, 1, undefined, LEVEL, 1, 100, 0, 1)
  t.ok(Math.abs(half(m, AT, LEVEL, 100, 0, 1) - 1.96) < 0.01)
})

t.test('on normal errors half the width is 1.96 standard deviations, and as many hold as it says', async t => {
  const z = normal(1), { widths, coverage } = play(() => 3 * z(), 20_000)
  const mean = widths.slice(1000).reduce((a, b) => a + b) / (widths.length - 1000)
  t.ok(Math.abs(coverage - 0.95) < 0.003 && Math.abs(mean - 5.88) < 0.2, `${coverage}, ${mean}`)
})

t.test('whatever an adversary does who sees the interval, coverage is off by no more than the paper says', async t => {
  fc.assert(fc.property(fc.infiniteStream(fc.double({ min: -1, max: 1, noNaN: true })), fc.constantFrom(0, 0.05, 0.5, 1), (plan, share) => {
    const pick = plan[Symbol.iterator](), next = () => pick.next().value as number
    const { m, coverage, first, widths } = play(h => Math.abs(next()) < share ? Math.min(h * 1.01 || 1, 100) : next(), 2000)
    const bound = Math.abs(m[WIDTH] - first) / (GAIN * widths.length)
    t.ok(Math.abs(coverage - LEVEL) <= bound + 1e-9, `${coverage} with ${bound}`)
  }), { numRuns: 50 })
})

t.test('a sudden fivefold spread, back and again, leaves coverage within a point', async t => {
  const z = normal(2), { coverage } = play((_, i) => (Math.floor(i / 500) % 2 === 0 ? 1 : 5) * z(), 5000)
  t.ok(Math.abs(coverage - 0.95) < 0.01, `${coverage}`)
})

t.test('the width follows the part of the season, and as many hold in each', async t => {
  const z = normal(3), m = new Float64Array(AT + sizeOf(2)), held = [0, 0], widths = [0, 0], N = 10_000
  for (let i = 0; i < N; i++) {
    const part = i % 2, h = half(m, AT, LEVEL, 100, part, 2), error = (part === 0 ? 1 : 4) * z()
    if (Math.abs(error) <= h) held[part] += 2 / N
    if (i >= N / 2) widths[part] += 4 * h / N
    learn(m, AT, error, h === h ? Math.abs(error) <= h : undefined, LEVEL, 1, 100, part, 2)
  }
  t.ok(held[0] > 0.93 && held[1] > 0.93, held.join())
  t.ok(widths[1] > 2.4 * widths[0], widths.join())
})

t.test('a wild error widens by what a far one does, and does not last; many are believed', async t => {
  const widths = (odd: (i: number) => number | undefined) => { const z = normal(4); return play((_, i) => { const e = z(); return odd(i) ?? e }, 1000).widths }
  const clean = widths(() => undefined), mean = (w: readonly number[], from: number) => w.slice(from, from + 20).reduce((a, b) => a + b) / 20
  for (const wild of [30, 1e6, 1e30]) {
    const one = widths(i => i === 500 ? wild : undefined)
    t.ok(mean(one, 481) < 1.25 * mean(clean, 481) && mean(one, 800) < 1.02 * mean(clean, 800), `${wild}: ${mean(one, 481)}, not ${mean(clean, 481)}`)
    t.ok(mean(widths(i => i >= 500 ? wild : undefined), wild < 1e10 ? 530 : 700) > wild / 2, `all that come are ${wild}`)
  }
})

t.test('as many hold where no error is usual: rare ones need no width, and frequent ones get it', async t => {
  for (const share of [0.02, 0.1, 0.3]) {
    const z = normal(5), { coverage } = play(() => Math.abs(z()) < share * 1.26 ? 7 : 0, 4000)
    t.ok(coverage > 0.94, `${share}: ${coverage}`)
  }
})
