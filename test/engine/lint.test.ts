import t from 'tap'
import { pipeline } from '#engine'
import { lint, normalise } from '../../engine/lint.ts'
import { report } from '../../engine/report.ts'
import { catalog, dedupe, doubled, hook, outside, plant, print, sums, table, within } from './catalog.ts'
import { ewma } from '../../operators/ewma.ts'

const from = () => pipeline('p').from(plant(), { lateness: '5s' })
const found = (p: any) => lint(p).map(f => `${f.level === 'warning' ? 'warning ' : ''}${f.code} ${f.path.join('.')}`)

void t.test('a pipeline in which nothing is wrong has no findings', async t => {
  t.strictSame(found(from().pipe(within(), dedupe(), ewma(), outside()).branch('minutes', p => p.pipe(sums({ every: '1m' }), sums({ every: '1h', id: 'hours' })).to(table({ table: 'hours' })))
    .alert('far', { when: { outside: { above: 3 } }, clear: { outside: { below: 2 } }, for: '30s' }, hook({ url: 'http://x' })).to(table({ table: 'readings' }))), [])
})

void t.test('a pipeline in TypeScript gives the findings of YAML, with paths instead of places', async t => {
  const findings = lint(from().pipe(doubled({ of: 'ewmaa' })).to(print()))
  t.strictSame(findings.map(f => [f.code, f.path]), [['config/unknown-column', ['pipe', 0, 'doubled', 'of']]])
  t.equal(report(findings), `error[config/unknown-column]: step "doubled" needs the column "ewmaa", which no step before it adds
  --> pipe[0].doubled.of
  help: no step before it adds a column
`)
})

void t.test('a step may need the value, which is always there', async t => { t.strictSame(found(from().pipe(doubled({ of: 'value' })).to(print())), []) })

void t.test('columns of the trunk are there in branches, those of readings are not there behind windows', async t => {
  t.strictSame(found(from().pipe(ewma()).branch('b', p => p.pipe(outside()).to(print()))), [])
  t.strictSame(found(from().pipe(ewma()).branch('b', p => p.pipe(sums({ every: '1m' }), outside()).to(print()))), ['config/unknown-column branches.b.pipe.1.outside'])
})

void t.test('ids and columns are there once', async t => {
  t.strictSame(found(from().pipe(within(), within()).to(print())), ['config/duplicate-step pipe.1.within'])
  t.strictSame(found(from().pipe(within(), within({ id: 'other' })).to(print())), [])
  t.strictSame(found(from().pipe(ewma(), ewma({ id: 'other' })).to(print())), ['config/duplicate-column pipe.1.ewma'])
  t.strictSame(found(from().pipe(ewma()).branch('b', p => p.pipe(ewma()).to(print()))), ['config/duplicate-column branches.b.pipe.0.ewma'])
  t.strictSame(found(from().alert('a', { when: { value: { above: 1 } } }).branch('b', p => p.alert('a', { when: { value: { above: 2 } } }))), ['config/duplicate-alert branches.b.alerts.a'])
  t.throws(() => from().branch('b', p => p.to(print())).branch('b', p => p.to(print())), { code: 'config/duplicate-key' })
})

void t.test('dedupe stands before what remembers', async t => {
  t.strictSame(found(from().pipe(ewma(), dedupe()).to(print())), ['config/order pipe.1.dedupe'])
  t.strictSame(found(from().pipe(within(), dedupe(), ewma()).to(print())), [])
})

void t.test('windows of windows are whole multiples of them', async t => {
  const every = (a: string, b: string) => found(from().branch('w', p => p.pipe(sums({ every: a }), sums({ every: b, id: 'second' })).to(print())))
  t.strictSame(every('1m', '1h'), [])
  for (const wrong of ['10s', '90s', '1m']) t.strictSame(every('1m', wrong), ['config/order branches.w.pipe.1.sums.every'])
})

void t.test('a pipeline has one store, and readings and windows have tables of their own', async t => {
  t.strictSame(found(from().to(table({ table: 'a', url: 'x' }), table({ table: 'b', url: 'x' }))), [])
  t.strictSame(found(from().to(table({ table: 'a', url: 'x' })).branch('b', p => p.to(table({ table: 'b', url: 'y' })))), ['config/store branches.b.to.0.table'])
  t.strictSame(found(from().to(table({ table: 'a' })).branch('b', p => p.pipe(sums({ every: '1m' })).to(table({ table: 'a' })))), ['config/store branches.b.to.0.table.table'])
  t.strictSame(found(from().to(table({ table: 'a' })).branch('b', p => p.to(table({ table: 'a' })))), [])
})

void t.test('sinks stand where they can: rows need one that takes rows, alerts one that takes alerts', async t => {
  t.strictSame(found(from().to(hook({ url: 'x' }))), ['config/sink to.0.hook'])
  t.strictSame(found(from().alert('a', { when: { value: { above: 1 } } }, table({ table: 'a' }), print())), ['config/sink alerts.a.to.0.table'])
})

void t.test('a shared subscription has only steps without memory behind it', async t => {
  const shared = pipeline('p').from(plant({ topic: ['$share/g/x'] }), { dedupe: false })
  t.strictSame(found(shared.pipe(within()).to(print())), [])
  t.strictSame(found(pipeline('p').from(plant({ topic: ['$share/g/x'] })).pipe(within()).to(print())), ['config/shared from.plant'])
  t.strictSame(found(shared.pipe(ewma()).branch('b', p => p.pipe(sums({ every: '1m' })).to(print())).alert('a', { when: { value: { above: 1 } } })), ['config/shared pipe.0.ewma', 'config/shared alerts.a', 'config/shared branches.b.pipe.0.sums'])
})

void t.test('something must come out', async t => {
  t.strictSame(found(from().pipe(within())), ['config/no-output name'])
  t.strictSame(found(from().branch('b', p => p.pipe(within()))), ['warning config/no-output branches.b'])
  t.strictSame(found(pipeline('p').to(print())), ['config/missing from'])
})

void t.test('times fit together', async t => {
  t.strictSame(found(pipeline('p').from(plant(), { idle: '1h', forget: '1m' }).to(print())), ['config/time time.forget'])
  t.strictSame(found(pipeline('p').from(plant(), { lateness: '1h', idle: '1m' }).to(print())), ['warning config/time time.lateness'])
  t.strictSame(found(pipeline('p').from(plant()).to(print())), [], 'the defaults do')
})

void t.test('a condition says what a column must be', async t => {
  const when = (condition: any) => found(from().alert('a', { when: condition }))
  t.strictSame(when({ value: { inside: [1, 2] } }), [])
  t.strictSame(when({}), ['config/invalid alerts.a.when'])
  t.strictSame(when({ value: {} }), ['config/invalid alerts.a.when.value'])
  t.strictSame(when({ value: 4 }), ['config/invalid alerts.a.when.value'])
  t.strictSame(when({ value: { over: 4 } }), ['config/unknown-key alerts.a.when.value.over'])
  t.strictSame(when({ value: { inside: [2, 1] } }), ['config/invalid alerts.a.when.value.inside'])
  t.strictSame(when({ value: { inside: [1] } }), ['config/invalid alerts.a.when.value.inside'])
  t.strictSame(when({ any: [] }), ['config/invalid alerts.a.when.any'])
  t.strictSame(when({ any: [{ nope: { above: 1 } }] }), ['config/unknown-column alerts.a.when.any.0.nope'])
})

void t.test('names are letters, digits, - and _', async t => {
  t.strictSame(found({ ...from().to(print()), name: 'boiler room' }), ['config/invalid name'])
  t.strictSame(found(from().branch('a b', p => p.to(print()))), ['config/invalid branches.a b'])
  t.strictSame(found(from().alert('late', { when: { value: { above: 1 } } })), ['config/invalid alerts.late'])
})

const steps = (p: any) => normalise(p, catalog).steps.map(s => s.id)
void t.test('dedupe is put before the first step with memory of the trunk', async t => {
  t.strictSame(steps(from().pipe(within(), ewma(), outside()).to(print())), ['within', 'dedupe', 'ewma', 'outside'])
})
void t.test('dedupe is put at the end of the trunk when nothing of it remembers: without seq two readings of one time would be one row', async t => {
  t.strictSame(steps(from().pipe(within()).branch('b', p => p.pipe(sums({ every: '1m' })).to(print()))), ['within', 'dedupe'])
  t.strictSame(steps(from().pipe(within()).alert('a', { when: { value: { above: 1 } } })), ['within', 'dedupe'])
  t.strictSame(steps(from().branch('b', p => p.alert('a', { when: { value: { above: 1 } } }))), ['dedupe'])
  t.strictSame(steps(from().pipe(within()).to(print())), ['within', 'dedupe'])
  t.strictSame(steps(from().pipe(within()).branch('b', p => p.pipe(within()).to(print()))), ['within', 'dedupe'])
})
void t.test('dedupe is not put where it is already, or is not wanted', async t => {
  t.strictSame(steps(from().pipe(dedupe({ within: '1m' }), ewma()).to(print())), ['dedupe', 'ewma'])
  t.strictSame(steps(pipeline('p').from(plant(), { dedupe: false }).pipe(ewma()).to(print())), ['ewma'])
  t.strictSame(steps(from().pipe(within()).branch('b', p => p.pipe(dedupe(), ewma()).to(print()))), ['within'])
})
