import t from 'tap'
import { across } from '../../operators/across.ts'
import { hotelling } from '../../operators/hotelling.ts'
import { tumbling } from '../../operators/tumbling.ts'
import { chain } from '../laws/chain.ts'
import { normal } from '../models/random.ts'
import { bench, inPieces, through, type Given } from './table.ts'

const columns = ['load_last', 'flow_last', 'temp_last'] as const
type Options = Partial<Parameters<typeof hotelling>[0]>
const steps = (options: Options = {}) => chain(tumbling({ every: '10s', features: ['last'] }), across({ metrics: ['load', 'flow', 'temp'], columns: ['last'] }), hotelling({ columns, samples: 100, ...options }))

/** Three metrics of a hidden load, `temp` every third time only; `change` sees what is read. */
function plant (n: number, seed: number, change: (metric: string, i: number, value: number) => number = (_, __, x) => x, device = 'pump'): Given[] {
  const z = normal(seed)
  let h = 0
  return Array.from({ length: n }, (_, i) => {
    h = 0.9 * h + z()
    const read = { load: 10 + h + 0.1 * z(), flow: 300 - 50 * h + 5 * z(), temp: 60 + 2 * h + 0.2 * z() }
    return Object.entries(read).filter(([metric]) => metric !== 'temp' || i % 3 === 0).map(([metric, x], k): Given => [10 * i + k, `${device}/${metric}`, change(metric, i, x)])
  }).flat()
}
const rows = (given: readonly Given[], options?: Options) => through(steps(options), given)
const verdict = ['hotelling', 'hotelling_p', 'hotelling_signal', 'hotelling_t2', 'hotelling_spe', 'hotelling_alarm', ...columns.map(c => `hotelling_${c}_share`)]

t.test('while it learns it says how far it is, and nothing else', async t => {
  const out = rows(plant(130, 1))
  t.strictSame(out.map(r => r.hotelling_learned), out.map((_, i) => Math.min(i, 100)))
  t.ok(out.slice(0, 100).every(r => verdict.every(c => Number.isNaN(r[c]))))
  t.ok(out.slice(100).every(r => verdict.every(c => !Number.isNaN(r[c]))))
})

t.test('a metric that moves against the others is an alarm, not one in each row, with its name, although its values are usual ones', async t => {
  const given = plant(2000, 2, (metric, i, x) => metric === 'flow' && i >= 1900 ? 600 - x : x), out = rows(given, { per: '20000s' })
  const alarms = out.flatMap((r, i) => r.hotelling_alarm === 1 ? [i] : [])
  t.ok(alarms.length > 0 && alarms.at(-1)! >= 1900 && alarms.find(i => i >= 1900)! < 1960 && alarms.length < 8, alarms.join())
  const shares = columns.map(c => out[alarms.at(-1)!][`hotelling_${c}_share`] as number)
  t.ok(shares[1] > 0.5 && Math.abs(shares[0] + shares[1] + shares[2] - 1) < 1e-9, shares.join())
})

t.test('a metric that comes less often stands in for itself, up to `hold`', async t => {
  const given = plant(200, 3)
  t.ok(rows(given, { hold: '20s' }).every((r, i) => r.hotelling_learned === Math.min(i, 100)))
  t.ok(rows(given, { hold: '10s' }).at(-1)!.hotelling_learned === 100 && rows(given.slice(0, 300), { hold: '10s' }).at(-1)!.hotelling_learned as number < 90, 'every third row has no temp and teaches nothing')
})

t.test('a number too large to be squared is none, and a smaller one does not silence it', async t => {
  const wild = (x: number) => plant(400, 8, (metric, i, value) => metric === 'flow' && (i === 3 || i === 150 || i === 151) ? (i % 2 === 0 ? x : -x) : value)
  for (const x of [1e100, 1e160, Number.MAX_VALUE]) t.strictSame(rows(wild(x)).map(r => ({ ...r, flow_last: 0 })), rows(wild(NaN)).map(r => ({ ...r, flow_last: 0 })), `${x}`)
  t.ok(rows(wild(9.9e99)).slice(200).every(r => verdict.every(c => Number.isFinite(r[c]))))
})

t.test('when a metric dies the others are watched on', async t => {
  const given = plant(2200, 4, (metric, i, x) => metric === 'flow' && i === 2150 ? 900 : x).filter(([s, series]) => series !== 'pump/temp' || s < 20_000)
  const out = rows(given, { hold: '30s' })
  t.equal(out[2150].hotelling_alarm, 1)
  t.ok(out.slice(2010, 2150).every(r => r.hotelling_alarm === 0))
  t.equal(out[2150].hotelling_temp_last_share as number < 0.2, true)
})

t.test('a larger budget gives more alarms: about so many as it says, or fewer', async t => {
  const given = plant(20_000, 5)
  const alarms = (options: Options) => { const b = bench(steps(options)); return given.flatMap((_, i) => i % 1000 === 0 ? b.give(given.slice(i, i + 1000)) : []).filter(r => r.hotelling_alarm === 1).length }
  const few = alarms({ per: '20000s' }), many = alarms({ per: '2000s' })
  t.ok(few <= 15 && many >= 20 && many <= 110, `${few} of 10, ${many} of 100`)
})

t.test('a long stream in pieces, with a snapshot between any two and beside another device, gives the same', async t => {
  const flip = (metric: string, i: number, x: number) => metric === 'flow' && i >= 350 && i < 355 ? x + 300 : x
  const given = [...plant(400, 6, flip), ...plant(400, 7, flip, 'fan')].sort((a, b) => a[0] - b[0])
  const alone = through(steps({ per: '20000s' }), given.filter(r => r[1].startsWith('pump')))
  const got = inPieces(() => steps({ per: '20000s' }), given).filter(r => r.series === 'pump/all')
  t.strictSame(got, alone.slice(0, got.length))
  t.ok(got.some(r => r.hotelling_alarm === 1))
})

t.test('refuses what cannot be', async t => {
  t.throws(() => hotelling({ columns: ['a'] }), { code: 'config/invalid' })
  t.throws(() => hotelling({ columns: ['a', 'b'], samples: 20 }), { message: /2 columns needs at least 72 rows/ })
  t.throws(() => hotelling({ columns: Array.from({ length: 40 }, (_, i) => `c${i}`) }), { message: /at least 224 rows/ })
})
