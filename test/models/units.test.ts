import t from 'tap'
import { conversions } from '../../models/units.ts'

const leads = (from: number, to: number) => conversions.some(({ factor, offset }) => Math.abs(factor * from + offset - to) <= 1e-9 * Math.abs(to))

t.test('values of one quantity in two units', async t => {
  for (const [from, to] of [
    [100, 212], [0, 273.15], [32, 273.15],                             // C, F, K
    [1, 1.01325], [1, 100], [100, 1450.3773773], [100, 689.4757293],      // pressure
    [1, 25.4], [1, 0.3048], [1, 1.609344], [10, 36], [10, 36 / 1.609344],
    [1, 2.2046226218], [1, 3.785411784], [1, 0.745699872], [Math.PI, 180], [50, 3000], [1, 3600], [1, 1e6]
  ]) t.ok(leads(from, to), `${from} to ${to}`)
  t.notOk(leads(3, 7))
})

t.test('what one conversion does another undoes, and none is there twice', async t => {
  for (const { factor, offset } of conversions) t.ok(conversions.some(back => Math.abs(back.factor * (20 * factor + offset) + back.offset - 20) < 1e-9), `${factor}, ${offset}`)
  t.equal(new Set(conversions.map(({ factor, offset }) => `${factor} ${offset}`)).size, conversions.length)
})
