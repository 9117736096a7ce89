import t from 'tap'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineOperator, pipeline, Type, type Operator, type Pipeline } from '#engine'
import { normalise } from '../../engine/lint.ts'
import { openLog } from '../../engine/log.ts'
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
async function work (t: any, messages: readonly Message[], on: (x: number) => boolean, { maxPoison = 10, first = where({ metric: '*' }) as Operator } = {}): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-poison-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const lines = (name: RegExp) => readdirSync(join(folder, 'store', 'p')).filter(f => name.test(f)).flatMap(f => readFileSync(join(folder, 'store', 'p', f), 'utf8').trim().split('\n')).filter(l => l !== '').map(l => JSON.parse(l))
  let restarts = 0
  for (let careful = false; ; careful = true, restarts++) {
    const p: Pipeline = pipeline('p').from(given(messages).spec, { lateness: '0s', idle: '1h' }).pipe(dedupe(), first, ewma(), throwing(on))
      .branch('tens', b => b.pipe(tumbling({ every: '10s', features: ['count', 'mean'] })).to(file({ table: 'w' }))).to(file({ table: 'r' }))
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
