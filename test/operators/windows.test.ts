/** All kinds of windows against what they are by definition, worked out from all readings at once. */
import assert from 'node:assert/strict'
import t from 'tap'
import fc from 'fast-check'
import type { Operator } from '#engine'
import { key, uniform } from '../../models/random.ts'
import { columnsOf, ranked, sampleFeatures, sequenced, sequenceFeatures } from '../../models/samples.ts'
import { rankFeatures } from '../../models/quantiles.ts'
import { ALPHA } from '../../models/sketch.ts'
import { count, hopping, session, sliding, tumbling } from '../../operators/index.ts'
import { bench, through, type Given, type Got } from './table.ts'

const LATENESS = 10
const features = ['count', 'mean', 'min', 'max', 'median', 'mad'] as const
interface Reading { readonly time: number, readonly value: number, readonly arrival: number }

const stream = fc.array(fc.record({ step: fc.integer({ min: 0, max: 5 }), behind: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.integer({ min: 0, max: 25 }) }), value: fc.integer({ min: -20, max: 20 }) }), { maxLength: 60, size: 'max' })
  .map(steps => { let clock = 1000; return steps.map(({ step, behind, value }): Given => [(clock += step) - behind, 'a/x', value]) })

/** The same of several series of a device. */
const metrics = ['a/x', 'a/y', 'a/z'], several = fc.tuple(stream, fc.array(fc.nat(2), { minLength: 60, maxLength: 60 })).map(([given, which]) => given.map(([at,, value], i): Given => [at, metrics[which[i]], value]))

/** With the progress of the device as each of them arrived. */
function arrivals (given: readonly Given[], lateness = LATENESS): Reading[] {
  let reached = -Infinity
  return given.map(([time, , value]) => {
    const reading = { time, value, arrival: reached }
    reached = Math.max(reached, time - lateness)
    return reading
  })
}

const quantile = (sorted: readonly number[]) => (sorted[sorted.length - 1 >> 1] + sorted[sorted.length >> 1]) / 2
function row (at: number, readings: readonly Reading[]): Record<string, number> {
  const x = readings.map(r => r.value).sort((a, b) => a - b), median = quantile(x)
  return { at, count: x.length, mean: x.reduce((a, b) => a + b) / x.length, min: x[0], max: x[x.length - 1], median, mad: quantile(x.map(v => Math.abs(v - median)).sort((a, b) => a - b)) }
}

function agree (make: () => Operator, given: readonly Given[], expected: readonly Record<string, number>[], late: readonly Reading[], of: readonly string[], lateness = LATENESS): void {
  const b = bench(make(), { lateness })
  const got: Got[] = [...given.flatMap(r => b.give([r])), ...b.end()]
  assert.equal(got.length, expected.length, JSON.stringify([got.map(r => r.at), expected.map(r => r.at)]))
  got.forEach((r, i) => { for (const f of ['at', ...of]) assert.ok(Math.abs(r[f] as number - expected[i][f]) < 1e-9, `${f} at ${r.at}: ${r[f]}, not ${expected[i][f]}`) })
  assert.deepEqual(b.late.map(r => [r.at, r.value]), late.map(r => [r.time, r.value]))
}

function ofDevice (make: () => Operator, given: readonly Given[], lateness: number, expected: readonly { readonly series: string, readonly row: Record<string, number> }[], late: readonly (Reading & { readonly series: string })[]): void {
  const b = bench(make(), { lateness }), got = [...given.flatMap(r => b.give([r])), ...b.end()]
  assert.deepEqual(through(make(), given, { lateness }), got, 'as one batch')
  assert.deepEqual(got.map(r => [r.at, r.series]), expected.map(e => [e.row.at, e.series]))
  got.forEach((r, k) => { for (const f of features) assert.ok(Math.abs(r[f] as number - expected[k].row[f]) < 1e-9, `${f} at ${r.at}: ${r[f]}, not ${expected[k].row[f]}`) })
  assert.deepEqual(b.late.map(r => [r.at, r.series, r.value]), late.map(r => [r.time, r.series, r.value]))
}

for (const [size, every] of [[10, 10], [10, 4], [12, 3], [7, 5]] as const) {
  t.test(`windows of ${size} s every ${every} s hold what came before they were written`, async t => {
    fc.assert(fc.property(stream, given => {
      const all = arrivals(given), starts = (time: number) => Array.from({ length: Math.ceil(size / every) + 1 }, (_, k) => (Math.floor(time / every) - k) * every).filter(s => s + size > time)
      const windows = new Map<number, Reading[]>()
      for (const r of all) for (const s of starts(r.time)) if (s + size > r.arrival) windows.set(s, [...windows.get(s) ?? [], r])
      const expected = [...windows].sort(([a], [b]) => a - b).map(([at, readings]) => row(at, readings))
      const late = all.filter(r => starts(r.time).every(s => s + size <= r.arrival))
      agree(() => hopping({ size: `${size}s`, every: `${every}s`, features }), given, expected, late, features)
      if (size === every) agree(() => tumbling({ every: `${every}s`, features }), given, expected, late, features)
    }), { numRuns: 100 })
    t.ok(true)
  })
}

t.test('a sliding window holds what is not older than `over` at each time that has a reading', async t => {
  fc.assert(fc.property(stream, fc.constantFrom(3, 12, 40), (given, over) => {
    const all = arrivals(given), on = all.filter(r => r.arrival <= r.time)
    const expected = [...new Set(on.map(r => r.time))].sort((a, b) => a - b).map(at => row(at, on.filter(r => r.time > at - over && r.time <= at)))
    agree(() => sliding({ over: `${over}s`, features }), given, expected, all.filter(r => r.arrival > r.time), features)
  }), { numRuns: 100 })
  t.ok(true)
})

t.test('features of a sliding window that need its readings are those of these alone, to the last bit, also behind a snapshot', async t => {
  const options = { lag: 2, order: 3, bands: [[0, 0.2], [0.2, 1]], carrier: [0, 1e300], envelope: [[0, 0.3]] } as const, { carrier: _, ...given } = options
  const even = fc.array(fc.integer({ min: -20, max: 20 }), { minLength: 20, maxLength: 60 }).map(values => values.map((value, i): Given => [i, 'a/x', value]))
  fc.assert(fc.property(fc.oneof(stream, even), fc.constantFrom(3, 12, 40), (readings, over) => {
    const on = arrivals(readings).filter(r => r.arrival <= r.time).sort((a, b) => a.time - b.time)
    const b = bench(sliding({ over: `${over}s`, features: sampleFeatures, ...given }), { lateness: LATENESS }), got: Got[] = []
    for (const r of readings) {
      got.push(...b.give([r]))
      b.restart()
    }
    got.push(...b.end())
    for (const row of got) {
      const held = on.filter(r => r.time > row.at - over && r.time <= row.at), values = Float64Array.from(held, r => r.value)
      const expected = [...ranked(rankFeatures, values), ...sequenced(sequenceFeatures, { times: Float64Array.from(held, r => r.time * 1000), values }, options)]
      assert.deepEqual(sampleFeatures.flatMap(f => columnsOf(f, options)).map(column => row[column]), expected, `at ${row.at}`)
    }
  }), { numRuns: 100 })
  t.ok(true)
})

t.test('quantiles of a sliding window are exact for up to 4,096 readings; of more it has none, and counts them', async t => {
  const value = (i: number) => i * 7919 % 10_007, given = Array.from({ length: 4100 }, (_, i): Given => [i, 'a/x', value(i)])
  const rows = through(sliding({ over: '4098s', features: ['count', 'median', 'iqr', 'mean_crossings'] }), given)
  for (const n of [513, 2000, 4096]) {
    const sorted = Float64Array.from({ length: n }, (_, i) => value(i)).sort(), at = (q: number) => sorted[Math.floor(q * (n - 1))] * (1 - q * (n - 1) % 1) + sorted[Math.ceil(q * (n - 1))] * (q * (n - 1) % 1)
    t.equal(rows[n - 1].count, n)
    t.ok(Math.abs(rows[n - 1].median as number - at(0.5)) < 1e-9 && Math.abs(rows[n - 1].iqr as number - at(0.75) + at(0.25)) < 1e-9 && rows[n - 1].mean_crossings as number > 0, `${n}`)
  }
  t.strictSame(rows.slice(4096).map(({ count, median, iqr, mean_crossings }) => [count, median, iqr, mean_crossings]), [4097, 4098, 4098, 4098].map(n => [n, NaN, NaN, NaN]))
})

t.test('a window of so many readings is full in the order of their times, and keeps those of one time together', async t => {
  fc.assert(fc.property(stream, fc.constantFrom(1, 3, 8), (given, readings) => {
    const all = arrivals(given), on = all.filter(r => r.arrival <= r.time).sort((a, b) => a.time - b.time), windows: Reading[][] = []
    for (const r of on) {
      const last = windows.at(-1)
      if (last === undefined || (last.length >= readings && last.at(-1)!.time < r.time)) windows.push([r])
      else last.push(r)
    }
    agree(() => count({ readings, features }), given, windows.map(w => row(w[0].time, w)), all.filter(r => r.arrival > r.time), features)
  }), { numRuns: 100 })
  t.ok(true)
})

t.test('a sliding window of a device ends at each time that any of its series has a reading, and each that has readings in it has a row', async t => {
  fc.assert(fc.property(several, fc.constantFrom(3, 12, 40), fc.constantFrom(0, LATENESS), (given, over, lateness) => {
    const all = arrivals(given, lateness).map((r, i) => ({ ...r, series: given[i][1] })), on = all.filter(r => r.arrival <= r.time)
    const expected = [...new Set(on.map(r => r.time))].sort((a, b) => a - b).flatMap(at => metrics.flatMap(series => {
      const own = on.filter(r => r.series === series && r.time > at - over && r.time <= at)
      return own.length === 0 ? [] : [{ series, row: row(at, own) }]
    }))
    ofDevice(() => sliding({ over: `${over}s`, of: 'device', features }), given, lateness, expected, all.filter(r => r.arrival > r.time))
  }), { numRuns: 200 })
  t.ok(true)
})

t.test('a window of a device ends with the reading that is the last of so many of one of its series, and each that has readings in it has a row at its begin', async t => {
  fc.assert(fc.property(several, fc.constantFrom(1, 3, 8), fc.constantFrom(0, LATENESS), (given, readings, lateness) => {
    const all = arrivals(given, lateness).map((r, i) => ({ ...r, series: given[i][1] })), on = all.filter(r => r.arrival <= r.time).sort((a, b) => a.time - b.time), windows: (typeof all)[] = []
    for (const r of on) {
      const last = windows.at(-1)
      if (last === undefined || last.at(-1)!.time < r.time && metrics.some(series => last.filter(r => r.series === series).length >= readings)) windows.push([r])
      else last.push(r)
    }
    const expected = windows.flatMap(window => metrics.flatMap(series => {
      const own = window.filter(r => r.series === series)
      return own.length === 0 ? [] : [{ series, row: row(window[0].time, own) }]
    }))
    ofDevice(() => count({ readings, of: 'device', features }), given, lateness, expected, all.filter(r => r.arrival > r.time))
  }), { numRuns: 200 })
  t.ok(true)
})

t.test('a window of a device that was written when it was forgotten takes in nothing more, of none of its series', async t => {
  const cases = [
    [() => count({ readings: 9, of: 'device', features: ['count'] }), [['a/x', 8, 1], ['a/y', 8, 1]], [['a/x', 9.5, 1]]],
    [() => sliding({ over: '9s', of: 'device', features: ['count'] }), [['a/x', 8, 1], ['a/x', 9, 1], ['a/y', 9, 1]], [['a/x', 9.5, 2], ['a/y', 9.5, 1]]]
  ] as const
  for (const [make, before, behind] of cases) {
    const b = bench(make(), { lateness: 5, idle: 30, forget: 3600 })
    b.give([[8, 'a/x', 1], [9, 'a/y', 1]])
    b.wait(30)
    t.strictSame(b.wait(3600).rows.map(r => [r.series, r.at, r.count]), before)
    b.give([[8.5, 'a/x', 1], [8.5, 'a/z', 1], [9, 'a/y', 1], [9.5, 'a/x', 1]])
    t.strictSame(b.end().map(r => [r.series, r.at, r.count]), behind)
    t.strictSame(b.late.map(r => [r.series, r.at]), [['a/x', 8.5], ['a/z', 8.5], ['a/y', 9]])
  }
})

t.test('a session is what lies between pauses, however its readings arrived', async t => {
  fc.assert(fc.property(stream, fc.constantFrom(2, 4, 9), (given, gap) => {
    const all = arrivals(given, 1000).sort((a, b) => a.time - b.time), sessions: Reading[][] = []
    for (const r of all) {
      if (r.time - (sessions.at(-1)?.at(-1)?.time ?? -Infinity) < gap) sessions.at(-1)!.push(r)
      else sessions.push([r])
    }
    const expected = sessions.map(s => ({ ...row(s[0].time, s), duration: s.at(-1)!.time - s[0].time }))
    agree(() => session({ gap: `${gap}s`, features }), given, expected, [], [...features, 'duration'], 1000)
  }), { numRuns: 100 })
  t.ok(true)
})

t.test('a reading is late when its session has been written, though it is near the next one too', async t => {
  const cut = (parts: readonly (readonly Given[])[]) => {
    const b = bench(session({ gap: '5s', features: ['count'] }))
    return { rows: [...parts.flatMap(part => b.give(part)), ...b.end()].map(r => [r.at, r.count, r.duration]), late: b.late.map(r => r.at) }
  }
  const readings: Given[] = [0, 3, 8, 7, 2, 4, 9].map(s => [s, 'a/x', 1])
  t.strictSame(cut([readings]), { rows: [[0, 2, 3], [8, 2, 1]], late: [7, 2, 4] })
  t.strictSame(cut(readings.map(r => [r])), cut([readings]), 'wherever the stream is cut')
})

t.test('a session that begins earlier than was written provisionally, or is joined to another, replaces those rows', async t => {
  const b = bench(session({ gap: '5s', features: ['mean', 'count'] }), { lateness: 100 })
  b.give([[10, 'a/x', 1], [18, 'a/x', 4]])
  t.strictSame(b.wait(30).provisional.map(r => [r.at, r.count, r.revision]), [[10, 1, 0], [18, 1, 0]])
  b.give([[14, 'a/x', 1]])
  t.strictSame(b.wait(30).provisional.map(r => [r.at, r.count, r.revision]), [[10, 3, 1], [18, 0, 1]])
  b.give([[8, 'a/x', 2]])
  t.strictSame(b.end().map(r => [r.at, r.count, r.mean, r.revision]), [[8, 4, 2, 0], [10, 0, NaN, 2], [18, 0, NaN, 2]])
})

t.test('a session of a device is what lies between pauses of all its series, and each of them that has readings in it has a row at its begin', async t => {
  fc.assert(fc.property(several, fc.constantFrom(2, 4, 9), (given, gap) => {
    const all = given.map(([time, series, value]) => ({ time, series, value, arrival: -Infinity })).sort((a, b) => a.time - b.time), sessions: (typeof all)[] = []
    for (const r of all) {
      if (r.time - (sessions.at(-1)?.at(-1)?.time ?? -Infinity) < gap) sessions.at(-1)!.push(r)
      else sessions.push([r])
    }
    const expected = sessions.flatMap(session => metrics.flatMap(series => {
      const own = session.filter(r => r.series === series)
      return own.length === 0 ? [] : [{ series, row: { ...row(session[0].time, own), duration: session.at(-1)!.time - session[0].time } as Record<string, number> }]
    }))
    const b = bench(session({ gap: `${gap}s`, of: 'device', features }), { lateness: 1000 }), got = [...given.flatMap(r => b.give([r])), ...b.end()]
    assert.deepEqual(got.map(r => [r.at, r.series]), expected.map(r => [r.row.at, r.series]))
    got.forEach((r, k) => { for (const f of [...features, 'duration'] as const) assert.ok(Math.abs(r[f] as number - expected[k].row[f]) < 1e-9, `${f} at ${r.at}`) })
    assert.equal(b.late.length, 0)
  }), { numRuns: 100 })
  t.ok(true)
})

t.test('a reading is late for a session of its device that has been written, though its own series had none in it', async t => {
  const cut = (parts: readonly (readonly Given[])[]) => {
    const b = bench(session({ gap: '5s', of: 'device', features: ['count'] }))
    return { rows: [...parts.flatMap(part => b.give(part)), ...b.end()].map(r => [r.series, r.at, r.count, r.duration]), late: b.late.map(r => [r.series, r.at]) }
  }
  const readings: Given[] = [[0, 'a/x', 1], [3, 'a/y', 1], [8, 'a/y', 1], [2, 'a/z', 1], [7, 'a/x', 1], [9, 'a/x', 1], [2, 'b/x', 1]]
  t.strictSame(cut([readings]), { rows: [['a/x', 0, 1, 3], ['a/y', 0, 1, 3], ['a/x', 8, 1, 1], ['a/y', 8, 1, 1], ['b/x', 2, 1, 0]], late: [['a/z', 2], ['a/x', 7]] })
  t.strictSame(cut(readings.map(r => [r])), cut([readings]), 'wherever the stream is cut')
})

t.test('a session of a device that begins earlier than was written provisionally, or is joined to another, replaces the rows that there are', async t => {
  const b = bench(session({ gap: '5s', of: 'device', features: ['count', 'median'] }), { lateness: 100 })
  b.give([[10, 'a/x', 1], [18, 'a/y', 4]])
  t.strictSame(b.wait(30).provisional.map(r => [r.series, r.at, r.count, r.revision]), [['a/x', 10, 1, 0], ['a/y', 18, 1, 0]])
  b.give([[14, 'a/z', 7]])
  t.strictSame(b.wait(30).provisional.map(r => [r.series, r.at, r.count, r.median, r.duration, r.revision]), [['a/x', 10, 1, 1, 8, 1], ['a/y', 10, 1, 4, 8, 0], ['a/z', 10, 1, 7, 8, 0], ['a/y', 18, 0, NaN, 0, 1]])
  b.give([[8, 'a/y', 2]])
  t.strictSame(b.end().map(r => [r.series, r.at, r.count, r.median, r.revision]), [
    ['a/x', 8, 1, 1, 0], ['a/y', 8, 2, 3, 0], ['a/z', 8, 1, 7, 0], ['a/x', 10, 0, NaN, 2], ['a/y', 10, 0, NaN, 1], ['a/z', 10, 0, NaN, 1], ['a/y', 18, 0, NaN, 2]
  ])
})

t.test('rows of silent devices are provisional, and replaced by the same ones', async t => {
  const readings: Given[] = [1, 2, 4, 4, 7, 8, 9, 12].map((s, i) => [s, 'a/x', i])
  const makes = [() => tumbling({ every: '5s', features }), () => hopping({ size: '6s', every: '2s', features }), () => session({ gap: '2s', features }), () => session({ gap: '2s', of: 'device', features }), () => count({ readings: 3, features }), () => count({ readings: 3, of: 'device', features }), () => sliding({ over: '4s', features }), () => sliding({ over: '4s', of: 'device', features })]
  for (const make of makes) {
    const online = bench(make(), { lateness: 3 }), silent = bench(make(), { lateness: 3 })
    const expected = [...online.give(readings), ...online.end()]
    const first = silent.give(readings.slice(0, 5)), { provisional } = silent.wait(30)
    t.ok(provisional.length > 0 && provisional.every(r => r.revision === 0), `${make().name}`)
    const rest = [...silent.give(readings.slice(5)), ...silent.end()], bare = (r: Got) => ({ ...r, revision: 0 })
    t.strictSame([...first, ...rest].map(bare), expected)
    t.strictSame(rest.filter(r => r.revision === 1).map(r => r.at), provisional.map(r => r.at), 'each provisional row is replaced')
    const whole = bench(make(), { lateness: 100 })
    whole.give(readings)
    const told = whole.wait(30).provisional
    if (told.length > 0) t.strictSame(told.map(bare), whole.end().map(bare), 'and by the same values, where nothing has come since')
  }
})

t.test('a device that fell silent has the same rows in the end, each told before in its place, and sliding windows tell what its readings so far give', async t => {
  fc.assert(fc.property(several, fc.nat(60), (given, cut) => {
    const bare = (r: Got) => ({ ...r, revision: 0 }), key = (r: Got) => `${r.at} ${r.series}`, so = given.slice(0, cut), options = { lateness: LATENESS }
    for (const make of [() => sliding({ over: '12s', of: 'device', features }), () => count({ readings: 3, of: 'device', features })]) {
      const b = bench(make(), options), before = b.give(so), told = b.wait(30).provisional, behind = [...b.give(given.slice(cut)), ...b.end()]
      assert.deepEqual([...before, ...behind].map(bare), through(make(), given, options).map(bare))
      const again = new Set(behind.filter(r => r.revision === 1).map(key))
      assert.deepEqual(told.map(key).filter(k => !again.has(k)), [], 'each is replaced')
      if (make().name === 'sliding') assert.deepEqual(told.map(bare), through(make(), so, options).slice(before.length).map(bare))
    }
  }), { numRuns: 100, examples: [[[[1000, 'a/x', 1], [1000, 'a/y', 2]], 1]] })
  t.ok(true)
})

t.test('windows of devices are written with the reading that fills them, whether devices come in turn or one after the other', async t => {
  const at = (second: number, device: string): Given[] => [[second, `${device}/x`, second], [second, `${device}/y`, -second]], seconds = [1, 2, 3]
  for (const given of [seconds.flatMap(s => [...at(s, 'a'), ...at(s, 'b')]), ['a', 'b'].flatMap(d => seconds.flatMap(s => at(s, d)))]) {
    const rows = bench(count({ readings: 2, of: 'device', features: ['count'] })).give(given)
    t.strictSame(rows.map(r => [r.series, r.at, r.count]), [['a/x', 1, 2], ['a/y', 1, 2], ['b/x', 1, 2], ['b/y', 1, 2]])
  }
})

t.test('a window of many readings goes on from a snapshot, and its quantiles stay within bounds', async t => {
  const readings: Given[] = Array.from({ length: 3000 }, (_, i) => [i * 0.01 + (i % 7 === 0 ? -0.2 : 0), 'a/x', 80 + ((i * 7919) % 1000) / 1000])
  const many = ['median', 'p95', 'iqr', 'mad', 'autocorrelation'] as const
  const makes = [() => tumbling({ every: '20s', features: many }), () => hopping({ size: '20s', every: '8s', features: many }), () => session({ gap: '1s', features: many }), () => session({ gap: '1s', of: 'device', features: many }), () => count({ readings: 1500, features: many }), () => count({ readings: 1500, of: 'device', features: many })]
  for (const make of makes) {
    const whole = bench(make(), { lateness: 1 }), first = bench(make(), { lateness: 1 })
    const expected = [...whole.give(readings), ...whole.end()]
    const before = first.give(readings.slice(0, 1100)), snapshot = structuredClone(first.stage.save())
    first.stage.load(snapshot)
    const got = [...before, ...first.give(readings.slice(1100)), ...first.end()]
    t.strictSame(got, expected, make().name)
    t.ok(got.length > 0)
    for (const r of expected) {
      if (r.at < 0) continue
      t.ok(Math.abs(r.median as number - 80.5) < 0.02 && Math.abs(r.p95 as number - 80.95) < 0.02 && Math.abs(r.iqr as number - 0.5) < 0.03 && Math.abs(r.mad as number - 0.25) < 0.02, `${make().name} ${JSON.stringify(r)}`)
    }
  }
})

t.test('quantiles of windows of very many readings are within bounds of the exact ones, of whatever size values are, though some come too late for a part of their windows, and from a snapshot on', async t => {
  const chance = key(5), wild = [1e300, -1e300, 5e-324, -5e-324, 1e-310, 0, -0, 65535]
  const given = Array.from({ length: 6000 }, (_, i): Given => [300 + i * 0.05 - (i % 9 === 0 ? 40 * uniform(chance, i) : 0), 'a/x', i % 50 === 7 ? wild[Math.floor(uniform(chance, 4 * i) * wild.length)] : Math.round(1000 * (2 * uniform(chance, 3 * i) - 1)) / 1000])
  const all = arrivals(given, 5), ranks = { p01: 0.01, p10: 0.1, median: 0.5, p90: 0.9, p99: 0.99 }, names = Object.keys(ranks) as (keyof typeof ranks)[]
  for (const [size, every] of [[60, 20], [60, 60], [50, 30]] as const) {
    const b = bench(hopping({ size: `${size}s`, every: `${every}s`, features: ['count', ...names] }), { lateness: 5 }), rows: Got[] = []
    for (let i = 0; i < given.length; i += 250) {
      rows.push(...b.give(given.slice(i, i + 250)))
      b.restart()
    }
    rows.push(...b.end())
    let some = 0
    for (const row of rows) {
      const end = row.at + size, held = all.filter(r => r.time >= row.at && r.time < end && end > r.arrival), x = Float64Array.from(held, r => r.value).sort()
      t.equal(row.count, held.length)
      some += all.filter(r => r.time >= row.at && r.time < end && end <= r.arrival).length
      for (const name of names) {
        const exact = x.length > 512 ? x[Math.floor(ranks[name] * (x.length - 1))] : NaN
        // Panes have origins of their own, none of them 0.3 away from 0; so a value may be moved twice.
        t.notOk(Math.abs(row[name] as number - exact) > 2.02 * ALPHA * (Math.abs(exact) + 0.3), `${name} at ${row.at}: ${row[name]}, not ${exact}`)
      }
    }
    t.ok(rows.length > 5 && rows.filter(r => r.count as number > 512).length > 3 && some > 0)
  }
})

t.test('memory is let go when windows are written', async t => {
  const readings: Given[] = Array.from({ length: 4000 }, (_, i) => [i * 0.1, 'a/x', i % 100])
  for (const make of [() => tumbling({ every: '90s', features: ['mad', 'centroid'] }), () => hopping({ size: '90s', every: '30s', features: ['mad', 'centroid'] }), () => session({ gap: '1s', features: ['mad', 'centroid'] }), () => session({ gap: '1s', of: 'device', features: ['mad', 'centroid'] }), () => count({ readings: 900, features: ['mad', 'centroid'] }), () => count({ readings: 900, of: 'device', features: ['mad', 'centroid'] }), () => sliding({ over: '9s', features: ['mad', 'centroid'] }), () => sliding({ over: '9s', of: 'device', features: ['mad', 'centroid'] })]) {
    const b = bench(make())
    b.give(readings)
    b.end()
    const { series, devices } = b.stage.save() as any, lists = Object.entries<any>({ ...series, ...devices }).filter(([, cells]) => cells.counts !== undefined)
    const needed = series.stacks === undefined ? 0 : 90      // the readings of the next sliding window
    t.ok(lists.length > 0)
    for (const [name, { counts }] of lists) t.strictSame([...counts], [name === 'windows' ? 0 : needed], `${make().name} ${name}`)
  }
})

t.test('options that cannot be meant are refused', async t => {
  t.throws(() => tumbling({ every: '1m', features: ['duty_cycle'] }), { code: 'config/invalid', message: /above/ })
  t.throws(() => tumbling({ every: '1m', features: ['band_energy'] }), { message: /bands/ })
  t.throws(() => tumbling({ every: '1m', features: ['band_energy'], bands: [[5, 5]] }), { message: /\[5, 5\] is empty/ })
  t.throws(() => hopping({ size: '1m', every: '2m' }), { message: /shorter/ })
  t.throws(() => hopping({ size: '1m', every: '0s' }), { message: /longer than nothing/ })
  t.throws(() => session({ gap: '0s' }), { message: /longer than nothing/ })
  t.throws(() => sliding({ over: '0s' }), { message: /longer than nothing/ })
  t.throws(() => sliding({ over: '1m', features: ['band_energy'] }), { message: /bands/ })
  t.throws(() => count({ readings: 0 }), { message: /at least 1/ })
  t.throws(() => tumbling({ every: '1h', features: ['autocorrelation'], lag: 4096 }), { message: /at most 4095/ })
  t.strictSame(tumbling({ every: '1m', features: ['band_energy', 'mean'], bands: [[0, 1], [1, 2]] }).adds, ['band_energy_1', 'band_energy_2', 'mean', 'revision'])
})

t.test('windows of so many readings that a feature could never have a value are refused', async t => {
  t.throws(() => count({ readings: 8192, features: ['mean', 'centroid'] }), { code: 'config/invalid', message: /"centroid" has no value in windows of 8192 readings: `readings` must be at most 4096/ })
  t.throws(() => count({ readings: 4097, features: ['mean_crossings'] }), { message: /"mean_crossings".*at most 4096/ })
  t.throws(() => count({ readings: 3, features: ['band_energy'], bands: [[0, 1]] }), { message: /"band_energy".*at least 4/ })
  t.throws(() => count({ readings: 10, features: ['autocorrelation'], lag: 10 }), { message: /"autocorrelation".*lag of 10.*more than `lag`/ })
  t.throws(() => count({ readings: 1, features: ['autocorrelation'] }), { message: /windows of 1 reading at a lag of 1/ })
  t.throws(() => count({ readings: 2, features: ['permutation_entropy'] }), { message: /"permutation_entropy".*patterns of 3.*at least `order`/ })
  for (const [readings, features, rest] of [[4096, ['centroid', 'mean_crossings'], {}], [4, ['peak_frequency'], {}], [11, ['autocorrelation'], { lag: 10 }], [3, ['permutation_entropy'], {}], [100_000, ['mean', 'median'], {}], [1, ['mean'], { lag: 5 }]] as const) {
    const [row] = through(count({ readings, features: [...features], ...rest }), Array.from({ length: Math.min(readings, 4096) }, (_, i): Given => [i, 'a/x', i % 7]))
    t.ok(features.every(f => Number.isFinite(row[f])), `${readings}: ${features.join()}`)
  }
})
