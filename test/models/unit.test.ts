import t from 'tap'
import * as steps from '../../models/step.ts'
import { conversions } from '../../models/units.ts'
import { Unit, unit } from '../../models/unit.ts'
import { normal } from './random.ts'

const density = (x: number, mean: number, deviation: number) => Math.exp(-(((x - mean) / deviation) ** 2) / 2) / deviation / Math.sqrt(2 * Math.PI)

t.test('a jump is a change of unit by the ratio of the two probabilities, from 16 readings', async t => {
  const m = new Float64Array(steps.STEP), z = normal(3), before = 20, size = 0.5
  const values = Array.from({ length: 16 }, () => 1.8 * (20 + 0.4 * z()) + 32)
  steps.begin(m, 0, values[0], before, size, 7)
  const changed = values.slice(1).map((x, i) => Math.abs(x - values[i]))
  let jump: steps.Jump | undefined
  values.slice(1).forEach((x, i) => { t.ok(steps.underWay(m, 0)); jump = steps.go(m, 0, x, changed[i]); t.equal(jump === undefined, i < 14) })
  t.notOk(steps.underWay(m, 0))
  const mean = values.reduce((a, b) => a + b) / 16, scatter = Math.log(changed.reduce((a, b) => a + b) / 15 / size)
  const each = conversions.map(c => density(mean, c.factor * before + c.offset, 2 * c.factor * size) * density(scatter, Math.log(c.factor), 0.3))
  const another = Math.max(density(scatter, 0, 0.3), 1 / (4 * Math.log(10))) / (4 * Math.abs(values[0] - before))
  const expected = 7 + Math.log10(Math.max(...each) / conversions.length / another)
  t.ok(jump !== undefined && expected > 7 && Math.abs(jump.evidence - expected) < 1e-9, `${jump?.evidence}, ${expected}`)
  t.equal(jump!.factor, 1.8)
  t.ok(Math.abs(jump!.level - mean) < 1e-9)
})

/** A stream through the model, where a rate is told at the readings `jumps`, behind which sizes of changes are not learned; [reading, factor] where a unit is said. */
function run (values: readonly number[], jumps: readonly number[]) {
  const m = Float64Array.from(Object.values(unit)), model = new Unit(), found: [number, number][] = []
  model.begin(m, 0, values[0])
  for (let i = 1; i < values.length; i++) {
    model.take(m, 0, values[i], values[i] - values[i - 1], jumps.includes(i) ? 9 : 0, 6)
    model.settle(m, 0, values[i], i)
    if (!jumps.some(jump => i >= jump && i < jump + 20)) model.learn(m, 0, values[i] - values[i - 1], i)
    if (model.finding.evidence >= 6) found.push([i, model.finding.size])
  }
  return { found, m }
}
const stream = (n: number, seed: number) => { const z = normal(seed); return Array.from({ length: n }, () => 20 + 0.4 * z()) }

t.test('a unit that is changed back as soon as it was found is found again', async t => {
  for (const [factor, offset] of [[1.8, 32], [1000, 0], [25.4, 0]]) {
    const { found } = run([...stream(500, 1), ...stream(17, 2).map(x => factor * x + offset), ...stream(30, 3)], [500, 517])
    t.strictSame(found.map(([i]) => i), [515, 532])
    t.ok(Math.abs(found[0][1] - factor) < 1e-9 && Math.abs(found[1][1] - 1 / factor) < 1e-9, JSON.stringify(found))
  }
})

t.test('behind it the size of changes is that of the new unit, behind another jump as it was', async t => {
  const size = (m: Float64Array) => m[1], before = size(run(stream(500, 1), []).m)
  const after = size(run([...stream(500, 1), ...stream(16, 2).map(x => 100 * x)], [500]).m)
  t.ok(after / before > 90 && after / before < 110, `${after / before}`)
  const shifted = run([...stream(500, 1), ...stream(16, 2).map(x => x + 30)], [500])
  t.strictSame(shifted.found, [])
  t.ok(size(shifted.m) / before < 1.1 && Math.abs(shifted.m[0] - 50) < 0.5, 'but the level is the new one')
})

t.test('a wild change teaches the usual size at most ten of them', async t => {
  const m = Float64Array.from(Object.values(unit)), model = new Unit()
  for (let n = 1; n <= 99; n++) model.learn(m, 0, n % 2 === 0 ? 1 : -1, n)
  t.equal(m[1], 1)
  model.learn(m, 0, -1e6, 100)
  t.ok(Math.abs(m[1] - 1.09) < 1e-12, `${m[1]}`)
})
