import t from 'tap'
import { key, normal } from '../../models/random.ts'
import { change } from '../../operators/change.ts'
import { each, inPieces, through, type Given, type Got } from './table.ts'

type Options = NonNullable<Parameters<typeof change>[0]>
const methods = ['cusum', 'page_hinkley', 'adwin', 'kswin'] as const
const noise = (n: number, seed: number) => Array.from({ length: n }, (_, i) => 50 + 2 * normal(key(seed), i))
const rows = (values: readonly number[], options: Options = {}) => through(change(options), each(values))
const changes = (out: readonly Got[]) => out.flatMap((r, i) => r.change === 1 ? [i] : [])

t.test('while it learns it says how far it is, and nothing else', async t => {
  const out = rows(noise(60, 1), { samples: 50 }), columns = ['change', 'change_size', 'change_after']
  t.strictSame(out.map(r => r.change_learned), Array.from({ length: 60 }, (_, i) => Math.min(i, 50)))
  t.ok(out.slice(0, 50).every(r => columns.every(c => Number.isNaN(r[c]))))
  t.ok(out.slice(50).every(r => columns.every(c => r[c] === 0)))
})

t.test('finds a shift of the mean, says since when and by how much, and learns anew', async t => {
  for (const method of methods) {
    const out = rows([...noise(1000, 2), ...noise(1000, 3).map(x => x + 4)], { method, runLength: 1_000_000 }), [first, ...more] = changes(out), found = out[first]
    t.ok(first >= 1000 && first < 1050 && more.length === 0, `${method}: ${changes(out).join()}`)
    const began = first + 1 - (found.change_after as number)
    t.ok(Math.abs(began - 1000) <= (method === 'adwin' ? 16 : method === 'kswin' ? 30 : 5), `${method}: began at ${began}`)
    t.ok(found.change_size as number > 0.8 && found.change_size as number < 2.8, `${method}: ${found.change_size}`)
    t.strictSame([out[first + 1].change_learned, out[first + 1].change], [0, NaN], method)
  }
})

t.test('downward too', async t => {
  for (const method of methods) {
    const found = rows([...noise(1000, 4), ...noise(200, 5).map(x => x - 4)], { method, runLength: 1_000_000 }).find(r => r.change === 1)
    t.ok(found!.change_size as number < -0.8, `${method}: ${found?.change_size}`)
  }
})

t.test('kswin finds a spread that grows many times', async t => {
  const found = changes(rows([...noise(1000, 6), ...noise(300, 7).map(x => 50 + 8 * (x - 50))], { method: 'kswin', runLength: 100_000 }))
  t.ok(found[0] >= 1000 && found[0] < 1100, found.join())
})

t.test('a spike is no change', async t => {
  const values = noise(1500, 8)
  values[700] += 1000
  for (const method of methods) t.strictSame(changes(rows(values, { method, runLength: 1_000_000 })), [], method)
})

t.test('one wild reading, whenever it comes, hides no later shift and makes no change', async t => {
  for (const method of ['cusum', 'page_hinkley'] as const) {
    for (const [what, calm] of Object.entries({ noisy: noise(1200, 15), constant: noise(1200, 15).map(() => 50) })) {
      for (const when of [undefined, 0, 1, 10, 20, 50, 700]) {
        for (const wild of when === undefined ? [50] : [0, 85, -9999, 65535, 3.4e38]) {
          const out = changes(rows(calm.map((x, i) => i === when ? wild : i < 1000 ? x : x + 6), { method }))
          t.ok(out.length === 1 && out[0] >= 1000 && out[0] < 1012, `${method}, ${what}, ${wild} at ${when}: ${out.join()}`)
        }
      }
    }
  }
})

t.test('a larger shift than expected is found at once, a smaller one later', async t => {
  const late = (by: number, shift: number) => changes(rows([...noise(2000, 9), ...noise(400, 10).map(x => x + 2 * by)], { shift, runLength: 100_000 }))[0] - 2000
  t.ok(late(6, 1) <= 4, `${late(6, 1)}`)
  t.ok(late(0.4, 0.4) < late(0.4, 2) || Number.isNaN(late(0.4, 2)), `${late(0.4, 0.4)}, ${late(0.4, 2)}`)
})

t.test('false changes are as rare as the run length says, also in an autoregression', async t => {
  for (const r of [0, 0.9]) {
    for (const method of methods) {
      let x = 0
      const values = Array.from({ length: 60_000 }, (_, i) => x = r * x + normal(key(11), i)), count = changes(rows(values, { method, runLength: 1000 })).length
      t.ok(count >= 25 && count <= 90, `${method}, ${r}: ${count} of 60`)
    }
  }
})

t.test('kswin on rounded readings: false changes as rare as on others, and shifts are found', async t => {
  const rounded = (values: readonly number[], step: number) => values.map(x => Math.round(x / step) * step), options = { method: 'kswin', runLength: 1000 } as const
  for (const step of [0.2, 1, 2, 4]) {      // 0.1 to 2 standard deviations
    const count = changes(rows(rounded(noise(40_000, 16), step), options)).length
    t.ok(count >= 20 && count <= 80, `rounded to ${step}: ${count} of 40`)
    const found = Array.from({ length: 10 }, (_, k) => changes(rows(rounded([...noise(400, 20 + k), ...noise(100, 40 + k).map(x => x + 3)], step), { ...options, runLength: 10_000 })).some(i => i >= 400)).filter(Boolean).length
    t.ok(found >= 8, `rounded to ${step}: ${found} of 10 shifts of 1.5 sd`)
  }
})

t.test('a reading without a finite value has no change and teaches nothing', async t => {
  const values = [...noise(300, 12), ...noise(100, 13).map(x => x + 6)]
  const whole = rows(values), gaps = rows(values.flatMap(x => [NaN, x, Infinity]))
  t.strictSame(gaps.filter((_, i) => i % 3 === 1).map(r => ({ ...r, at: 0 })), whole.map(r => ({ ...r, at: 0 })))
  t.ok(gaps.filter((_, i) => i % 3 !== 1).every(r => r.change !== 1))
})

t.test('a value too large to be squared is none, and a smaller one does not silence it', async t => {
  for (const method of methods) {
    for (const calm of [noise(1200, 17), noise(1200, 17).map(() => 50)]) {
      const wild = (x: number) => calm.flatMap((value, i) => [0, 3, 40, 700].includes(i) ? [x, -x, i < 1000 ? value : value + 6] : [i < 1000 ? value : value + 6])
      const without = rows(wild(NaN), { method })
      for (const x of [1e100, 1e160, Number.MAX_VALUE]) t.strictSame(rows(wild(x), { method }).map(r => ({ ...r, value: 0 })), without.map(r => ({ ...r, value: 0 })), `${method}, ${x}`)
    }
    const found = changes(rows(noise(1200, 17).map((x, i) => [0, 40, 700, 701].includes(i) ? 9.9e99 * (-1) ** i : i < 1000 ? x : x + 6), { method }))
    t.ok(found.some(i => i >= 1000 && i < 1016), `${method}: ${found.join()}`)
  }
})

t.test('a series that never varied: other values that stay are a change', async t => {
  for (const method of ['cusum', 'page_hinkley', 'kswin'] as const) {
    const out = changes(rows([...Array.from({ length: 400 }, () => 5), ...Array.from({ length: 60 }, () => 5.01)], { method }))
    t.ok(out.length === 1 && out[0] >= 400, `${method}: ${out.join()}`)
  }
})

t.test('a long stream in pieces, with a snapshot between them and beside another series, gives the same', async t => {
  for (const method of methods) {
    const options = { method, samples: 50, runLength: 1000 }
    const mixed = noise(900, 14).flatMap((x, i): Given[] => [[i * 60, 'a/x', x + (i > 500 ? 5 : 0)], [i * 60, 'b/x', Math.abs(x)]])
    const alone = through(change(options), mixed.filter(r => r[1] === 'a/x'))
    t.strictSame(inPieces(() => change(options), mixed).filter(r => r.series === 'a/x'), alone, method)
    t.ok(changes(alone).length >= 1, method)
  }
})

t.test('options that cannot be are named', async t => {
  t.throws(() => change({ method: 'ddm' as 'cusum' }), /method/)
  t.throws(() => change({ runLength: 10 }), /runLength/)
  t.throws(() => change({ shift: 0 }), /shift/)
})
