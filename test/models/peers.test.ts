import t from 'tap'
import { BLOCK, device, peer, Peers, WIDTH } from '../../models/peers.ts'
import { key, normal } from '../../models/random.ts'

const DAY = 86_400_000, EVERY = 10_000, WITHIN = 60_000

/** Sets of values, one each ten seconds, through one device, of which NaN does not come; calls `see` with each reading. */
function run (sets: number, valuesOf: (i: number) => readonly number[], see: (i: number, k: number, model: Peers, judged: boolean) => void, span = DAY): void {
  const model = new Peers(), count = valuesOf(0).length, width = Object.keys(peer).length
  const d = Float64Array.from(Object.values(device)), s = new Float64Array(count * width)
  for (let k = 0; k < count; k++) s.set(Object.values(peer), k * width)
  for (let i = 0; i < sets; i++) valuesOf(i).forEach((x, k) => { if (!Number.isNaN(x)) see(i, k, model, model.take(d, 0, s, k * width, x, i * EVERY, WITHIN, 3.5, span)) })
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
  }, SPAN)
  return { after, before }
}

for (const when of [0, 5, 15, 17, 400]) {
  t.test(`one wild value in set ${when}, while it learns, hides nothing`, async t => {
    for (const glitch of [65535, -9999, 85, 1000, 0]) {
      const { after, before } = found((values, i) => i === when ? [glitch, ...values.slice(1)] : values)
      t.ok(after < 20 && before === 0, `${glitch}: found after ${after}, ${before} false alarms`)
    }
  })
}

const others: Readonly<Record<string, (i: number) => number>> = {
  'came once, at first': i => i === 0 ? 1 : NaN,
  'came once, after a long time': i => i === FROM - 2000 ? 1 : NaN,
  'comes every quarter of an hour': i => i % 90 === 0 ? normal(key(9), i) : NaN,
  'is removed': i => i < FROM - 1000 ? coupled(i)[0] + normal(key(9), i) : NaN,
  'never varies': () => 20,
  'comes anew': i => i < FROM - 500 ? NaN : coupled(i)[0] + normal(key(9), i)
}
for (const [name, value] of Object.entries(others)) {
  t.test(`a metric that ${name} does not keep the others from being judged`, async t => {
    const { after, before } = found((values, i) => [...values, value(i)])
    t.ok(after < 20 && before === 0, `found after ${after}, ${before} false alarms`)
  })
}
