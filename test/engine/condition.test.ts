import t from 'tap'
import { Batch, columnsOf, evaluate, FAILS, HOLDS, UNKNOWN, type Condition } from '#engine'
import { describe, faultOf } from '../../engine/condition.ts'

const holds = (condition: Condition, value: number[], columns: Record<string, number[]> = {}) => [...evaluate(condition, new Batch({
  time: new Float64Array(value.length), series: new Int32Array(value.length), value: Float64Array.from(value),
  columns: Object.fromEntries(Object.entries(columns).map(([name, c]) => [name, Float64Array.from(c)]))
}))]

t.test('every test does what its name says', async t => {
  const x = [1, 2, 3]
  t.strictSame(holds({ value: { above: 2 } }, x), [FAILS, FAILS, HOLDS])
  t.strictSame(holds({ value: { below: 2 } }, x), [HOLDS, FAILS, FAILS])
  t.strictSame(holds({ value: { atLeast: 2 } }, x), [FAILS, HOLDS, HOLDS])
  t.strictSame(holds({ value: { atMost: 2 } }, x), [HOLDS, HOLDS, FAILS])
  t.strictSame(holds({ value: { equals: 2 } }, x), [FAILS, HOLDS, FAILS])
  t.strictSame(holds({ value: { inside: [2, 3] } }, x), [FAILS, HOLDS, HOLDS])
  t.strictSame(holds({ value: { outside: [2, 3] } }, [1, 2, 3, 4]), [HOLDS, FAILS, FAILS, HOLDS])
  t.strictSame(holds({ value: { above: 1, below: 3 } }, x), [FAILS, HOLDS, FAILS])
})

t.test('columns and `all` must all hold, of `any` one', async t => {
  const a = [1, 1, 0, 0], b = [1, 0, 1, 0]
  const one = { equals: 1 }
  t.strictSame(holds({ a: one, b: one }, a, { a, b }), [HOLDS, FAILS, FAILS, FAILS])
  t.strictSame(holds({ all: [{ a: one }, { b: one }] }, a, { a, b }), [HOLDS, FAILS, FAILS, FAILS])
  t.strictSame(holds({ any: [{ a: one }, { b: one }] }, a, { a, b }), [HOLDS, HOLDS, HOLDS, FAILS])
  t.strictSame(holds({ a: one, any: [{ b: one }, { all: [{ b: { equals: 0 } }] }] }, a, { a, b }), [HOLDS, HOLDS, FAILS, FAILS])
})

t.test('a missing value makes a condition unknown unless the rest decides it', async t => {
  const a = [NaN, NaN, NaN], b = [1, 0, NaN]
  const one = { equals: 1 }
  t.strictSame(holds({ a: one, b: one }, a, { a, b }), [UNKNOWN, FAILS, UNKNOWN])
  t.strictSame(holds({ any: [{ a: one }, { b: one }] }, a, { a, b }), [HOLDS, UNKNOWN, UNKNOWN])
})

t.test('names the columns that it reads, each once', async t => {
  t.strictSame(columnsOf({ value: { above: 1 }, any: [{ z: { above: 1 } }, { all: [{ z: { below: 0 }, y: { equals: 1 } }] }] }), ['value', 'z', 'y'])
})

t.test('says in words what it found', async t => {
  const now = (column: string) => ({ z: '5.2', value: '93' })[column] ?? '?'
  t.equal(describe({ z: { above: 4 }, value: { inside: [90, 95] } }, now), 'z is 5.2 (above 4) and value is 93 (inside 90 to 95)')
  t.equal(describe({ any: [{ z: { atLeast: 4, below: 9 } }, { value: { equals: 1 } }] }, now), 'z is 5.2 (at least 4, below 9) or value is 93 (equal to 1)')
})

t.test('finds what is wrong with a condition', async t => {
  t.equal(faultOf({ value: { above: 1 }, any: [{ z: { inside: [1, 2] } }] }), undefined)
  t.match(faultOf({}), /says nothing/)
  t.match(faultOf({ value: {} }), /"value" needs a test/)
  t.match(faultOf({ value: { over: 1 } as object }), /"value.over" is no test; there are: above, below, at/)
  t.match(faultOf({ value: { above: '1' as unknown as number } }), /"value.above" must be a number, got "1"/)
  t.match(faultOf({ all: [{ z: { inside: [2, 1] } }] }), /"z.inside" must be \[low, high\], got \[2,1\]/)
  t.match(faultOf({ any: [] }), /"any" must be a list/)
})
