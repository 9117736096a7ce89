import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { grow, path, score } from '../../models/forest.ts'
import { rankOf } from '../../models/reservoir.ts'
import { meanPath } from '../../models/tree-shap.ts'
import { forest } from '../../operators/forest.ts'
import { batchOf, columns, judge, windows, type Row } from './rows.ts'
import { bench } from './table.ts'
import { readYaml } from '../../engine/yaml.ts'
import { readDefinition } from '../../engine/definition.ts'
import { play } from '../../engine/trial.ts'
import * as sources from '../../connectors/index.ts'
import * as operators from '../../operators/index.ts'
import * as sinks from '../../sinks/index.ts'

const run = (rows: readonly Row[], options: Partial<Parameters<typeof forest>[0]>) => judge(() => forest({ columns, samples: 200, trees: 30, ...options }), rows)

t.test('a window unlike all before is an alarm that says why', async t => {
  const out = run([...windows(3000, 2), [50, 6, 1], ...windows(20, 3)], { per: '200s' })
  const row = out[3000]
  t.ok(row.forest_alarm === 1 && row.forest_p as number < 5e-3 && row.forest_score as number > 0.6, JSON.stringify(row))
  t.ok(row.forest_std_shap as number > Math.abs(row.forest_mean_shap as number), JSON.stringify(row))
  t.ok(out.slice(3001).every(r => r.forest_alarm === 0 && Number.isNaN(r.forest_std_shap)))
})

t.test('the reasons sum to the mean path of the forest less that of the row, and the forest is the one grown from what was kept', async t => {
  const before = windows(512, 4), odd = [50, 9, 0.1], out = run([...before, odd], { samples: 300, alarms: 1e9 })[512] as Record<string, number>
  const grown = 406, kept = before.slice(0, grown).map((row, i) => ({ row, rank: rankOf(1, i + 1, 2000) })).sort((a, b) => a.rank - b.rank)      // 64, 96, 128, 171, 228, 304, 406
  const expected = grow(Float64Array.from(kept.flatMap(({ row }) => row)), 3, grown, { trees: 30, sample: 256, seed: 1 })
  t.equal(out.forest_alarm, 1)
  t.equal(out.forest_score, score(expected, Float64Array.from(odd)))
  t.ok(Math.abs(columns.reduce((sum, c) => sum + out[`forest_${c}_shap`], 0) - (meanPath(expected) - path(expected, Float64Array.from(odd)))) < 1e-9)
})

t.test('a snapshot of another stream that has come as far is taken up in the same running step', async t => {
  const make = () => forest({ columns, samples: 200, trees: 30 }), b = bench(make()), c = bench(make(), { table: b.table })
  const give = (of: typeof b, rows: readonly Row[]) => [...of.stage.process(batchOf(of, rows, 0, ['pump/temp'])).columns.forest_score]
  give(b, windows(400, 10))
  give(c, windows(400, 11).map(row => row.map(x => 3 * x)))
  b.stage.load(structuredClone(c.stage.save()))
  t.strictSame(give(b, windows(50, 12)), give(c, windows(50, 12)))
})

t.test('refuses trees that are larger than what is kept', async t => {
  t.throws(() => forest({ columns, sample: 1024 }), { message: /1024 rows, but only 512 are kept/ })
  t.throws(() => forest({ columns: [] }), { code: 'config/invalid' })
})

const oracle = JSON.parse(readFileSync(join(import.meta.dirname, '../oracles/ml-isolation-forest.json'), 'utf8')) as { model: any, x: (number | null)[][], scores: number[] }
const components = { sources, operators, sinks }
/** A file with a forest of ml-isolation-forest, or something in place of it. */
function fileOf (t: { testdir (): string }, content: unknown, name = 'forest.json'): string {
  const path = join(t.testdir(), name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

t.test('a forest that was trained by ml-isolation-forest scores through a pipeline as its predict does, bit for bit', async t => {
  const model = fileOf(t, oracle.model)
  const { pipeline, findings } = readYaml(`name: p\nfrom: simulator\ntime: { lateness: 0s }\ndedupe: false\npipe:\n  - tumbling: { every: 1m, features: [ last ] }\n  - across: { metrics: [ a, b, c ], columns: [ last ] }\n  - forest: { columns: [ a_last, b_last, c_last ], model: ${model} }\nto: [ stdout ]\n`, components, { file: 'p.yaml' })
  t.strictSame(findings, [])
  const vectors = oracle.x.flatMap((x, i) => x.includes(null) ? [] : [{ x: x as number[], score: oracle.scores[i], time: 60_000 * i }])
  const { rows } = play(pipeline!, [...vectors, { x: [0, 0, 0], time: 1e8 }].flatMap(({ x, time }) => x.map((value, k) => ({ kind: 'reading' as const, time, arrival: time, tenant: 'default', device: 'pump', metric: 'abc'[k], value, tags: {} }))))
  const scores = new Map(rows.get('')!.map(row => [row.time, row.forest_score]))
  t.equal(vectors.length, 42)
  t.strictSame(vectors.map(({ time }) => scores.get(time)), vectors.map(({ score }) => score))
})

t.test('with such a forest p-values are learned of its scores, and alarms say why; another file begins anew', async t => {
  const usual = oracle.x.filter((x, i) => !x.includes(null) && oracle.scores[i] < 0.5) as Row[]
  const vectors = Array.from({ length: 600 }, (_, i) => usual[i * 7 % usual.length]), odd = oracle.x[6] as Row, rows = [...vectors, odd]
  const model = fileOf(t, oracle.model), make = () => forest({ columns, samples: 200, model, per: '200s' })
  const out = judge(make, rows), last = out[600] as Record<string, number>
  t.ok(out.slice(0, 600).every(r => (r.forest_score as number) > 0 && r.forest_alarm !== 1) && Number.isNaN(out[199].forest_p as number) && out[200].forest_p === 1)
  t.strictSame([last.forest_alarm, last.forest_learned], [1, 200])
  t.ok(columns.some(c => last[`forest_${c}_shap`] > 0))
  t.strictSame(judge(make, rows, { snapshots: true, sizes: [7, 133] }), out)
  const b = bench(make())
  b.stage.process(batchOf(b, vectors, 0, ['pump/temp']))
  writeFileSync(model, JSON.stringify({ ...oracle.model, nEstimators: 7, forest: oracle.model.forest.slice(1) }))
  const c = bench(make(), { table: b.table })
  c.stage.load(structuredClone(b.stage.save()))
  t.equal(c.stage.process(batchOf(c, [odd], 600, ['pump/temp'])).columns.forest_learned[0], 0)
})

t.test('a file that is no such forest is refused with what is wrong', async t => {
  const { model } = oracle, [tree, ...rest] = model.forest
  const wrong = (content: unknown, message: RegExp) => { const file = fileOf(t, content); t.throws(() => forest({ columns, model: file }), { code: 'config/invalid', message }, String(message)) }
  t.throws(() => forest({ columns, model: '/nowhere/forest.json' }), { message: /^forest: model: \/nowhere\/forest.json cannot be read: ENOENT/ })
  t.throws(() => forest({ columns, model: t.testdir() }), { message: /is no file/ })
  t.throws(() => forest({ columns: ['mean', 'std'], model: fileOf(t, model) }), { message: /trained on vectors of 3 numbers, and columns names 2/ })
  wrong('{ "forest": [', /forest.json: not JSON/)
  wrong('null', /not a trained model/)
  wrong({ ...model, forest: rest }, /`nEstimators` trees/)
  wrong({ ...model, forest: [null, ...rest] }, /a node of a tree is no object/)
  wrong({ ...model, forest: [{ ...tree, left: undefined }, ...rest] }, /one side only/)
  wrong({ ...model, forest: [{ ...tree, splitColumn: 1.5 }, ...rest] }, /splits by column 1.5 of 3/)
  wrong({ ...model, forest: [{ ...tree, splitValue: 'x' }, ...rest] }, /splits at x/)
  wrong({ ...model, forest: [{ ...tree, left: { depth: 1 } }, ...rest] }, /a leaf has no `trainingSet`/)
  wrong({ ...model, trainingSet: [[1, 2, 3], [1, 2]] }, /vectors must all have as many numbers/)
  let deep: object = { trainingSet: [] }
  for (let i = 0; i < 65; i++) deep = { left: deep, right: { trainingSet: [] }, splitColumn: 0, splitValue: 0 }
  wrong({ ...model, forest: [deep, ...rest] }, /deeper than 64/)
  wrong('['.repeat(1e5), /not JSON/)
  const large = fileOf(t, '')
  truncateSync(large, 64 * 2 ** 20 + 1)
  t.throws(() => forest({ columns, model: large }), { message: /has 67108865 bytes, and may have 67108864/ })
})

t.test('a pipeline that is sent cannot name a file of this machine, and nothing of the file is told', async t => {
  const file = fileOf(t, 'a secret'), text = (model: string) => `name: p\nfrom: http\npipe: [ tumbling: { every: 1m, features: [ mean ] }, forest: { columns: [ mean ], model: ${model} } ]\nto: [ postgres: { table: r } ]\n`
  for (const path of [file, '/nowhere', '/dev/zero']) {
    t.throws(() => readDefinition(text(path), components), { code: 'config/invalid', message: 'line 3: forest.model names a file of this machine, and a pipeline that is sent cannot' })
  }
  t.throws(() => readDefinition(text('"${file:/etc/hostname}"'), components), { message: /has no files beside it/ })
})
