import assert from 'node:assert/strict'
import t from 'tap'
import fc from 'fast-check'
import { SeriesTable, Watermarks, Observable, pipeline, type Delivery, type Pipeline, type SourceSpec } from '#engine'
import { playHistory } from '../../engine/evaluate/history.ts'
import { Silence } from '../../engine/evaluate/silence.ts'
import { normalise } from '../../engine/lint.ts'
import { lookEvery } from '../../engine/watermark.ts'
import * as operators from '../../operators/index.ts'
import * as sinks from '../../sinks/index.ts'
import * as sources from '../../connectors/index.ts'
import { quiet } from '../support/postgres.ts'

type Row = readonly [device: string, time: number, value: number]
const S = 1000, M = 60 * S, H = 60 * M, D = 24 * H

/** A source of rows that arrive when they are dated, cut into deliveries of these sizes. */
function rows (given: readonly Row[], sizes: readonly number[] = [given.length]): SourceSpec {
  const open = (_: unknown, { series }: { series: SeriesTable }) => ({
    past: true, commit: async () => {}, trouble: () => undefined,
    open: () => new Observable<Delivery>(to => {
      let at = 0, newest = -Infinity
      for (const size of [...sizes, Infinity]) {
        const part = given.slice(at, at + size)
        if (part.length === 0) continue
        const ingest = part.map(([, time]) => newest = Math.max(newest, time))
        at += part.length
        to.next({
          rows: { time: Float64Array.from(part, r => r[1]), series: Int32Array.from(part, r => series.id('default', r[0], 'x')), value: Float64Array.from(part, r => r[2]), position: Float64Array.from(part, (_, i) => at - part.length + i + 1), ingest: Float64Array.from(ingest) },
          dead: [], received: part.length, messages: part.length, upTo: at, ingest: newest, bytes: 0, ended: false
        })
      }
      to.complete()
    })
  })
  return { name: 'rows', definition: { open } as any, options: {}, given: {}, listens: false }
}
const ready = (p: Pipeline) => normalise(p, { sources, operators, sinks })
const play = async (p: Pipeline, source: SourceSpec) => (await playHistory(ready(p), source, { log: quiet, maxSeries: 10 })).said.map(({ event: { alert, state, device, time }, at }) => [alert, state, device, time, at])

const plain = pipeline('p').from(sources.simulator({}), { lateness: '0s' })

t.test('an alert on readings is said when its reading arrives', async t => {
  const hot = plain.alert('hot', { when: { value: { above: 9 } } })
  t.strictSame(await play(hot, rows([['a', 1000, 1], ['a', 2000, 10], ['b', 2500, 1], ['a', 3000, 1]])), [['hot', 'firing', 'a', 2000, 2000], ['hot', 'resolved', 'a', 3000, 3000]])
})

t.test('an alert on a window is about the window and said when the window closes', async t => {
  const hot = plain.branch('minutes', p => p.pipe(operators.tumbling({ every: '1m', features: ['max'] })).alert('hot', { when: { max: { above: 9 } } }))
  t.strictSame(await play(hot, rows([['a', 10 * S, 10], ['a', 50 * S, 1], ['b', 70 * S, 1], ['a', 80 * S, 1]])), [['hot', 'firing', 'a', 0, 80 * S], ['hot', 'resolved', 'a', M, 80 * S]], 'by a reading of its own device, and the last one by the end')
})

t.test('the clock of one device says nothing about when another one is heard', async t => {
  const hot = plain.alert('hot', { when: { value: { above: 9 } } })
  t.strictSame(await play(hot, rows([['mad', 50 * D, 1], ['a', 2000, 10]])), [['hot', 'firing', 'a', 2000, 2000]])
})

t.test('windows of a device that is forgotten are final while the history goes on, and said when that is noticed', async t => {
  const hot = pipeline('p').from(sources.simulator({}), { lateness: '0s', idle: '1m', forget: '1d' }).branch('hours', p => p.pipe(operators.tumbling({ every: '1h', features: ['max'] })).alert('hot', { when: { max: { above: 9 } } }))
  const given: Row[] = [['a', 10 * S, 10], ...Array.from({ length: 60 }, (_, i): Row => ['b', (i + 1) * H, 1])]
  t.strictSame((await play(hot, rows(given)))[0], ['hot', 'firing', 'a', 0, D + 10 * S])
})

t.test('what is said does not depend on how the history is cut', async () => {
  const p = pipeline('p').from(sources.simulator({}), { lateness: '3s', idle: '10s', forget: '60s' }).pipe(operators.ewma({ alpha: 0.5 })).alert('hot', { when: { ewma: { above: 50 } } })
    .branch('windows', b => b.pipe(operators.tumbling({ every: '20s', features: ['max', 'count'] })).alert('high', { when: { max: { above: 80 } } }))
  await fc.assert(fc.asyncProperty(
    fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.integer({ min: -2, max: 40 }), fc.nat(100)), { minLength: 1, maxLength: 60 }), fc.array(fc.integer({ min: 1, max: 7 }), { maxLength: 20 }),
    async (steps, sizes) => {
      let now = 1e6
      const given = steps.map(([device, step, value]): Row => [device, now = Math.max(0, now + step * S), value])
      assert.deepEqual(await play(p, rows(given, sizes)), await play(p, rows(given)))
    }), { numRuns: 60 })
})

t.test('silence is noticed as by an engine that looks at every instant of its clock', async () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(500)), { minLength: 1, maxLength: 40 }), fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 20 }), (steps, sizes) => {
    const time = { lateness: 0, ahead: 0, idle: 400, forget: 1500 }, every = lookEvery(time.idle)
    let now = 0
    const arrivals = steps.map(([device, step]) => ({ device, at: now += step }))
    const watch = () => { const series = new SeriesTable(10); return { series, watermarks: new Watermarks(series, time) } }
    const hear = ({ series, watermarks }: ReturnType<typeof watch>, part: { readonly device: number, readonly at: number }[]) => {
      const at = Float64Array.from(part, p => p.at)
      return { time: at, series: Int32Array.from(part, p => series.id('t', String(p.device), 'x')), value: at, position: Float64Array.from(part, p => arrivals.indexOf(p as any) + 1), ingest: at, watermarks }
    }
    const live = watch(), expected: unknown[] = []
    let looked = 0
    for (const arrival of arrivals) {
      for (; looked <= arrival.at; looked += every) {
        const gone = live.watermarks.gone(looked)
        if (live.watermarks.tick(gone, 0) !== undefined) expected.push([looked, [...gone.silent], [...gone.forgotten], [...gone.quiet], [...gone.silence]])
      }
      live.watermarks.arrive(hear(live, [arrival]))
    }
    const own = watch(), silence = new Silence({ time } as any, own.series), seen: unknown[] = []
    let at = 0
    for (const size of [...sizes, Infinity]) {
      const part = arrivals.slice(at, at + size)
      at += part.length
      if (part.length === 0) continue
      let received = 0
      silence.cut({ rows: hear(own, part), dead: [], received: part.length, messages: part.length, upTo: at, ingest: now, bytes: 0, ended: false }, {
        readings: d => { received += d.received; own.watermarks.arrive(d.rows) },
        tick: look => { const gone = own.watermarks.gone(look); if (own.watermarks.tick(gone, 0) !== undefined) seen.push([look, [...gone.silent], [...gone.forgotten], [...gone.quiet], [...gone.silence]]) }
      })
      assert.equal(received, part.length)
    }
    assert.deepEqual(seen, expected)
  }), { numRuns: 300 })
})
