import t from 'tap'
import { KEPT } from '../../models/first-rows.ts'
import { BLOCK, device, peer, Peers, WIDTH } from '../../models/peers.ts'
import { key, normal } from '../../models/random.ts'
import * as tails from '../../models/tail.ts'

const DAY = 86_400_000, EVERY = 10_000, WITHIN = 60_000

/** Sets of values, one each ten seconds, through one device, of which NaN does not come; calls `see` with each reading. */
function run (sets: number, valuesOf: (i: number) => readonly number[], see: (i: number, k: number, model: Peers, judged: boolean, learned: number) => void, limit = 3.5, span = DAY): void {
  const model = new Peers(), count = WIDTH + 1, width = Object.keys(peer).length
  const d = Float64Array.from(Object.values(device)), s = new Float64Array(count * width)
  for (let k = 0; k < count; k++) s.set(Object.values(peer), k * width)
  for (let i = 0; i < sets; i++) valuesOf(i).forEach((x, k) => { if (!Number.isNaN(x)) see(i, k, model, model.take(d, 0, s, k * width, x, i * EVERY, WITHIN, limit, span), d[SETS]) })
}
const coupled = (i: number, offset = 0) => {
  const load = Math.sin(2 * Math.PI * i * EVERY / DAY) + 0.3 * Math.sin(i / 100)
  return [10 + 5 * load + 0.2 * normal(key(1), i) + offset, 3 - 2 * load + 0.1 * normal(key(2), i), 40 * load + normal(key(3), i)]
}
const SETS = Object.keys(device).indexOf('sets')
const LEARNT = DAY / EVERY + 33 * BLOCK

t.test('what the others let expect is the least-squares prediction', async t => {
  let off = 0, far = 0, size = 0, n = 0
  run(LEARNT + 2000, i => coupled(i), (i, k, { expected, deviation }, judged) => {
    if (!judged || k !== 0 || i < LEARNT) return
    const value = coupled(i)[0]
    off += (expected - value) ** 2
    far += (expected - value + 0.2 * normal(key(1), i)) ** 2
    size += deviation ** 2
    n++
  })
  t.equal(n, 2000)
  t.ok(Math.sqrt(far / n) < 0.15, `${Math.sqrt(far / n)}: of the value without its noise, nearer than the value`)
  t.ok(Math.abs(Math.sqrt(size / n) / Math.sqrt(0.1 / 1.9) - 1) < 0.25, `${Math.sqrt(size / n)}: a mean of ten in usual sizes`)
  t.ok(Math.sqrt(off / n) < 0.27, `${Math.sqrt(off / n)}: the noise is 0.2, that of the others 0.1 / 2 * 5 and 1 / 40 * 5 each, together less`)
})

t.test('nothing is judged before it has learned, of what stays away, or of a ninth metric', async t => {
  run(LEARNT - 200, i => coupled(i), (i, k, _, judged) => { if (judged) t.fail(`reading ${i} of ${k}`) })
  run(LEARNT + 500, i => i > LEARNT + 100 ? [coupled(i)[0]] : coupled(i), (i, _, __, judged) => { if (i > LEARNT + 107 && judged) t.fail(`reading ${i}`) })
  run(LEARNT + 10, i => Array.from({ length: WIDTH + 1 }, (_, k) => coupled(i)[0] + normal(key(50 + k), i)), (i, k, _, judged) => { if (i > LEARNT && judged !== k < WIDTH) t.fail(`metric ${k}`) })
})

t.test('one wrong metric, however wrong, leaves the others in agreement without it; two do not', async t => {
  const from = LEARNT + 4000, four = (i: number, off: readonly number[]) => [...coupled(i), 7 + 3 * Math.sin(2 * Math.PI * i * EVERY / DAY) + 0.9 * Math.sin(i / 100) + 0.1 * normal(key(4), i)].map((x, k) => x + (i < from ? 0 : off[k]))
  const most = (off: readonly number[], glitch = NaN) => {
    const rest = [0, 0, 0, 0], own = [0, 0, 0, 0]
    run(from + 1000, i => i === 4000 && !Number.isNaN(glitch) ? [...four(i, off).slice(0, 3), glitch] : four(i, off), (i, k, model) => {
      if (i < from) return
      rest[k] = Math.max(rest[k], model.rest)
      own[k] = Math.max(own[k], Math.abs(model.deviation))
    })
    return { rest, own }
  }
  for (const off of [[3, 0, 0, 0], [0, 0, 0, -4], [0, 5000, 0, 0]]) {
    const wrong = off.findIndex(x => x !== 0), { rest, own } = most(off)
    t.equal(own.indexOf(Math.max(...own)), wrong, 'the one that is wrong disagrees most')
    t.ok(rest[wrong] < 3, `${rest.join(' ')}: without it`)
    t.ok(rest.every((r, k) => k === wrong || r > 4), `${rest.join(' ')}: without another`)
  }
  t.ok(Math.min(...most([3, 0, 0, 2]).rest) > 4, 'two are wrong')
  for (const glitch of [65535, -9999]) t.ok(Math.min(...most([3, 0, 0, 2], glitch).rest) > 4, `also behind ${glitch} while it learned`)
})

t.test('they still agree without it when that has lasted for a day, and is learned', async t => {
  let most = 0, own = 0
  const from = LEARNT + 4000
  run(from + DAY / EVERY + 3000, i => coupled(i, i < from ? 0 : 4), (i, k, model) => {
    if (i < from || k !== 0) return
    most = Math.max(most, model.rest)
    own = i === from + DAY / EVERY - 10 ? model.deviation : own
  })
  t.ok(most < 3 && own > 5, `without it ${most}; ${own}`)
})

t.test('with two metrics there is no rest to agree', async t => {
  run(LEARNT + 200, i => coupled(i).slice(0, 2), (i, _, { rest }, judged) => { if (judged && !Number.isNaN(rest)) t.fail(`reading ${i}: ${rest}`) })
})

t.test('a drift of one metric is found while it is small beside what the metric does anyway, and season and load are none', async t => {
  let first = Infinity, false_ = 0
  const from = LEARNT + 4000
  run(from + 1000, i => coupled(i, Math.max(0, (i - from) / 1000) * 10), (i, k, { evidence }, judged) => {
    if (!judged || evidence < 3.5) return
    if (i < from) false_++
    else if (k === 0) first = Math.min(first, i)
  })
  t.equal(false_, 0)
  t.ok(first < from + 150, `found at ${first - from} of 1000, where the drift is ${(first - from) / 100} in a metric that goes from 5 to 15`)
})

const SPAN = 2 * 3_600_000, FROM = SPAN / EVERY + 34 * BLOCK, WITHIN_SETS = 100
/** How many sets after a bias of the first metric it is found, and false alarms before, with values of which `change` makes others. */
function found (change: (values: number[], i: number) => number[]): { readonly after: number, readonly before: number } {
  let after = Infinity, before = 0
  run(FROM + WITHIN_SETS, i => change(coupled(i, i < FROM ? 0 : 3), i), (i, k, { evidence }, judged) => {
    if (!judged || evidence < 3.5) return
    if (i < FROM) before++
    else if (k === 0) after = Math.min(after, i - FROM)
  }, 3.5, SPAN)
  return { after, before }
}

for (const when of [0, 5, 15, 17, 400, FROM - 4000, FROM - 1500]) {
  t.test(`one wild value in set ${when}, while it learns, hides nothing`, async t => {
    for (const glitch of [65535, -9999, 85, 1000, 0]) {
      const { after, before } = found((values, i) => i === when ? [glitch, ...values.slice(1)] : values)
      t.ok(after < 20 && before === 0, `${glitch}: found after ${after}, ${before} false alarms`)
    }
  })
}

t.test('a wild reading is wild itself and predicts nothing of the others; what goes on does', async t => {
  const at = FROM + 200, values = (i: number) => [...coupled(i), 7 + 3 * Math.sin(2 * Math.PI * i * EVERY / DAY) + 0.9 * Math.sin(i / 100) + 0.1 * normal(key(4), i), -2 * coupled(i)[1] + 0.1 * normal(key(5), i)]
  const all = (odd: (k: number, i: number) => number) => {
    const deviations: number[][] = [], expected: number[][] = []
    run(at + 40, i => values(i).map((x, k) => odd(k, i) || x), (i, k, model) => {
      if (i < at) return
      if (k === 0) { deviations.push([]); expected.push([]) }
      deviations.at(-1)![k] = model.deviation
      expected.at(-1)![k] = model.expected
    }, 3.5, SPAN)
    return { deviations, expected }
  }
  const healthy = all(() => NaN)
  for (const [code, one] of [[65535, 0], [-9999, 2], [65535, 3], [-60, 4]]) {
    const wild = all((k, i) => k === one && i === at ? code : NaN)
    const moved = (k: number) => Math.max(...wild.deviations.map((d, i) => Math.abs(d[k] - healthy.deviations[i][k]))), far = (k: number) => Math.max(...wild.expected.map((e, i) => Math.abs(e[k] - healthy.expected[i][k])))
    for (let k = 0; k < 5; k++) {
      if (k === one) t.ok(moved(k) > 0.8, `${code} in ${one}: ${moved(k)} of itself`)
      else t.ok(moved(k) < 0.25 && far(k) < 3, `${code} in ${one}: ${moved(k)} of ${k}, expected ${far(k)} off`)
    }
  }
  const biased = all((k, i) => k === 0 && i >= at ? values(i)[0] + 20 : NaN)
  t.ok(Math.abs(biased.deviations.at(-1)![1]) > 3, `${biased.deviations.at(-1)![1]}: a neighbour of one that stays away`)
})

const others: Readonly<Record<string, (i: number) => number>> = {
  'came once, at first': i => i === 0 ? 1 : NaN,
  'came once, after a long time': i => i === FROM - 2000 ? 1 : NaN,
  'comes every quarter of an hour': i => i % 90 === 0 ? normal(key(9), i) : NaN,
  'is removed': i => i < FROM - 1000 ? coupled(i)[0] + normal(key(9), i) : NaN,
  'never varies': () => 20
}
for (const [name, value] of Object.entries(others)) {
  t.test(`a metric that ${name} does not keep the others from being judged`, async t => {
    const { after, before } = found((values, i) => [...values, value(i)])
    t.ok(after < 20 && before === 0, `found after ${after}, ${before} false alarms`)
  })
}

/** Evidence as it is defined: from blocks of a hundred deviations, of which a tail takes the largest, and of an excursion its peak when that is over. */
function naive (limit: number) {
  const m = Float64Array.from(Object.values(tails.tail))
  let blocks = 0, readings = 0, largest = 0, peak = 0
  m[0] = Infinity
  const take = (x: number, weight: number) => { tails.learn(m, 0, x, 1 / blocks, weight, tails.EXCESSES) }
  return (deviation: number) => {
    const size = Math.abs(deviation), evidence = blocks >= 32 ? tails.unlikely(m, 0, size) : 0
    largest = Math.max(largest, size)
    if (++readings % BLOCK > 0) return evidence
    blocks++
    if (blocks <= 32) tails.begin(m, 0, largest, blocks)
    else if (largest > m[0]) peak = Math.max(peak, largest)
    else {
      if (peak > 0) take(peak, tails.unlikely(m, 0, peak) >= limit ? 0.1 : 1)
      take(largest, 1)
      peak = 0
    }
    largest = 0
    return evidence
  }
}

t.test('how unlikely a deviation is says the tail of the largest in blocks, and of excursions the peak', async t => {
  const limit = 2.5, seen = [0, 1, 2].map(() => ({ tail: naive(limit), unlikely: 0, alarms: 0 }))
  const odd = (i: number) => i % 2000 > 1700 ? 1.5 : i % 2000 > 1500 ? 0.6 : 0, other = (i: number) => i % 2000 > 900 && i % 2000 < 1000 ? 1 : 0
  run(LEARNT + 20_000, i => coupled(i, i > LEARNT ? odd(i) : 0).map((x, k) => k === 1 && i > LEARNT ? x + other(i) : x), (i, k, model) => {
    const own = seen[k], { evidence, deviation } = model
    if (Number.isNaN(deviation)) return
    model.deviation = NaN
    const expected = own.tail(deviation)
    if (evidence !== expected) t.fail(`reading ${i} of ${k}: ${evidence}, not ${expected}`)
    if (evidence > 0) own.unlikely++
    if (evidence >= limit) own.alarms++
  }, limit)
  t.ok(seen.every(own => own.unlikely > 20) && seen.some(own => own.alarms > 50), JSON.stringify(seen))
})

t.test('healthy metrics: evidence of 2 in one block of a hundred', async t => {
  const sets = 150_000, from = 50_000, blocks = new Set<number>()
  run(sets, i => coupled(i), (i, k, { evidence }) => { if (i >= from && evidence >= 2) blocks.add(3 * Math.floor(i / BLOCK) + k) })
  const share = blocks.size / (3 * (sets - from) / BLOCK)
  t.ok(share > 0.003 && share < 0.02, `${share}`)
})

t.test('means and covariances learn one set at a time; not in an excursion, unless that has lasted for a day', async t => {
  const at: number[] = [], begin = LEARNT + 1000, over = begin + 2000, again = over + 1000, day = DAY / EVERY
  const odd = (i: number) => (i >= begin && i < over) || i >= again ? 4 : 0
  run(again + day + 2000, i => coupled(i, odd(i)), (i, k, _, __, learned) => { if (k === 2) at[i] = learned })
  const learned = (from: number, to: number) => at[to] - at[from]
  t.equal(learned(1000, 2000), 1000)
  t.ok(learned(LEARNT, begin) > 900, `${learned(LEARNT, begin)}`)
  t.equal(learned(begin + 50, over), 0, 'in an excursion')
  t.equal(learned(over + 300, again), again - over - 300, 'behind it')
  t.equal(learned(again + 50, again + day - 10), 0, 'in another')
  t.equal(learned(again + day + 100, again + day + 1100), 1000, 'which has lasted for a day')
})

t.test('with a metric that is new, and has come sixteen times, it begins anew, and learns for as long as at first', async t => {
  const from = LEARNT + 500, joined = from + 15, day = DAY / EVERY, learned: number[] = [], judged: number[][] = [[], [], []]
  run(joined + day + 200, i => coupled(i).slice(0, i < from ? 2 : 3), (i, k, _, is, n) => {
    if (is) judged[k].push(i)
    if (k === 2) learned[i - joined] = n
  })
  const gaps = judged.map(of => of.flatMap((i, j) => j > 0 && i > of[j - 1] + 1 ? [[of[j - 1] - joined, i - joined]] : []))
  t.strictSame(gaps, [[[0, day + 2]], [[0, day + 2]], []])
  t.strictSame(judged[2], [], 'the new one has no tail yet')
  t.strictSame(learned.slice(0, day), Array.from({ length: day }, (_, i) => i))
})

t.test('however short it learns, nothing is judged by how metrics went together before there was another', async t => {
  const from = 4000, joined = from + 15, judged: number[] = []
  run(joined + 200, i => coupled(i).slice(0, i < from ? 2 : 3), (i, k, _, is) => { if (is && k === 0) judged.push(i - joined) }, 3.5, 1)
  const next = judged.find(i => i > 0)!
  t.ok(judged.includes(-1) && next > 60 && next < 70 && judged.at(-1) === 199, `${next}`)
})

t.test('while a metric is away the others are judged and nothing is learned; after a day it has no part any more', async t => {
  const from = LEARNT + 500, day = DAY / EVERY, learned: number[] = []
  let judged = 0
  run(from + day + 300, i => coupled(i).map((x, k) => k === 2 && i >= from ? NaN : x), (i, k, _, is, n) => {
    if (k === 0) learned[i - from] = n
    if (k === 0 && i >= from && is) judged++
  })
  t.equal(judged, day + 300)
  t.ok(learned[day - 1] - learned[0] <= 1 + WITHIN / EVERY, `${learned[day - 1] - learned[0]}`)
  t.ok(learned[day + 200] - learned[day + 100] === 100)
})

t.test('with a new metric nothing is left of what was known', async t => {
  const model = new Peers(), width = Object.keys(peer).length, names = Object.keys(device), d = Float64Array.from(Object.values(device)), s = new Float64Array(3 * width)
  for (let k = 0; k < 3; k++) s.set(Object.values(peer), k * width)
  for (let i = 0; i < 1000 + 2 * KEPT; i++) coupled(i).forEach((x, k) => { if (k < 2 || i >= 1000) model.take(d, 0, s, k * width, x, i * EVERY, WITHIN, 3.5, DAY) })
  t.equal(d[SETS], KEPT)
  t.equal(d[names.indexOf(`covariance${WIDTH}`)], 0, 'of the first two, which had thousands of values together')
  t.ok(d[names.indexOf('covariance0')] > 0)
})

t.test('a wild value moves neither what is known of values nor of their means by more than a few deviations', async t => {
  const model = new Peers(), width = Object.keys(peer).length, at = (name: string) => Object.keys(device).indexOf(name), d = Float64Array.from(Object.values(device)), s = new Float64Array(3 * width)
  for (let k = 0; k < 3; k++) s.set(Object.values(peer), k * width)
  for (let i = 0; i < 2000; i++) coupled(i).forEach((x, k) => model.take(d, 0, s, k * width, i === 1000 && k === 0 ? 65535 : x, i * EVERY, WITHIN, 3.5, DAY))
  for (const matrix of ['covariance0', 'together0']) t.ok(d[at(matrix)] > 1 && d[at(matrix)] < 30, `${matrix}: ${d[at(matrix)]}`)
})

t.test('means go back a week of the time of the readings', async t => {
  const HOUR = 3_600_000, model = new Peers(), width = Object.keys(peer).length, d = Float64Array.from(Object.values(device)), s = new Float64Array(2 * width)
  for (const k of [0, 1]) s.set(Object.values(peer), k * width)
  const mean = Object.keys(device).indexOf('mean0')
  for (let i = 0; i < 2000 + 168; i++) for (const k of [0, 1]) model.take(d, 0, s, k * width, (i < 2000 ? 0 : 1) + normal(key(k), i), i * HOUR, 2 * HOUR, 3.5, 1e15)
  t.ok(Math.abs(d[mean] - 1 + 1 / Math.E) < 0.15, `${d[mean]}`)
  const covariance = Object.keys(device).indexOf('covariance0')
  t.ok(d[covariance] > 1 && d[covariance] < 1.6, `${d[covariance]}: 1, and what the step adds`)
})
