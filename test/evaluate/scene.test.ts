import t from 'tap'
import { judge, type Incident } from '../../engine/evaluate/judge.ts'
import type { Label } from '../../engine/evaluate/label.ts'
import { closeUps, wholes, type Layout } from '../../engine/evaluate/scene.ts'
import { apart } from '../../engine/evaluate/timeline.ts'

const layout = (branch: string, ...alerts: string[]): Layout => ({ branch, range: undefined, scores: [], columns: [], bounds: new Map(), alerts })
const layouts = [layout('', 'hot'), layout('slow', 'late')]
const metrics = (...names: string[]) => new Map(names.map(name => [name, 101]))
const seen = new Map([['', new Map([['a', metrics('x', 'y')], ['b', metrics('x')]])], ['slow', new Map([['a', metrics('x')]])]])
const extents = new Map(['a', 'b'].map(d => [d, { first: 0, last: 10_000, readings: 202 }]))
const label = (device: string, metric: string, from: number, to: number): Label => ({ device, metric, from, to, kind: '' })
const alert = (device: string, at: number, name = 'hot'): Incident => ({ alert: name, severity: 'info', device, metric: 'x', at, about: at, over: undefined, message: '', details: undefined })
const judged = (labels: Label[], alerts: Incident[]) => judge(labels, alerts, extents, { tolerance: 0, probation: { ms: 0 }, by: 'metric' })
const names = (scenes: readonly { readonly layout: Layout, readonly device: string, readonly metric: string }[]) => scenes.map(s => `${s.layout.branch}:${s.device}/${s.metric}`)

t.test('what was missed is shown in every series that an alert looks at; what was found in that of its first alert', async t => {
  const { missed, found, wrong } = closeUps(judged([label('a', '', 100, 200), label('a', 'y', 300, 400), label('a', '', 500, 600)], [alert('a', 550, 'late'), alert('a', 560)]), layouts, seen, extents, 10)
  t.strictSame(names(missed), [':a/x', ':a/y', 'slow:a/x', ':a/y'])
  t.strictSame(names(found), ['slow:a/x'])
  t.strictSame(wrong, [])
})

t.test('each label has its first plot before another has its second', async t => {
  const { missed } = closeUps(judged([label('a', '', 100, 200), label('b', 'x', 300, 400), label('a', 'y', 500, 600)], []), layouts, seen, extents, 3)
  t.strictSame(names(missed), [':a/x', ':b/x', ':a/y'])
})

t.test('of several columns the one that weighs most in an alert is drawn too, if rows have it', async t => {
  const told = (name: string, weight?: number): Incident => ({ ...alert('b', 550), details: { version: '', signals: [{ name: 'jump', by: 'anomaly' }, { name, by: 'loda', ...weight === undefined ? {} : { weight } }] } })
  const scores = (incident: Incident) => closeUps(judged([], [incident]), [{ ...layouts[0], scores: ['loda'], columns: ['loda', 'flow'] }], seen, extents, 1).wrong[0].layout.scores
  t.strictSame([scores(told('flow', 0.7)), scores(told('gone', 0.7)), scores(told('flow')), scores(told('loda', 1))], [['loda', 'flow'], ['loda'], ['loda'], ['loda']])
})

t.test('a close look goes 60 rows before and after, as far as there are any', async t => {
  const { found: [scene] } = closeUps(judged([label('b', 'x', 8000, 8100)], [alert('b', 8050)]), layouts, seen, extents, 10)
  t.strictSame([scene.from, scene.to], [2000, 10_000])
})

t.test('false alarms that stand close together are shown once; at most so many are shown', async t => {
  const alarms = [alert('a', 100), alert('a', 200), alert('a', 9000), alert('b', 210), alert('a', 220, 'late')]
  t.strictSame(names(closeUps(judged([], alarms), layouts, seen, extents, 10).wrong), [':a/x', ':b/x', 'slow:a/x', ':a/x'])
  t.strictSame(names(closeUps(judged([], alarms), layouts, seen, extents, 2).wrong), [':a/x', ':b/x'])
})

t.test('of whole histories those with alerts come first, then those with labels', async t => {
  const all = wholes(judged([label('a', 'y', 0, 10)], [alert('b', 50), alert('b', 60), alert('a', 70, 'late')]), layouts, seen, extents, 3)
  t.equal(all.of, 4)
  t.strictSame(names(all.scenes), [':b/x', 'slow:a/x', ':a/y'])
})

t.test('devices that were there at different times are drawn from their own beginnings', async t => {
  const e = (first: number, last: number) => ({ first, last, readings: 2 })
  t.equal(apart([e(0, 100), e(5, 95)]), false)
  t.equal(apart([e(0, 10), e(500, 510), e(900, 910)]), true)
  t.equal(apart([e(7, 7)]), false)
})
