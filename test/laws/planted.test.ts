import assert from 'node:assert/strict'
import t from 'tap'
import { Batch, defineOperator, noProgress, Type, type Operator, type Stage, type StageSnapshot } from '#engine'
import * as operators from '../../operators/index.ts'
import { laws, type Law } from './operator.ts'

const { dedupe, ewma, tumbling } = operators
const minutes = () => tumbling({ every: '10s', features: ['mean', 'last'] })

/** A working operator with something around its stage. */
const around = (make: () => Operator, wrap: (stage: Stage) => Partial<Stage>) => (): Operator => {
  const operator = make()
  return { ...operator, open: host => { const stage = operator.open(host); return { ...stage, ...wrap(stage) } } }
}
const without = (stage: Stage, part: 'series' | 'devices', name: string) => ({
  load (snapshot: StageSnapshot) { stage.load({ ...snapshot, [part]: { ...snapshot[part], [name]: stage.save()[part][name] } }) }
})

/** An operator that adds the column `x` as some function of what it is given. */
const adding = (compute: (batch: Batch, memory: Float64Array) => Float64Array) => () => defineOperator({
  name: 'broken', summary: '', options: Type.Object({}), adds: ['x'], perSeries: { held: 0 },
  process: (batch, _options, { held }) => batch.with({ x: compute(batch, held) })
})()

let runs = 0
const planted: Record<string, [law: keyof typeof laws, broken: () => Operator]> = {
  'learns, and forgets only one series of a device that is learned anew': ['when it learns, has a device that is learned anew as a new one; else as before; and others in any case',
    around(() => ewma({ alpha: 0.5 }), stage => ({ relearn (series, devices) { stage.relearn(series.subarray(0, 1), devices) } }))],
  'forgets what it has not learned': ['when it learns, has a device that is learned anew as a new one; else as before; and others in any case',
    around(() => dedupe({ within: '1m' }), stage => ({ relearn () { const fresh = dedupe({ within: '1m' }).open({ series: { capacity: 64, size: 64, devices: 64 } as never, late () {}, aggregated () {} }); stage.load(fresh.save()) } }))],
  'closes windows by the shared watermark': ['gives a device alone, with its own progress, the same rows in the same order as in company',
    around(minutes, stage => ({
      process (batch) {
        const all = Int32Array.of(0, 1, 2)
        const progress = batch.progress.silent.length + batch.progress.forgotten.length > 0 ? batch.progress : { ...batch.progress, device: all, time: new Float64Array(3).fill(batch.watermark), position: new Float64Array(3).fill(batch.position.at(-1) ?? batch.progress.position.at(-1) ?? 0) }
        return new Batch({ ...stage.process(new Batch({ ...batch, progress })), progress: batch.progress })
      }
    }))],
  'judges lateness by the watermark of the batch': ['does not care where the stream is cut into batches',
    around(minutes, stage => ({ process: batch => stage.process(new Batch({ ...batch, arrival: new Float64Array(batch.length).fill(batch.watermark) })) }))],
  'judges lateness by where its device stood at the end of the batch': ['does not care where the stream is cut into batches',
    around(minutes, stage => ({ process: batch => stage.process(new Batch({ ...batch, arrival: batch.arrival.map((a, i) => Math.max(a, ...batch.arrival.filter((_, j) => batch.series[j] === batch.series[i]))) })) }))],
  'closes windows only at the end of a batch, stamped with its last position': ['does not care where the stream is cut into batches',
    around(minutes, stage => ({ process: batch => { const out = stage.process(batch); return new Batch({ ...out, position: new Float64Array(out.length).fill(batch.progress.position.at(-1) ?? 0) }) } }))],
  'shares state between series': ['lets no series see another, or says that it does',
    adding((batch, held) => batch.value.map(x => (held[0] += Number.isNaN(x) ? 0 : x)))],
  'shares state between devices': ['gives a device alone, with its own progress, the same rows in the same order as in company',
    adding((batch, held) => batch.value.map(() => ++held[0]))],
  'writes into a column it was given': ['leaves its input as it found it',
    adding(batch => { const value = batch.value as Float64Array; for (let i = 0; i < value.length; i++) value[i] += 1; return value.slice() })],
  'writes into its input when the next batch comes': ['leaves its input as it found it',
    (() => { let last: Float64Array | undefined; return adding(batch => { last?.fill(7); last = batch.value as Float64Array; return last.slice() }) })()],
  'forgets its state at a cut': ['does not care where the stream is cut into batches',
    adding(batch => { let sum = 0; return batch.value.map(x => (sum += Number.isNaN(x) ? 0 : x)) })],
  'is random without a seed': ['gives the same rows for the same input',
    adding(batch => batch.value.map(x => x + Math.random()))],
  'keeps state outside of its memory': ['gives the same rows for the same input',
    adding(batch => batch.value.map(() => ++runs))],
  'does not save one memory of a series': ['resumes from a snapshot as if nothing had happened',
    around(dedupe, stage => without(stage, 'series', 'seen'))],
  'does not save the memory of devices': ['resumes from a snapshot as if nothing had happened',
    around(minutes, stage => without(stage, 'devices', 'due'))],
  'keeps state in a closure': ['resumes from a snapshot as if nothing had happened',
    () => around(ewma, stage => { let n = 0; return { process: batch => { const out = stage.process(batch); n += batch.length; return out.with({ ewma: out.columns.ewma.map((x: number) => x + n) }) } } })()],
  'drops a row undeclared': ['loses and makes no row without saying so',
    around(ewma, stage => ({ process: batch => stage.process(batch).filter(i => batch.value[i] !== 3) }))],
  'makes a row undeclared': ['loses and makes no row without saying so',
    around(ewma, stage => ({ process: batch => { const out = stage.process(batch); return out.take(Int32Array.from([...out.time.keys(), ...out.length > 0 ? [0] : []])) } }))],
  'does not count what a window took': ['loses and makes no row without saying so',
    () => ({ ...minutes(), open: host => minutes().open({ ...host, aggregated () {} }) })],
  'swallows late rows': ['loses and makes no row without saying so',
    () => ({ ...minutes(), open: host => minutes().open({ ...host, late () {} }) })],
  'swallows progress': ['never moves progress or watermark',
    around(ewma, stage => ({ process: batch => new Batch({ ...stage.process(batch), progress: noProgress }) }))],
  'moves the watermark': ['never moves progress or watermark',
    around(ewma, stage => ({ process: batch => new Batch({ ...stage.process(batch), watermark: batch.watermark + 1 }) }))],
  'adds a column undeclared': ['adds exactly the columns it says it adds',
    around(ewma, stage => ({ process: batch => stage.process(batch).with({ more: batch.value }) }))],
  'loses a column that it was given': ['adds exactly the columns it says it adds',
    around(ewma, stage => ({ process: batch => { const out = stage.process(batch); return new Batch({ ...out, columns: { ewma: out.columns.ewma } }) } }))],
  'returns rows in another order': ['gives its rows in the order of the log',
    around(ewma, stage => ({ process: batch => { const out = stage.process(batch); return out.take(Int32Array.from(out.time.keys()).reverse()) } }))]
}

/** What the law finds wrong: undefined when it holds, and nothing but a broken assertion counts. */
function finding (law: Law, make: () => Operator): assert.AssertionError | undefined {
  try { law(make, { numRuns: 300, seed: 1, endOnFailure: true }) } catch (error) {
    const { cause } = error as Error
    if (cause instanceof assert.AssertionError) return cause
    throw error
  }
  return undefined
}

for (const [bug, [law, make]] of Object.entries(planted)) {
  t.test(`an operator that ${bug} breaks the law "${law}"`, async t => {
    t.ok(finding(laws[law], make))
  })
}
