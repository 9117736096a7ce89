import assert from 'node:assert/strict'
import t from 'tap'
import fc from 'fast-check'
import { defineOperator, pipeline, SeriesTable, Type } from '#engine'
import { tumbling } from '../../operators/tumbling.ts'
import { bench, each, through, type Given, type Got } from './table.ts'

t.test('writes the features of each window, stamped with its start', async t => {
  const [first, second, ...rest] = through(tumbling({ every: '4s', features: ['count', 'mean', 'std', 'min', 'max', 'rms', 'range', 'slope', 'first', 'last'] }), each([1, 2, 3, 6, NaN, 10]))
  t.strictSame(first, { at: 0, series: 'pump/temp', value: 4, count: 4, mean: 3, std: Math.sqrt(3.5), min: 1, max: 6, rms: Math.sqrt(12.5), range: 5, slope: 1.6, first: 1, last: 6, revision: 0 })
  t.strictSame(second, { at: 4, series: 'pump/temp', value: 1, count: 1, mean: 10, std: 0, min: 10, max: 10, rms: 10, range: 0, slope: NaN, first: 10, last: 10, revision: 0 })
  t.strictSame(rest, [])
})

t.test('the value is the first feature named; without any it is the mean', async t => {
  t.strictSame(through(tumbling({ every: '1m', features: ['max', 'min'] }), each([3, 1, 2])), [{ at: 0, series: 'pump/temp', value: 3, max: 3, min: 1, revision: 0 }])
  t.strictSame(Object.keys(through(tumbling({ every: '1m' }), each([1]))[0]), ['at', 'series', 'value', 'mean', 'min', 'max', 'count', 'revision'])
})

t.test('a window is written when the progress of its device reaches its end, by the record that moved it there', async t => {
  const b = bench(tumbling({ every: '10s', features: ['count'] }), { lateness: 5 })
  t.strictSame(b.give([[1, 'a/x', 1], [9, 'a/x', 1], [14.9, 'a/x', 1]]), [])
  const out = b.stage.process(b.batch([[3, 'a/x', 1], [15, 'a/x', 1], [16, 'a/x', 1]]))
  t.strictSame([...out.time], [0])
  t.strictSame([...out.value], [3], 'the straggler belongs to it')
  t.strictSame([...out.position], [5])
  t.strictSame([...out.arrival], [0], 'it is never late for a later, longer window')
})

t.test('a reading that arrives after its window was written is late, and reported whole', async t => {
  const b = bench(tumbling({ every: '10s', features: ['count'] }))
  b.give([[1, 'a/x', 1], [10, 'a/x', 1]])
  t.strictSame(b.give([[9, 'a/x', 7], [11, 'a/x', 1]]), [])
  t.strictSame(b.late, [{ at: 9, series: 'a/x', value: 7 }])
})

t.test('windows begin at multiples of their length, moved by the offset, also before 1970', async t => {
  const starts = (options: object, seconds: number[]) => through(tumbling({ every: '10s', features: ['count'], ...options }), seconds.map((s): Given => [s, 'a/x', 1]), { lateness: 1000 }).map(r => r.at)
  t.strictSame(starts({}, [-11, -10, -0.001, 0, 9.999, 10]), [-20, -10, 0, 10])
  t.strictSame(starts({ offset: '3s' }, [2, 3, 12.999, 13]), [-7, 3, 13])
})

t.test('a dead device holds nobody\'s windows open, and a wrong clock closes nobody\'s', async t => {
  const b = bench(tumbling({ every: '10s', features: ['count'] }))
  b.give([[0, 'dead/x', 1]])
  b.give([[100_000, 'wrong/x', 1]])
  const rows = [...Array(100).keys()].flatMap(i => b.give([[i, 'live/x', 1]]))
  t.strictSame(rows.map(r => [r.at, r.value]), [...Array(9).keys()].map(k => [k * 10, 10]), 'nine whole windows of ten readings')
  t.strictSame(b.late, [])
})

t.test('a silent device\'s windows are written provisionally, replaced when it comes back, and final when it is forgotten', async t => {
  const b = bench(tumbling({ every: '10s', features: ['count', 'last'] }), { idle: 30, forget: 3600 })
  b.give([[1, 'a/x', 1], [2, 'a/x', 2]])
  t.strictSame(b.wait(29), { rows: [], provisional: [] })
  t.strictSame(b.wait(1), { rows: [], provisional: [{ at: 0, series: 'a/x', value: 2, count: 2, last: 2, revision: 0 }] })
  t.strictSame(b.wait(100), { rows: [], provisional: [] }, 'once for each silence')
  b.give([[3, 'a/x', 3]])
  t.strictSame(b.wait(30).provisional.map(r => [r.count, r.revision]), [[3, 1]])
  t.strictSame(b.give([[10, 'a/x', 4]]).map(r => [r.count, r.revision]), [[3, 2]])
  b.wait(30)
  t.strictSame(b.wait(3600).rows.map(r => [r.at, r.count, r.revision]), [[10, 1, 1]])
  t.strictSame(b.give([[11, 'a/x', 5], [21, 'a/x', 6]]), [], 'what was forgotten stays as it is')
  t.strictSame(b.late.map(r => r.at), [11])
})

t.test('a device that goes dark in the middle of a window and sends its backlog later ends with the same rows as on line', async t => {
  const backlog = fc.record({
    values: fc.array(fc.option(fc.integer({ min: 0, max: 9 }), { nil: NaN, freq: 8 }), { minLength: 30, maxLength: 60 }),
    dark: fc.tuple(fc.nat(60), fc.nat(60)),
    silences: fc.array(fc.integer({ min: 31, max: 1000 }), { minLength: 1, maxLength: 3 })
  })
  let replaced = 0
  fc.assert(fc.property(backlog, ({ values, dark, silences }) => {
    const [from, to] = [Math.min(...dark), Math.max(...dark)]
    const own = each(values, 'a/x'), others = each(values, 'b/x')
    const step = () => tumbling({ every: '10s', features: ['count', 'mean', 'std', 'slope', 'first', 'last'] })
    const online = bench(step(), { lateness: 5 }), offline = bench(step(), { lateness: 5 })
    const expected = [...online.give(own.flatMap((r, i) => [r, others[i]])), ...online.end()]
    const rows: Got[] = [], provisional: (string | number)[][] = []
    for (let i = 0; i < values.length; i++) {
      if (i === from) for (const s of silences) provisional.push(...offline.wait(s).provisional.map(r => [r.series, r.at]))
      rows.push(...offline.give(i >= from && i < to ? [others[i]] : i === to ? [...own.slice(from, to + 1), others[i]] : [own[i], others[i]]))
    }
    if (to >= values.length) rows.push(...offline.give(own.slice(from)))
    rows.push(...offline.end())
    const of = (rows: readonly Got[], series: string) => rows.filter(r => r.series === series)
    for (const series of ['a/x', 'b/x']) {
      const bare = (r: Got) => ({ ...r, revision: 0 })
      assert.deepEqual(of(rows, series).map(bare), of(expected, series).map(bare))
      for (const row of of(rows, series)) {
        const before = provisional.filter(p => p[0] === series && p[1] === row.at).length
        assert.equal(row.revision, before, 'the revision counts the provisional rows that it replaces')
        replaced += before
      }
    }
    assert.deepEqual(offline.late, online.late)
  }))
  t.ok(replaced > 100, `${replaced} provisional rows were replaced`)
})

t.test('windows closed by one record come out by start, then by metric, whatever ids their series have', async t => {
  const table = new SeriesTable(10)
  table.id('t', 'a', 'z')
  const rows = through(tumbling({ every: '1s', features: ['count'] }), [[0, 'a/b', 1], [1, 'a/c', 1], [0, 'a/z', 1], [1, 'a/b', 1], [9, 'a/c', 1]], { table, lateness: 5 })
  t.strictSame(rows.map(r => `${r.at} ${r.series}`), ['0 a/b', '0 a/z', '1 a/b', '1 a/c', '9 a/c'])
})

t.test('windows of windows add up', async t => {
  const table = new SeriesTable(4)
  const short = bench(tumbling({ every: '10s', features: ['count'] }), { table })
  const host = { series: table, late () { throw new Error('nothing is late') }, aggregated () {} }
  const long = tumbling({ every: '1m', features: ['mean', 'count'] }).open(host)
  const rows = [...Array(600).keys()].map(i => long.process(short.stage.process(short.batch([[i, 'a/x', 1]]))))
  t.strictSame(rows.flatMap(b => [...b.time]), [...Array(9).keys()].map(k => k * 60_000))
  t.ok(rows.every(b => b.value.every(x => x === 10) && b.columns.count.every((n: number) => n === 6)))
})

t.test('its columns are part of its type: a step that needs another does not compile', async t => {
  const needsMax = defineOperator({ name: 'needs-max', summary: '', options: Type.Object({}), needs: ['max'], process: batch => batch })
  pipeline('p').pipe(tumbling({ every: '1m', features: ['mean', 'max'] }), needsMax())
  pipeline('p').pipe(tumbling({ every: '1m' }), needsMax())
  // @ts-expect-error tumbling adds mean and std only
  pipeline('p').pipe(tumbling({ every: '1m', features: ['mean', 'std'] }), needsMax())
  // @ts-expect-error there is no such feature
  t.throws(() => tumbling({ every: '1m', features: ['mode'] }), { code: 'config/invalid', message: /mode/ })
  // @ts-expect-error a window needs a length
  t.throws(() => tumbling({ features: ['mean'] }), { code: 'config/missing' })
  t.throws(() => tumbling({ every: '0s' }), { message: /longer than nothing/ })
})
