import t from 'tap'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Batch, Credits, defineOperator, Intake, pipeline, SeriesTable, Type, type Operator, type Pipeline } from '#engine'
import { Flow } from '../../engine/flow.ts'
import { normalise } from '../../engine/lint.ts'
import { openLog } from '../../engine/log.ts'
import { Poison } from '../../engine/poison.ts'
import { Run } from '../../engine/run.ts'
import * as components from '../../index.ts'
import { fileStore } from '../../sinks/file.ts'
import { given, type Message } from '../support/source.ts'
const { dedupe, derive, ewma, file, tumbling, where } = components

const log = openLog({ level: 'silent' })
const T0 = Date.UTC(2026, 0, 1)
/** Throws on every value for which `on` says so, after it has changed what it remembers. */
const throwing = (on: (x: number) => boolean) => defineOperator({
  name: 'throwing', summary: 'Throws.', options: Type.Object({}), adds: ['before'], perSeries: { last: NaN },
  process (batch, _, { last }) {
    const before = new Float64Array(batch.length)
    for (let i = 0; i < batch.length; i++) {
      before[i] = last[batch.series[i]]
      last[batch.series[i]] = batch.value[i]
      if (on(batch.value[i])) throw new Error(`not ${batch.value[i]}`)
    }
    return batch.with({ before })
  }
})()

interface Result { readonly rows: any[], readonly windows: any[], readonly dead: any[], readonly counts: any, readonly restarts: number }

/** Runs as the engine does: when an operator throws, again from the last commit, carefully. */
async function work (t: any, messages: readonly Message[], on: (x: number) => boolean, { maxPoison = 10, first = where({ metric: '*' }) as Operator, windows = [tumbling({ every: '10s', features: ['count', 'mean'] })] as Operator[] } = {}): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-poison-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const lines = (name: RegExp) => readdirSync(join(folder, 'store', 'p')).filter(f => name.test(f)).flatMap(f => readFileSync(join(folder, 'store', 'p', f), 'utf8').trim().split('\n')).filter(l => l !== '').map(l => JSON.parse(l))
  let restarts = 0
  for (let careful = false; ; careful = true, restarts++) {
    const p: Pipeline = pipeline('p').from(given(messages).spec, { lateness: '0s', idle: '1h' }).pipe(dedupe(), first, ewma(), throwing(on))
      .branch('tens', b => (b.pipe as any)(...windows).to(file({ table: 'w' }))).to(file({ table: 'r' }))
    const run = new Run(normalise(p, components as any), { log, folder, fallback: fileStore, careful, maxPoison })
    try {
      await run.run(new AbortController().signal)
      t.equal(run.imbalance, 0, 'every reading has one fate')
      return { rows: lines(/^r\.ndjson$/), windows: lines(/^w\.ndjson$/), dead: existsSync(join(folder, 'store', 'p')) ? lines(/^dead_letters/) : [], counts: run.counts[''], restarts }
    } catch (error) {
      if ((error as { code?: string }).code !== 'engine/operator' || restarts > 5) throw error
    }
  }
}

/** Messages of five readings of two devices. */
const messages = (n: number): Message[] => Array.from({ length: n }, (_, m) => Array.from({ length: 5 }, (_, k) => [T0 + (5 * m + k) * 700, `${k % 2 === 0 ? 'a' : 'b'}/x`, 5 * m + k] as const))
const without = (all: readonly Message[], on: (x: number) => boolean): Message[] => all.map(m => (m as any[]).filter(r => !on(r[2])))

t.test('only the readings on which an operator throws become dead letters; all else is as if they had never come', async t => {
  const poison = (x: number) => [13, 14, 77, 140].includes(x)
  const all = messages(30)
  const got = await work(t, all, poison), clean = await work(t, without(all, poison), () => false)
  t.equal(got.restarts, 1)
  t.strictSame(got.rows, clean.rows)
  t.strictSame(got.windows, clean.windows)
  t.match(got.dead.map(d => [d.reason, d.topic, JSON.parse(Buffer.from(d.payload, 'base64').toString()).value]), [
    ['operator_failed', 'default/b/x', 13], ['operator_failed', 'default/a/x', 14], ['operator_failed', 'default/a/x', 77], ['operator_failed', 'default/a/x', 140]
  ])
  t.match(got.counts, { received: 150, written: 146, dead_lettered: 4 })
})

t.test('nor does anything remain of a metric that a step made from such a reading', async t => {
  const all: Message[] = Array.from({ length: 6 }, (_, m) => [[T0 + m * 1000, 'a/x', m + 1], [T0 + m * 1000, 'a/y', 100 * (m + 1)]])
  const first = derive({ metric: 'z', from: ['x', 'y'], by: 'sum' })
  const poison = (x: number) => x === 101
  const got = await work(t, all, poison, { first }), clean = await work(t, all.map((m, k) => k === 0 ? [(m as any)[0]] : m), () => false, { first })
  t.equal(got.restarts, 1)
  const withoutPosition = ({ rows }: Result) => rows.map(row => ({ ...row, position: undefined }))
  t.strictSame(withoutPosition(got), withoutPosition(clean))
  t.match(got.dead.map(d => JSON.parse(Buffer.from(d.payload, 'base64').toString())), [{ metric: 'y', value: 100 }])
})

t.test('an operator that throws on one reading after the other stops the pipeline', async t => {
  await t.rejects(work(t, messages(30), x => x >= 40), { code: 'engine/poison', message: /step "throwing" threw: not 50; so it did on the 10 readings before/ })
  await t.rejects(work(t, messages(30), x => x >= 40, { maxPoison: 2 }), { code: 'engine/poison', message: /not 42; so it did on the 2 readings before/ })
})

/** Throws on rows of windows for which `on` says so. `remembers`: it has memory, and has changed it before. */
const behind = (on: (max: number) => boolean, remembers = false) => defineOperator({
  name: 'behind', summary: 'Throws.', options: Type.Object({}), needs: ['max'], adds: ['before'], perSeries: remembers ? { last: NaN } : {},
  process (batch, _, memory: any) {
    const before = new Float64Array(batch.length)
    for (let i = 0; i < batch.length; i++) {
      if (remembers) {
        before[i] = memory.last[batch.series[i]]
        memory.last[batch.series[i]] = batch.columns.max[i]
      }
      if (on(batch.columns.max[i])) throw new Error(`no such window: ${batch.columns.max[i]}`)
    }
    return batch.with({ before })
  }
})() as Operator

/** Two metrics of one device and one of another, a reading of each every 2 s: windows of ten. `x` of `a` is k, of the others 1. */
const minutes = (n: number): Message[] => Array.from({ length: n }, (_, k) => [[T0 + 2000 * k, 'a/x', k], [T0 + 2000 * k, 'a/y', 1], [T0 + 2000 * k, 'b/x', 1]])
const windowsOf = (rows: readonly any[]) => rows.map(r => `${r.device}/${r.metric} ${(Date.parse(r.time) - T0) / 10_000}`).toSorted()

t.test('behind a window only the row of the window becomes a dead letter, and the readings after it are as if nothing had been', async t => {
  const after = (step: Operator) => ({ windows: [tumbling({ every: '10s', features: ['max', 'count'] }), step] })
  const bad = (max: number) => max === 14
  const got = await work(t, minutes(30), () => false, after(behind(bad))), clean = await work(t, minutes(30), () => false, after(behind(() => false)))
  t.equal(got.restarts, 1)
  t.strictSame(got.rows, clean.rows)
  t.strictSame(windowsOf(got.windows), windowsOf(clean.windows).filter(w => w !== 'a/x 2'))
  t.match(got.dead.map(d => [d.reason, d.topic, JSON.parse(Buffer.from(d.payload, 'base64').toString())]), [['operator_failed', 'default/a/x', { metric: 'x', max: 14, count: 5, revision: 0 }]])
  t.match(got.counts, { received: 90, written: 90, dead_lettered: 0 })
})

t.test('of a step that remembers all rows of windows that the same reading closes become dead letters, and it remembers none of them', async t => {
  const after = (step: Operator) => ({ windows: [tumbling({ every: '10s', features: ['max', 'count'] }), step] })
  const got = await work(t, minutes(30), () => false, after(behind(max => max === 14, true))), clean = await work(t, minutes(30), () => false, after(behind(() => false, true)))
  t.strictSame(windowsOf(got.windows), windowsOf(clean.windows).filter(w => w !== 'a/x 2' && w !== 'a/y 2'))
  t.strictSame(got.dead.map(d => [d.position, d.part, d.topic]), [[got.dead[0].position, 0, 'default/a/x'], [got.dead[0].position, 1, 'default/a/y']])
  t.equal(got.windows.find(w => w.metric === 'x' && w.device === 'a' && Date.parse(w.time) === T0 + 30_000).before, 9)
})

t.test('a step that throws on one window after the other stops the pipeline, whatever others send', async t => {
  const never = { windows: [tumbling({ every: '10s', features: ['max', 'count'] }), behind(max => max > 1)] }
  await t.rejects(work(t, minutes(80), () => false, { ...never, windows: [tumbling({ every: '10s', features: ['max', 'count'] }), where({ metric: 'x', device: 'a' }), behind(() => true)] }), { code: 'engine/poison', message: /so it did on the 10 windows before/ })
  t.equal((await work(t, minutes(80), () => false, never)).dead.length, 16, 'but not when it takes others between')
})

t.test('so it is when silence shows a window provisionally, or closes it', async t => {
  const series = new SeriesTable(10), poison = new Poison(10)
  const flow = new Flow(normalise(pipeline('p').from(given([]).spec, { lateness: '0s', idle: '1m', forget: '1h' })
    .branch('tens', b => (b.pipe as any)(tumbling({ every: '10s', features: ['max'] }), behind(max => max === 14)).to(file({ table: 'w' }))).to(file({ table: 'r' })), components as any), series)
  const intake = new Intake(series, new Credits(), { ahead: 0, after: 0 })
  for (const [device, value] of [['a', 14], ['b', 15]] as const) {
    intake.message('', new Uint8Array(0), T0)
    intake.reading(series.id('default', device, 'x'), T0, value)
  }
  poison.feed(flow, intake.take(T0), series)
  const shown = poison.apply(flow, { kind: 'tick', time: T0 + 60_000 }, series)!
  t.strictSame([shown.writes.map(w => [...w.batch.provisional!.columns.max]), shown.deadLetters], [[[15]], []], 'a provisional row that is thrown on is left out')
  const closed = poison.apply(flow, { kind: 'tick', time: T0 + 3_600_000 }, series)!
  t.strictSame(closed.writes.map(w => [...w.batch.columns.max]), [[15]])
  t.match(closed.deadLetters, [{ position: 2, part: 1000, reason: 'operator_failed', topic: 'default/a/x' }])
})

t.test('what a tick tells of devices that are only quiet is said, when it is tried again', async t => {
  const series = new SeriesTable(100), poison = new Poison(10)
  const telling = defineOperator({
    name: 'telling', summary: 'A row for each device that is said to be quiet.', options: Type.Object({}), derives: true,
    process (batch, _, __, host) {
      const { progress, progress: { quiet, tick } } = batch
      return quiet.length === 0 ? batch : new Batch({ time: new Float64Array(quiet.length).fill(T0), series: quiet.map(d => host.series.firstOf(d)), value: new Float64Array(quiet.length), position: new Float64Array(quiet.length).fill(tick), progress })
    }
  })()
  const flow = new Flow(normalise(pipeline('p').from(given([]).spec, { lateness: '0s', idle: '1m', forget: '1h' })
    .branch('tens', b => (b.pipe as any)(tumbling({ every: '10s', features: ['max'] }), behind(max => max === 14)).to(file({ table: 'w' })))
    .branch('told', b => b.pipe(telling).to(file({ table: 'r' }))), components as any), series)
  const intake = new Intake(series, new Credits(), { ahead: 0, after: 0 })
  const hear = (device: string, seconds: number, value: number) => {
    intake.message('', new Uint8Array(0), T0 + seconds * 1000)
    intake.reading(series.id('default', device, 'x'), T0 + seconds * 1000, value)
    poison.feed(flow, intake.take(T0 + seconds * 1000), series)
  }
  const said = (seconds: number) => {
    const { writes, deadLetters } = poison.apply(flow, { kind: 'tick', time: T0 + seconds * 1000 }, series)!
    return [writes.filter(w => w.branch === 'told').reduce((n, w) => n + w.batch.length, 0), deadLetters.length]
  }
  hear('a', 0, 14)
  for (let d = 0; d < 40; d++) hear(`c${d}`, 3300, 1)         // not all on the page of a
  t.strictSame(said(3420), [41, 0])
  t.strictSame(said(3600), [40, 1], 'a is forgotten, its window throws; the others are quiet for twice as long as was said')
})
