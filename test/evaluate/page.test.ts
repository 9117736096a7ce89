import t from 'tap'
import fc from 'fast-check'
import { html } from '../../engine/evaluate/html.ts'
import { visible } from '../../engine/names.ts'
import { ticksOf, timeTicks } from '../../engine/evaluate/scale.ts'
import { Trace } from '../../engine/evaluate/trace.ts'
import { lasting, moment, short, why } from '../../engine/evaluate/words.ts'
import { layoutsOf } from '../../engine/evaluate/scene.ts'
import { poisson } from '../../engine/evaluate/figures.ts'
import { Batch, pipeline } from '#engine'
import * as operators from '../../operators/index.ts'
import { parseStrictly } from '../support/strict-html.ts'

t.test('whatever is put into HTML is escaped, but for HTML', async t => {
  t.equal(html`<b a="${'"><i>'}">${'<script>&\'`'}</b>${html`<br>`}${false}${undefined}${[1, html`<hr>`]}`.text, '<b a="&#34;&#62;&#60;i&#62;">&#60;script&#62;&#38;&#39;&#96;</b><br>1<hr>')
  t.equal(visible('a\u202eb\u0007\u200d\u2028 é 泵'), 'a\\u202eb\\u0007\\u200d\\u2028 é 泵')
})

t.test('the strict reader of the tests refuses what a browser would take', async t => {
  for (const [page, what] of [['<p>a</p', /bare </], ['<p>a & b</p>', /bare &/], ['<p><b></p></b>', /element <b>/], ['<p><em></p></em>', /closes/], ['<p', /bare </], ['<p>', /not closed/], ['<p a=1></p>', /bare </], ['<script></script>', /element <script>/], ['<p a="1" a="2"></p>', /twice/]] as const) t.throws(() => parseStrictly(`<!doctype html>\n${page}`), what, page)
})

t.test('a trace keeps the least and the greatest value of each span, whatever it is reduced to', async () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.integer({ min: -10, max: 110 }), fc.oneof(fc.integer({ min: -50, max: 50 }), fc.constant(NaN), fc.constant(Infinity))), { maxLength: 50 }), fc.integer({ min: 1, max: 30 }), (rows, spans) => {
    const trace = new Trace(['value', 'none'], { from: 0, to: 100, spans })
    const batch = new Batch({ time: Float64Array.from(rows, r => r[0]), series: new Int32Array(rows.length), value: Float64Array.from(rows, r => r[1]) })
    rows.forEach((_, i) => { trace.add(batch, i) })
    const inside = rows.filter(([time]) => time >= 0 && time <= 100)
    const spanOf = (time: number) => Math.min(spans - 1, Math.floor(time * spans / 100))
    for (let s = 0; s < spans; s++) {
      const own = inside.filter(([time]) => spanOf(time) === s), finite = own.map(r => r[1]).filter(Number.isFinite)
      const same = (a: number, b: number) => { if (!Object.is(a, b) && a !== b) throw new Error(`span ${s} of ${spans}: ${a} is not ${b}`) }
      same(trace.rows[s], own.length)
      same(trace.low('value', s), finite.length === 0 ? NaN : Math.min(...finite))
      same(trace.high('value', s), finite.length === 0 ? NaN : Math.max(...finite))
      same(trace.low('none', s), NaN)
    }
    const all = inside.map(r => r[1]).filter(Number.isFinite), [low, high] = trace.extremes('value')
    if (all.length > 0 && (low !== Math.min(...all) || high !== Math.max(...all))) throw new Error('extremes')
    if (trace.reduced !== inside.some(([a], i) => inside.some(([b], j) => i < j && spanOf(a) === spanOf(b)))) throw new Error('reduced')
  }), { numRuns: 500, examples: [[[[20, 1]], 15], [[[60, 1], [61, 2]], 15]] })
})

t.test('numbers, times and spans are written for people', async t => {
  t.strictSame([0, 1234.5, 0.12345, 1e-7, 123456789, -2.5].map(short), ['0', '1234.5', '0.123', '1e-7', '1.23e8', '-2.5'])
  t.strictSame([0, 999.4, 61e3, 3600e3, 7_260e3, 86_400e3 * 2.5, 3_599_999, -60e3].map(lasting), ['0 s', '999 ms', '1 min 1 s', '1 h', '2 h 1 min', '2 d 12 h', '1 h', '-1 min'])
  t.strictSame([0, 1500, 61e3].map(moment), ['1970-01-01 00:00', '1970-01-01 00:00:01.500', '1970-01-01 00:01:01'])
  t.strictSame(ticksOf(0, 10, 4), [0, 5, 10])
  t.strictSame(timeTicks(0, 86_400e3, 4).map(x => [x.words, x.day]), [['00:00', '1 Jan 1970'], ['06:00', undefined], ['12:00', undefined], ['18:00', undefined], ['00:00', '2 Jan 1970']])
  fc.assert(fc.property(fc.double({ min: -1e9, max: 1e9, noNaN: true }), fc.double({ min: 1e-6, max: 1e9, noNaN: true }), (low, size) => { const ticks = ticksOf(low, low + size, 4); return ticks.length <= 11 && ticks.every(x => x >= low - size * 1e-6 - Math.abs(low) * 1e-12 && x <= low + size * 1.000001 + Math.abs(low) * 1e-12) }))
  fc.assert(fc.property(fc.nat(2e9), fc.integer({ min: 1, max: 2 ** 40 }), (from, size) => timeTicks(from * 1000, from * 1000 + size, 8).length <= 9))
})

t.test('the plots of a route show what its alerts read, with their limits', async t => {
  const p = pipeline('p').pipe(operators.anomaly({}), operators.zscore({}))
    .alert('flagged', { when: { anomaly_alarm: { equals: 1 } } }).alert('far', { when: { any: [{ zscore: { outside: [-4, 4] } }, { value: { above: 90 } }] } })
    .branch('none', b => b.pipe(operators.ewma({})))
    .branch('plain', b => b.alert('hot', { when: { value: { above: 80, below: 200 } }, clear: { value: { below: 70 } } }))
  t.match(layoutsOf(p as any).map(l => ({ ...l, bounds: Object.fromEntries([...l.bounds].filter(([, b]) => b.length > 0)) })), [
    { branch: '', range: ['anomaly_low', 'anomaly_high'], scores: ['anomaly', 'zscore'], bounds: { zscore: [-4, 4], value: [90] }, alerts: ['flagged', 'far'] },
    { branch: 'plain', scores: [], bounds: { value: [80, 200] }, alerts: ['hot'] }
  ])
})

t.test('of an alarm the score that it is taken from is shown, also where no range is expected; another flag stays what it is', async t => {
  const p = pipeline('p').pipe(operators.tumbling({ every: '1s', features: ['mean', 'max'] }), operators.hotelling({ columns: ['mean', 'max'] }), operators.threshold({ above: 3 }))
    .alert('odd', { when: { hotelling_alarm: { equals: 1 } } }).alert('full', { when: { revision: { equals: 0 } } })
  t.strictSame(layoutsOf(p as any).map(l => [l.range, l.scores]), [[undefined, ['hotelling', 'revision']]])
})

t.test('why: the three that weigh most, what was expected, how rare it is, and what is still learned', async t => {
  t.equal(why({ signals: [{ name: 'jump', by: 'anomaly' }, ...['a', 'b', 'c'].map((name, i) => ({ name, by: 'loda', weight: 0.5 / (i + 1) }))], expected: { low: 1, high: null }, p: 1e-5, verdict: 'sensor', learning: [{ by: 'anomaly', learned: 3, of: 200 }] }), 'sensor; jump (anomaly); a 0.5; b 0.25; expected 1 to ...; p 1e-5; anomaly has learned 3 of 200')
  t.equal(why({ version: '1' }), '')
})

t.test('the interval of a number that comes by chance is the exact one, within a percent', async t => {
  for (const [n, low, high] of [[0, 0, 3.689], [1, 0.0253, 5.572], [3, 0.6187, 8.767], [10, 4.795, 18.39], [100, 81.36, 121.6]] as const) {      // scipy.stats.chi2.ppf
    const [least, most] = poisson(n)
    t.ok(Math.abs(least - low) < Math.max(0.02 * low, 0.02) && Math.abs(most / high - 1) < 0.01, `${n}: ${least} to ${most}`)
  }
})

t.test('extremes of a part of the time are those of the spans that hold it', async t => {
  const trace = new Trace(['value'], { from: 0, to: 100, spans: 10 }), value = [5, 1, 9, 3, 7]
  const batch = new Batch({ time: Float64Array.of(5, 25, 45, 65, 85), series: new Int32Array(5), value: Float64Array.from(value) })
  value.forEach((_, i) => { trace.add(batch, i) })
  t.strictSame([trace.extremes('value', 20, 69), trace.extremes('value', -50, 9), trace.extremes('value', 90, 500), trace.extremes('value')], [[1, 9], [5, 5], [NaN, NaN], [1, 9]])
})
