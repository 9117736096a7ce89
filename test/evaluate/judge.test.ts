import assert from 'node:assert/strict'
import t from 'tap'
import fc from 'fast-check'
import { breakDown, figuresOf, wilson } from '../../engine/evaluate/figures.ts'
import { incidentsOf, judge, type Incident, type Rules } from '../../engine/evaluate/judge.ts'
import type { Label } from '../../engine/evaluate/label.ts'

const strict: Rules = { tolerance: 0, probation: { ms: 0 }, by: 'metric' }
const label = (series: string, from: number, to: number, kind = ''): Label => { const [device, metric = ''] = series.split('/'); return { device, metric, from, to, kind } }
const alert = (series: string, at: number, over?: number, name = 'hot'): Incident => { const [device, metric] = series.split('/'); return { alert: name, severity: 'warning', device, metric, at, about: at, over, message: '', details: undefined } }
const day = (...devices: string[]) => new Map(devices.map(d => [d, { first: 0, last: 1000, readings: 100 }]))
const verdicts = (labels: Label[], alerts: Incident[], rules: Partial<Rules> = {}) => {
  const judged = judge(labels, alerts, day('a', 'b'), { ...strict, ...rules })
  return { labels: judged.labels.map(l => l.verdict), alerts: judged.alerts.map(a => a.verdict), delays: judged.labels.map(l => l.delay), judged }
}

t.test('a label is found by an alert from its beginning to its end, both included, and by no other', async t => {
  for (const [at, found] of [[99, false], [100, true], [200, true], [201, false]] as const) t.equal(verdicts([label('a/x', 100, 200)], [alert('a/x', at)]).labels[0], found ? 'found' : 'missed', String(at))
  t.match(verdicts([label('a/x', 100, 200)], [alert('b/x', 150)]), { labels: ['missed'], alerts: ['false'] }, 'of another device')
  t.match(verdicts([label('a/x', 100, 200)], [alert('a/y', 150)]), { labels: ['missed'], alerts: ['false'] }, 'of another metric')
  t.match(verdicts([label('a/x', 100, 200)], [alert('a/y', 150)], { by: 'device' }), { labels: ['found'], alerts: ['true'] }, 'unless the metric does not matter')
  t.match(verdicts([label('a', 100, 200)], [alert('a/y', 150)]), { labels: ['found'], alerts: ['true'] }, 'a label of the whole device')
})

t.test('the tolerance lasts after the end, and not before the beginning', async t => {
  for (const [at, found] of [[99, false], [250, true], [251, false]] as const) t.equal(verdicts([label('a/x', 100, 200)], [alert('a/x', at)], { tolerance: 50 }).labels[0], found ? 'found' : 'missed', String(at))
})

t.test('several alerts in one label count once, the delay goes to the first of them, and none of them is false', async t => {
  const { judged } = verdicts([label('a/x', 100, 200)], [alert('a/x', 180), alert('a/x', 120), alert('a/x', 160)])
  t.match(figuresOf(judged.labels, judged.alerts, 0), { labels: 1, found: 1, false_alarms: 0, alerts: 3, precision: 1, recall: 1, delay_ms: { median: 20, max: 20 } })
})

t.test('precision is of what was found, not of alerts; delays are those of the nearest rank', async t => {
  const labels = Array.from({ length: 10 }, (_, k) => label('a/x', 50 + 90 * k, 130 + 90 * k))
  const judged = judge(labels, [...labels.flatMap((l, k) => [alert('a/x', l.from + 2 * k + 1), alert('a/x', l.from + 40)]), ...[10, 20, 30, 40, 45].map(at => alert('b/x', at))], day('a', 'b'), strict)
  t.match(figuresOf(judged.labels, judged.alerts, 0), { found: 10, alerts: 25, false_alarms: 5, precision: 10 / 15, recall: 1, f1: 0.8, delay_ms: { median: 9, p90: 17, max: 19 } })
})

t.test('an alert in two labels that overlap finds both', async t => {
  t.match(verdicts([label('a/x', 100, 200), label('a', 150, 300)], [alert('a/x', 160)]), { labels: ['found', 'found'], delays: [60, 10], alerts: ['true'] })
})

t.test('a label into which an alert had been firing is missed, and says so', async t => {
  const { judged } = verdicts([label('a/x', 100, 200)], [alert('a/x', 50, 150)])
  t.match([judged.labels[0].verdict, judged.labels[0].already?.at, judged.alerts[0].verdict], ['missed', 50, 'false'])
  t.equal(verdicts([label('a/x', 100, 200)], [alert('a/x', 50, 90)]).judged.labels[0].already, undefined, 'one that was over')
})

t.test('what begins in the probation counts neither way', async t => {
  const rules = { probation: { share: 0.15 } }
  t.match(verdicts([label('a/x', 149, 300), label('a/x', 400, 500)], [alert('a/x', 100), alert('a/x', 200), alert('a/x', 450), alert('a/x', 600)], rules),
    { labels: ['excluded', 'found'], alerts: ['excluded', 'excluded', 'true', 'false'] })
  t.match(verdicts([label('a/x', 150, 300)], [alert('a/x', 150)], rules), { labels: ['found'], alerts: ['true'] }, 'it ends before what begins at its end')
  t.match(verdicts([], [alert('a/x', 299), alert('a/x', 300)], { probation: { ms: 300 } }), { alerts: ['excluded', 'false'] })
})

t.test('rates are those of the time that counts and lies in no label', async t => {
  const week = 7 * 86_400_000
  const extents = new Map([['a', { first: 0, last: 2 * week, readings: 9 }], ['b', { first: 0, last: week, readings: 9 }]])
  const judged = judge([label('a/x', week / 2, week), label('a/y', week / 2, week)], [alert('a/x', 1.5 * week), alert('b/x', 0.9 * week), alert('b/x', 0.95 * week)], extents, { ...strict, probation: { share: 0.25 } })
  const { all, devices } = breakDown(judged, ['hot'])
  t.match([judged.healthy.get('a'), judged.healthy.get('b')], [week, 0.75 * week])
  t.match(all, { device_weeks: 1.75, false_alarms: 3, false_alarms_per_device_week: 3 / 1.75, recall: 0, precision: 0, f1: 0 })
  t.equal(devices.get('b')!.false_alarms_per_device_week, 2 / 0.75)
})

t.test('an alert by itself is judged as if it were the only one', async t => {
  const judged = judge([label('a/x', 100, 200, 'leak'), label('a/x', 300, 400, 'leak')], [alert('a/x', 120, undefined, 'hot'), alert('a/x', 150, undefined, 'loud'), alert('a/x', 350, undefined, 'loud'), alert('a/x', 500, undefined, 'hot')], day('a'), strict)
  const { alerts, kinds } = breakDown(judged, ['hot', 'loud', 'mute'])
  t.match(alerts.get('hot'), { found: 1, labels: 2, false_alarms: 1, alerts: 2, delay_ms: { median: 20 } })
  t.match(alerts.get('loud'), { found: 2, false_alarms: 0, alerts: 2, delay_ms: { median: 50 } })
  t.match(alerts.get('mute'), { found: 0, false_alarms: 0, alerts: 0, delay_ms: null, precision: null, recall: 0 })
  t.match(kinds.get('leak'), { labels: 2, found: 2 })
})

t.test('an incident goes from firing to resolved; one that never ends is open', async t => {
  const event = (incident: string, state: 'firing' | 'resolved', time: number) => ({ at: time + 1, event: { incident, state, time, alert: 'hot', severity: 'info', device: 'a', metric: 'x', message: '' } as any })
  t.match(incidentsOf([event('1', 'firing', 10), event('2', 'firing', 11), event('1', 'resolved', 20)]), [{ at: 11, about: 10, over: 21 }, { at: 12, over: undefined }])
})

t.test('the 95 % interval of a share is that of Wilson', async t => {          // scipy 1.17.1: binomtest(k, n).proportion_ci(method='wilson')
  for (const [k, n, low, high] of [[8, 10, 0.490162, 0.943318], [0, 10, 0, 0.277533], [10, 10, 0.722467, 1], [1, 3, 0.061492, 0.792340]] as const) {
    const found = wilson(k, n)!
    t.ok(Math.abs(found[0] - low) < 1e-5 && Math.abs(found[1] - high) < 1e-5, `${k} of ${n}: ${found.join(' ')}`)
  }
})

t.test('counting instant by instant gives the same', async () => {
  const series = fc.constantFrom('a/x', 'a/y', 'b/x', 'b/y'), labelled = fc.constantFrom('a', 'a/x', 'a/y', 'b/x')
  fc.assert(fc.property(
    fc.array(fc.tuple(labelled, fc.nat(60), fc.nat(20)), { maxLength: 6 }), fc.array(fc.tuple(series, fc.nat(80)), { maxLength: 12 }), fc.nat(10), fc.nat(40), fc.constantFrom('metric' as const, 'device' as const),
    (labels, alerts, tolerance, probation, by) => {
      const all = labels.map(([s, from, length]) => label(s, from, from + length)), said = alerts.map(([s, at]) => alert(s, at))
      const judged = judge(all, said, new Map([['a', { first: 0, last: 80, readings: 9 }], ['b', { first: 0, last: 80, readings: 9 }]]), { tolerance, probation: { ms: probation }, by })
      const fits = (l: Label, s: string) => s.startsWith(l.device) && (by === 'device' || l.metric === '' || s.endsWith(l.metric))
      const instants = (l: Label) => Array.from({ length: l.to + tolerance - l.from + 1 }, (_, i) => l.from + i)
      let found = 0, wrong = 0, healthy = 0
      for (const l of all) if (l.from >= probation && instants(l).some(at => alerts.some(([s, when]) => when === at && fits(l, s)))) found++
      for (const [s, when] of alerts) if (when >= probation && !all.some(l => fits(l, s) && instants(l).includes(when))) wrong++
      for (const d of ['a', 'b']) for (let at = probation; at < 80; at++) if (!all.some(l => l.device === d && at >= l.from && at < l.to + tolerance)) healthy++
      const figures = figuresOf(judged.labels, judged.alerts, 0)
      assert.equal(figures.found, found)
      assert.equal(figures.false_alarms, wrong)
      assert.equal([...judged.healthy.values()].reduce((a, b) => a + b, 0), healthy)
    }), { numRuns: 500 })
})
