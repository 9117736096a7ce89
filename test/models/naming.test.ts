import t from 'tap'
import { checks, type Check } from '../../models/hygiene.ts'
import { kinds, name, naming } from '../../models/naming.ts'
import { signals } from '../../models/portfolio.ts'

interface Row { readonly hygiene?: Check, readonly spike?: number, readonly rate?: number, readonly anomaly?: typeof signals[number], readonly peers?: true }
/** The names as rows come in; `undefined` where nothing is wrong. */
const named = (rows: readonly Row[]) => {
  const m = new Float64Array(Object.keys(naming).length)
  return rows.map(({ hygiene, spike = 0, rate = 0, anomaly, peers }) => {
    const code = name(m, 0, { hygiene: hygiene === undefined ? 0 : checks.indexOf(hygiene) + 1, spike, rate, anomaly: anomaly === undefined ? 0 : 1, signal: anomaly === undefined ? 0 : signals.indexOf(anomaly) + 1, peers: peers ? 1 : 0 })
    return code === 0 ? undefined : kinds[code - 1]
  })
}
const quiet = (n: number): Row[] => Array.from({ length: n }, () => ({}))
const jump: Row = { hygiene: 'rate', rate: 16 }

t.test('a jump is a shift until more is known: a spike, or a unit', async t => {
  t.strictSame(named([{}, jump, {}, {}]), [undefined, 'shift', 'shift', 'shift'])
  t.strictSame(named([jump, { hygiene: 'spike', rate: 16 }, {}]), ['shift', 'spike', 'spike'])
  t.equal(named([jump, ...quiet(14), { hygiene: 'unit' }]).at(-1), 'unit')
})

t.test('what began an event and went back, as by chance in 1 of 1,000, is a spike; not later, and not more often', async t => {
  t.strictSame(named([{ anomaly: 'level' }, { spike: 3 }, {}]), ['shift', 'spike', 'spike'])
  t.strictSame(named([{ hygiene: 'rate', rate: 7, spike: 5 }, {}]), ['spike', 'spike'])
  t.strictSame(named([{ anomaly: 'level' }, { spike: 2.9 }]), ['shift', 'shift'])
  t.strictSame(named([{ anomaly: 'level' }, {}, { spike: 5 }]), ['shift', 'shift', 'shift'])
  t.strictSame(named([{ spike: 5 }, {}]), [undefined, undefined], 'nobody has said that anything is wrong')
})

t.test('an alarm that began without a jump is a drift, also when it ends with one', async t => {
  t.strictSame(named([{ peers: true }, {}, {}, jump]), ['drift', 'drift', 'drift', 'drift'])
  t.strictSame(named([{ anomaly: 'season' }]), ['drift'])
})

t.test('many unusual changes are noise, a few in a long time are not', async t => {
  t.equal(named([jump, ...Array.from({ length: 11 }, (): Row => ({ hygiene: 'spike', rate: 16 }))]).at(-1), 'noise')
  t.equal(named([jump, ...Array.from({ length: 400 }, (_, i): Row => i % 50 === 0 ? { rate: 2, peers: true } : {})]).at(-1), 'shift')
})

t.test('what explains the others is the name, whichever came first', async t => {
  t.equal(named([{ hygiene: 'stuck' }, { hygiene: 'clipping' }, { hygiene: 'stuck' }]).at(-1), 'clip')
  t.equal(named([{ hygiene: 'gap' }, jump, { hygiene: 'clock' }]).at(-1), 'clock')
  t.equal(named([{ hygiene: 'gap' }, { anomaly: 'dynamics' }]).at(-1), 'dropout')
})

t.test('each of these explains those behind it', async t => {
  const order = [['clock', 'clock'], ['gap', 'dropout'], ['clipping', 'clip'], ['unit', 'unit'], ['stuck', 'stuck'], ['spike', 'spike']] as const
  order.forEach(([first, kind], i) => { for (const [later] of order.slice(i)) for (const rows of [[first, later], [later, first]] as const) t.equal(named(rows.map(hygiene => ({ hygiene }))).at(-1), kind, rows.join()) })
})

t.test('a value out of its range, or at another level, at the begin is a shift', async t => {
  t.strictSame(named([{ hygiene: 'range' }, {}, { hygiene: 'range' }]), ['shift', 'shift', 'shift'])
  t.strictSame(named([{ anomaly: 'level' }, {}]), ['shift', 'shift'])
})

t.test('as many unusual changes as chance gives in so long a time, a spike makes and four deviations more are no noise, one more is', async t => {
  const event = (unusual: number) => named(Array.from({ length: 200 }, (_, i): Row => ({ rate: i < unusual ? 2 : 0, ...i % 50 === 0 ? { peers: true } : {} }))).at(-1)
  t.strictSame([17, 18].map(event), ['drift', 'noise'], '200 readings: 4 by chance, 8 for four deviations, 2 and 3')
})

t.test('an event is over when there was no alarm for a hundred readings, and the next is another', async t => {
  const out = named([jump, ...quiet(120), { peers: true }])
  t.strictSame([out[99], out[100], out.at(-2), out.at(-1)], ['shift', undefined, undefined, 'drift'])
})
