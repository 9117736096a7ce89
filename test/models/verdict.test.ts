import t from 'tap'
import { causes, device, series, Verdict, type Said } from '../../models/verdict.ts'

const EVERY = 10_000, HOUR = 3_600_000, LASTS = 6 * HOUR
const nothing: Said = { sure: 0, odd: 0, moved: 0, alarm: false, noisy: false, value: 1, usual: 0, peers: 0, rest: 0, parted: false }

/** A device with some metrics. `say` takes what is said of each at one instant (what is not given is nothing); it returns what each is told, as a cause and whether it is concerned. */
function bench (metrics: number, order = [...Array(metrics).keys()]) {
  const d = Float64Array.from(Object.values(device)), width = Object.keys(series).length, all = new Float64Array(metrics * width)
  for (let k = 0; k < metrics; k++) all.set(Object.values(series), k * width)
  const model = new Verdict(d, all, LASTS), places = order.map(k => k * width)
  let n = 0
  const say = (...given: Partial<Said>[]): string[] => {
    const said = Array.from({ length: metrics }, (_, k) => {
      model.take(0, k * width, { ...nothing, ...given[k] }, n * EVERY, places)
      return model.concerns(0, k * width) ? causes[model.cause - 1] : '-'
    })
    n++
    return said
  }
  const often = (times: number, ...given: Partial<Said>[]) => { let last: string[] = []; for (let i = 0; i < times; i++) last = say(...given); return last }
  return { say, often, model, width }
}
const parted = (peers: number, rest: number): Partial<Said> => ({ peers, rest, parted: true })
const jump = (moved: number): Partial<Said> => ({ moved, alarm: true })
const DAY = 24 * HOUR / EVERY

t.test('what hygiene is sure of is the sensor, for as long as it says so and a hundred readings', async t => {
  const { say, often } = bench(3)
  t.strictSame(say({}, { sure: 7 }, {}), ['-', 'sensor', '-'])
  t.strictSame(often(99), ['-', 'sensor', '-'])
  t.strictSame(often(3), ['-', '-', '-'])
})

t.test('a metric that leaves the others, which agree without it, is a sensor, although the others disagree with it too', async t => {
  const { say, often } = bench(4)
  say(parted(4, 7), parted(9, 0.5), parted(4, 7), {})
  t.strictSame(often(50, parted(4, 7), parted(9, 1.7), parted(4, 7)), ['-', 'sensor', '-', '-'])
  t.strictSame(often(5000, parted(4, 7), parted(9, 2.4), parted(4, 7)), ['-', 'sensor', '-', '-'], 'in a long event something like that comes by chance')
})

t.test('metrics that disagree whichever is left out are the device, and remain so', async t => {
  const { often, model } = bench(4)
  t.strictSame(often(20, parted(5, 1.5), parted(4, 6), {}, {}), ['sensor', '-', '-', '-'])
  t.strictSame(often(20, parted(5, 4.5), parted(4, 6), {}, {}), ['device', 'device', '-', '-'])
  t.equal(model.evidence(0), 4.5, 'what remains when the one is left out that explains most')
  t.strictSame(often(20, parted(5, 0), parted(4, 0), {}, {}), ['device', 'device', '-', '-'])
})

t.test('a reading so wild that others, predicted from it, disagree is its sensor when they agree without it, and nothing while it is not known whether it comes back', async t => {
  const { say, often } = bench(4), wild = { odd: 16, moved: 16, alarm: true, value: -9999 }
  often(2 * DAY)
  t.strictSame(say(wild, parted(3, 5), {}, {}), ['-', '-', '-', '-'])
  t.strictSame(say({ odd: 16 }, parted(3, 5), {}, {}), ['sensor', '-', '-', '-'])
  t.strictSame(often(99, {}, { rest: 5 }), ['sensor', '-', '-', '-'])
  const other = bench(4)
  other.often(2 * DAY)
  other.say(wild, parted(3, 5), {}, {})
  t.strictSame(other.often(5, { rest: 5 }, parted(3, 5), {}, {}), ['device', 'device', '-', '-'], 'they do not agree without it')
})

t.test('of two metrics nobody knows which one is wrong', async t => {
  const { often } = bench(2)
  t.strictSame(often(50, { ...parted(9, NaN) }, { ...parted(9, NaN) }), ['-', '-'])
})

t.test('metrics that move together and agree are the device, until that is over', async t => {
  const { say, often } = bench(3)
  often(2 * DAY)
  t.strictSame(say(jump(8), {}, {}), ['-', '-', '-'], 'one metric alone, of which nobody knows')
  t.strictSame(say({}, { moved: 5 }, {}), ['-', 'device', '-'])
  t.strictSame(say(), ['device', 'device', '-'])
  t.strictSame(often(LASTS / EVERY - 5), ['device', 'device', '-'])
  t.strictSame(often(10), ['-', '-', '-'])
})

t.test('far from what is usual at the hour, in two metrics and for long, is another regime: the model', async t => {
  const { say, often } = bench(3)
  often(2 * DAY)
  say(jump(8), jump(7), {})
  const far = { value: 4 }
  t.strictSame(often(300, far, far), ['device', 'device', '-'])
  t.strictSame(often(900, far, far), ['model', 'model', '-'])
  t.strictSame(often(2 * DAY, far, far), ['model', 'model', '-'], 'while it lasts, although nothing is said any more')
  t.strictSame(often(20, { ...far, ...parted(5, 5) }, { ...far, ...parted(5, 5) }), ['model', 'model', '-'], 'where the metrics have never been they disagree a little')
  const near = { value: 1.8 }
  t.strictSame(often(DAY, near, near), ['model', 'model', '-'], 'it does not come and go')
  t.strictSame(often(DAY), ['-', '-', '-'])
  t.strictSame(often(DAY / 2, near, near), ['-', '-', '-'])
})

t.test('what is as it was a week ago is no other regime, at another hour of the week it is, and farther too', async t => {
  const { often } = bench(3), far = { value: 6 }, told: boolean[] = []
  const week = (excursion: number, given: Partial<Said>) => {
    let model = false
    for (let day = 0; day < 7; day++) for (let k = 0; k < 2; k++) if (often(DAY / 2, ...day === excursion && k === 0 ? [given, given] : []).includes('model')) model = true
    told.push(model)
  }
  week(-1, far)
  for (const [day, given] of [[2, far], [2, far], [2, far], [4, far], [2, { value: 12 }]] as const) week(day, given)
  t.strictSame(told, [false, true, false, false, true, true])
})

t.test('behind a switch, at which two metrics jump, nothing counts for an hour but what hygiene is sure of; one that jumps is no switch', async t => {
  const loud = { ...jump(9), ...parted(9, 9) }
  const one = bench(3), two = bench(3), on = { value: 50, usual: 50 }, noise = (k: number): Partial<Said> => ({ value: 1 + 0.5 * (k % 2) })
  for (const b of [one, two]) for (let k = 0; k < 2 * DAY; k++) b.say(noise(k), noise(k), noise(k))
  t.strictSame([one.say({ ...on, odd: 9 }, {}, {})[0], one.say(on, {}, {})[0]], ['-', 'sensor'], 'what is said of a jump waits for the next reading')
  two.say(on, on, {})
  t.strictSame(two.say({ ...on, ...loud }, { ...on, ...loud }, {}), ['-', '-', '-'])
  t.strictSame(two.say({ ...on, sure: 7 }, { ...on, ...loud }, {}), ['sensor', '-', '-'])
  two.often(365, on, on)
  t.strictSame(two.say({ ...on, ...loud }, { ...on, ...loud }, {}), ['device', 'device', '-'])
})

t.test('one metric that is far is no regime, and nothing is far before it is known what is usual', async t => {
  const one = bench(3), early = bench(3)
  one.often(2 * DAY)
  t.strictSame(one.often(DAY, { value: 9 }), ['-', '-', '-'])
  t.strictSame(one.say({ ...jump(9), value: 9 }), ['-', '-', '-'])
  t.strictSame(early.often(1000, { value: 9 }, { value: 9 }), ['-', '-', '-'])
})

t.test('one wild reading makes no metric far', async t => {
  const { say, often } = bench(3)
  often(2 * DAY)
  say({ value: 65_535 }, { value: 65_535 }, {})
  for (let i = 0; i < DAY; i++) if (say(jump(5), jump(5)).includes('model')) return t.fail(`model after ${i}`)
  t.ok(true)
})

t.test('metrics that move together are no one sensor, and disagree only when they do for most of an hour', async t => {
  const { say, often, model } = bench(4)
  say(jump(9), jump(5), {}, {})
  t.strictSame(often(100, parted(9, 1), parted(5, 9), {}, {}), ['device', 'device', '-', '-'])
  t.equal(model.evidence(0), 9, 'that they moved')
  t.strictSame(often(400, parted(9, 1), parted(5, 9), {}, {}), ['device', 'device', '-', '-'], 'although the others agree without the first')
  t.equal(model.evidence(0), 1, 'that they disagree')
})

t.test('a spike, or noise, of one metric is a sensor; of two at once it is not', async t => {
  t.strictSame(bench(3).say({ odd: 6 }), ['sensor', '-', '-'])
  t.strictSame(bench(3).say({ moved: 6, alarm: true, noisy: true }), ['sensor', '-', '-'])
  const { say } = bench(3)
  say({ odd: 6, moved: 6 }, { odd: 6, moved: 6 })
  t.strictSame(say(), ['device', 'device', '-'])
})

t.test('whether metrics agree is not known before peers has learned: then moves are no verdict', async t => {
  const { say } = bench(3), unknown = { peers: NaN, rest: NaN }
  say({ ...jump(9), ...unknown }, { ...jump(9), ...unknown }, unknown)
  t.strictSame(say(unknown, unknown, unknown), ['-', '-', '-'])
})

t.test('the order in which the metrics of a device are known does not matter', async t => {
  const script: Partial<Said>[][] = [[parted(4, 1), parted(9, 1)], [jump(5), jump(6), {}], [{ sure: 5 }], [{}, parted(3, 6)]]
  const run = (order: number[]) => { const { often } = bench(3, order); return script.flatMap((row, i) => often(30 + 70 * i, ...row)) }
  t.strictSame(run([2, 1, 0]), run([0, 1, 2]))
})

t.test('the next event knows nothing of the one before', async t => {
  const { often } = bench(4)
  often(20, parted(5, 8), parted(4, 8), {}, {})
  t.strictSame(often(150), ['-', '-', '-', '-'])
  t.strictSame(often(5, {}, {}, parted(5, 8), parted(4, 8)), ['-', '-', 'device', 'device'])
})
