import t from 'tap'
import { BLOCK, device, peer, Peers, WIDTH } from '../../models/peers.ts'
import { key, normal } from '../../models/random.ts'

const DAY = 86_400_000, EVERY = 10_000, WITHIN = 60_000

/** Sets of values, one each ten seconds, through one device; calls `see` with each reading. */
function run (sets: number, valuesOf: (i: number) => readonly number[], see: (i: number, k: number, model: Peers, judged: boolean) => void): void {
  const model = new Peers(), count = valuesOf(0).length, width = Object.keys(peer).length
  const d = Float64Array.from(Object.values(device)), s = new Float64Array(count * width)
  for (let k = 0; k < count; k++) s.set(Object.values(peer), k * width)
  for (let i = 0; i < sets; i++) valuesOf(i).forEach((x, k) => { see(i, k, model, model.take(d, 0, s, k * width, x, i * EVERY, WITHIN, 3.5, DAY)) })
}
const coupled = (i: number, offset = 0) => {
  const load = Math.sin(2 * Math.PI * i * EVERY / DAY) + 0.3 * Math.sin(i / 100)
  return [10 + 5 * load + 0.2 * normal(key(1), i) + offset, 3 - 2 * load + 0.1 * normal(key(2), i), 40 * load + normal(key(3), i)]
}
const LEARNT = DAY / EVERY + 33 * BLOCK

t.test('what the others let expect is the least-squares prediction', async t => {
  let off = 0, n = 0
  run(LEARNT + 2000, i => coupled(i), (i, k, { expected }, judged) => {
    if (!judged || k !== 0 || i < LEARNT) return
    off += (expected - coupled(i)[0]) ** 2
    n++
  })
  t.equal(n, 2000)
  t.ok(Math.sqrt(off / n) < 0.27, `${Math.sqrt(off / n)}: the noise is 0.2, that of the others 0.1 / 2 * 5 and 1 / 40 * 5 each, together less`)
})

t.test('nothing is judged before it has learned, of what stays away, or of a ninth metric', async t => {
  run(LEARNT - 200, i => coupled(i), (i, k, _, judged) => { if (judged) t.fail(`reading ${i} of ${k}`) })
  run(LEARNT + 500, i => i > LEARNT + 100 ? [coupled(i)[0]] : coupled(i), (i, _, __, judged) => { if (i > LEARNT + 107 && judged) t.fail(`reading ${i}`) })
  run(LEARNT + 10, i => Array.from({ length: WIDTH + 1 }, (_, k) => coupled(i)[0] + normal(key(50 + k), i)), (i, k, _, judged) => { if (i > LEARNT && judged !== k < WIDTH) t.fail(`metric ${k}`) })
})

t.test('one wrong metric, however wrong, leaves the others in agreement without it; two do not', async t => {
  const from = LEARNT + 4000, four = (i: number, off: readonly number[]) => [...coupled(i), 7 + 3 * Math.sin(2 * Math.PI * i * EVERY / DAY) + 0.9 * Math.sin(i / 100) + 0.1 * normal(key(4), i)].map((x, k) => x + (i < from ? 0 : off[k]))
  const most = (off: readonly number[]) => {
    const rest = [0, 0, 0, 0], own = [0, 0, 0, 0]
    run(from + 1000, i => four(i, off), (i, k, model) => {
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
