import t from 'tap'
import { pass, tells, told } from '../../models/hygiene-told.ts'

const LIMIT = 6, CHANCE = 1e-4, DOUBLE = Math.log10(2)
function open (allowed = 0) {
  const m = Float64Array.from(Object.values(told))
  /** A reading with one finding, or none. */
  const give = (check?: Parameters<typeof tells>[2], evidence = 16): boolean => {
    const is = check !== undefined && evidence >= LIMIT && tells(m, 0, check, evidence, LIMIT, allowed)
    pass(m, 0, CHANCE, LIMIT, check === 'spike' ? evidence : 0, check === 'rate' ? evidence : 0)
    return is
  }
  const quiet = (n: number) => { for (let i = 0; i < n; i++) give() }
  /** So many readings, with that finding in each of some. */
  const train = (n: number, every: number, check: Parameters<typeof tells>[2], evidence?: number) => Array.from({ length: n }, (_, i) => i % every === 0 ? give(check, evidence) : give())
  return { give, quiet, train }
}
const count = (of: readonly boolean[]) => of.filter(Boolean).length

t.test('each finding doubles how rare the next of its kind has to be, and no other; the budget forgives', async t => {
  const { give, quiet } = open()
  t.ok(give('gap', LIMIT))
  t.notOk(give('gap', LIMIT + 0.9 * DOUBLE))
  t.ok(give('unit', LIMIT))
  t.ok(give('gap', LIMIT + 1.1 * DOUBLE))
  quiet(21_000)
  t.ok(give('gap', LIMIT))
})

t.test('whatever happens, of each kind there are those of the budget and as many more as there are doublings', async t => {
  const most = 1 + Math.ceil((16 - LIMIT) / DOUBLE)
  for (const check of ['stuck', 'gap', 'spike', 'rate', 'clipping', 'clock', 'unit'] as const) {
    const { give, quiet } = open(), of = Array.from({ length: 200 }, () => { const is = give(check); quiet(900); return is })
    const n = count(of), forgiven = 200 * 901 * CHANCE
    t.ok(n >= (16 - LIMIT) / DOUBLE && n <= most + forgiven, `${check}: ${n}`)
    t.ok(of.slice(0, 20).every(Boolean))
  }
})

t.test('spikes and changes that go on are one finding, told again when there is more of it', async t => {
  for (const check of ['spike', 'rate'] as const) {
    const { give, quiet, train } = open()
    t.strictSame([give(check, 8), give(check, 8), give(check, 9), give(check, 11), give(check, 11)], [true, false, false, true, false])
    t.equal(count(train(5000, 20, check, 11)), 0, 'for as long as it goes on')
    quiet(300)
    t.ok(give(check, 11))
  }
  const { give, quiet } = open()
  for (const evidence of [6.5, 8, 10, 13, 16]) give('rate', evidence)
  quiet(1000)
  t.notOk(give('rate', LIMIT + 0.7 * DOUBLE))
  quiet(1000)
  t.ok(give('rate', LIMIT + DOUBLE), 'all of that was one')
  quiet(1000)
  t.ok(give('rate', 12) && give('spike', 12), 'out is one, and back another')
})

t.test('what is held is told in each reading, for one finding, until it was away for a hundred', async t => {
  const { give, quiet } = open()
  t.equal(count(Array.from({ length: 5000 }, () => give('stuck', LIMIT))), 5000)
  quiet(99)
  t.ok(give('clipping', LIMIT), 'which of the two it is may change')
  quiet(100)
  t.notOk(give('stuck', LIMIT))
})

t.test('spikes and changes that come back within a hundred readings are one, however long that goes on; behind a hundred they are another', async t => {
  for (const check of ['spike', 'rate'] as const) for (const every of [2, 27, 50, 99]) {
    const { give, quiet, train } = open()
    t.equal(count(train(5000, every, check)), 1, `${check} every ${every}`)
    quiet(100)
    t.notOk(give(check, LIMIT))
    t.ok(give(check))
  }
})

t.test('what is held and comes back within a hundred readings is another each thousand, so an endless train ends', async t => {
  for (const every of [2, 50, 99]) {
    const { train } = open(), events = 1 + Math.ceil((16 - LIMIT) / DOUBLE), forgiven = 200_000 * CHANCE
    const of = train(200_000, every, 'stuck')
    t.ok(of.slice(0, 1000).every((is, i) => is === (i % every === 0)), 'the first thousand are told')
    const n = count(of), most = (events + forgiven) * Math.ceil(1000 / every)
    t.ok(n > most / 4 && n <= most, `every ${every}: ${n} of at most ${most}`)
  }
})

t.test('as many events of a kind as the budget allows in its time cost nothing', async t => {
  const { give, quiet } = open(2), weak = () => { const is = give('gap', LIMIT + 0.1); quiet(200); return is }
  t.strictSame([weak(), weak(), weak(), weak()], [true, true, true, false])
  t.ok(give('gap', LIMIT + 1.1 * DOUBLE))
})
