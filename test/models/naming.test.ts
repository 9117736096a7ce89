import t from 'tap'
import { checks, type Check } from '../../models/hygiene.ts'
import { kinds, name, naming } from '../../models/naming.ts'
import { signals } from '../../models/portfolio.ts'

interface Row { readonly hygiene?: Check, readonly rate?: number, readonly anomaly?: typeof signals[number], readonly peers?: true }
/** The names as rows come in; `undefined` where nothing is wrong. */
const named = (rows: readonly Row[]) => {
  const m = new Float64Array(Object.keys(naming).length)
  return rows.map(({ hygiene, rate = 0, anomaly, peers }) => {
    const code = name(m, 0, { hygiene: hygiene === undefined ? 0 : checks.indexOf(hygiene) + 1, rate, anomaly: anomaly === undefined ? 0 : 1, signal: anomaly === undefined ? 0 : signals.indexOf(anomaly) + 1, peers: peers ? 1 : 0 })
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

t.test('an event is over when there was no alarm for a hundred readings, and the next is another', async t => {
  const out = named([jump, ...quiet(120), { peers: true }])
  t.strictSame([out[99], out[100], out.at(-2), out.at(-1)], ['shift', undefined, undefined, 'drift'])
})
