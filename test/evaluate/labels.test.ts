import { join } from 'node:path'
import t, { type Test } from 'tap'
import { labelsInColumn } from '../../connectors/label-column.ts'
import { readLabels } from '../../connectors/labels.ts'
import { replay } from '../../connectors/replay.ts'
import { SeriesTable } from '#engine'
import { fitLabels } from '../../engine/evaluate/fit.ts'
import type { Label } from '../../engine/evaluate/label.ts'

const at = (text: string) => Date.parse(text)

const read = async (t: Test, name: string, text: string): Promise<Label[]> => await readLabels([join(t.testdir({ [name]: text }), name)])

t.test('a table names its columns, in any order; others are not looked at', async t => {
  t.strictSame(await read(t, 'l.csv', 'to;from;size;device;kind\n2026-01-05T12:00:00Z;2026-01-05 10:00;7;pump-1;leak\n;2026-01-06 10:00;;"pump;2";\n'), [
    { device: 'pump-1', metric: '', from: at('2026-01-05T10:00Z'), to: at('2026-01-05T12:00Z'), kind: 'leak' },
    { device: 'pump;2', metric: '', from: at('2026-01-06T10:00Z'), to: at('2026-01-06T10:00Z'), kind: '' }
  ])
})

t.test('a JSON list has the same keys, as the simulator writes it', async t => {
  t.strictSame(await read(t, 'l.json', JSON.stringify([{ device: 'd-1', metric: 'current', kind: 'shift', from: 1767225600000, to: 1767225601000, size: 5 }])), [{ device: 'd-1', metric: 'current', from: 1767225600000, to: 1767225601000, kind: 'shift' }])
})

t.test('a JSON map has the windows of files, as the Numenta benchmark has them', async t => {
  t.strictSame(await read(t, 'w.json', '{ "real/cpu.one.csv": [["2014-02-26 22:05:00.000000", "2014-02-27 17:15:00.000000"]], "real/none.csv": [] }'), [{ device: 'cpu.one', metric: '', from: at('2014-02-26T22:05Z'), to: at('2014-02-27T17:15Z'), kind: '' }])
})

t.test('what is wrong with labels is named with its place', async t => {
  const head = 'device,from,to\n'
  for (const [name, text, what] of [
    ['l.csv', 'device,begin,to\n', /l\.csv has no column "from"/],
    ['l.csv', '', /l\.csv is empty/],
    ['l.csv', `${head}a,2026-01-05,2026-01-06\nb,yesterday,2026-01-06\n`, /row 2: from is "yesterday", which is no time/],
    ['l.csv', `${head}a,2026-01-06,2026-01-05\n`, /row 1: it ends \(2026-01-05.*\) before it begins/],
    ['l.csv', `${head}a,2026-01-06\n`, /row 1 has 2 cells under 3 columns/],
    ['l.csv', `${head},2026-01-06,\n`, /row 1 names no device/],
    ['l.json', '[{"device":"a","from":"soon"}]', /entry 1: from is "soon"/],
    ['l.json', '[null]', /entry 1 names no device/],
    ['l.json', '{"a.csv":[["2026-01-05"]]}', /"a\.csv" has no labels in a known form/],
    ['l.json', '{"a.csv":[["2026-01-05","x"]]}', /window 1: to is "x"/],
    ['l.json', '{', /l\.json is not JSON/],
    ['l.json', '7', /no labels in a known form/]
  ] as const) await t.rejects(read(t, name, text), { code: 'usage/labels', message: what }, text)
  await t.rejects(readLabels(['/nowhere/l.csv']), { code: 'usage/file', message: /nowhere.*ENOENT/ })
})

t.test('neighbouring rows with a true label in a column are one label of the device', async t => {
  const folder = t.testdir({ 'one.csv': 'time;x;bad\n2026-01-05T00:00:00Z;1;0\n2026-01-05T00:01:00Z;1;1.0\n2026-01-05T00:02:00Z;1;1.0\n2026-01-05T00:03:00Z;1;0.0\n2026-01-05T00:04:00Z;1;1\n', 'two.csv': 'time,x,bad\n2026-01-05T00:00:00Z,1,True\n2026-01-05T00:01:00Z,1,False\n' })
  const minute = (n: number) => at('2026-01-05T00:00Z') + n * 60_000
  const options = replay({ files: folder, ignore: ['bad'] }).options as any
  t.strictSame(await labelsInColumn('bad', options), [
    { device: 'one', metric: '', from: minute(1), to: minute(2), kind: '' }, { device: 'one', metric: '', from: minute(4), to: minute(4), kind: '' }, { device: 'two', metric: '', from: minute(0), to: minute(0), kind: '' }
  ])
  await t.rejects(labelsInColumn('bat', options), { code: 'usage/labels', message: /one\.csv has no column "bat"/, help: /bad/ })
})

t.test('in long form a label in a column is of the metric of its row', async t => {
  const folder = t.testdir({ 'l.csv': 'time,device,metric,value,bad\n1767225600,p,a,5,0\n1767225600,p,b,5,1\n1767225601,p,a,5,0\n1767225601,p,b,5,1\n1767225602,p,b,5,0\n' })
  t.strictSame(await labelsInColumn('bad', replay({ files: folder }).options as any), [{ device: 'p', metric: 'b', from: 1767225600000, to: 1767225601000, kind: '' }])
})

t.test('a label in a column that is a word is refused by name', async t => {
  await t.rejects(labelsInColumn('bad', replay({ files: t.testdir({ 'l.csv': 'time,x,bad\n1767225600,5,attack\n' }) }).options as any), { code: 'usage/labels', message: /bad is "attack"/ })
})

t.test('labels that do not belong to the data are left out by name; others that are odd are named', async t => {
  const series = new SeriesTable(10)
  series.id('default', 'a', 'x')
  series.id('default', 'b', 'x')
  const extents = new Map([['a', { first: 100, last: 900, readings: 9 }], ['b', { first: 100, last: 900, readings: 9 }]])
  const l = (device: string, metric: string, from: number, to: number): Label => ({ device, metric, from, to, kind: '' })
  const fit = (...labels: Label[]) => fitLabels(labels, extents, series)
  const good = l('a', 'x', 200, 300)
  t.strictSame(fit(good, l('b', '', 0, 100)).warnings, ['1 label begins before the first reading of its device; the delay counts from the label: b 1970-01-01T00:00:00.000Z'])
  const { labels, warnings } = fit(good, l('c', '', 200, 300), l('a', 'y', 200, 300), l('a', 'x', 901, 902), l('a', 'x', 0, 99))
  t.strictSame(labels, [good])
  t.match(warnings, [/^1 label left out, of devices that are not in the data: c$/, /^1 label left out, of metrics that their device does not have: a y$/, /^2 labels left out, outside of the time.*: a x 1970-01-01T00:00:00\.901Z, a x 1970/, /^1 device has no label.*: b$/])
  t.match(fit(good, l('a', 'x', 250, 400), l('a', '', 250, 400), l('b', '', 300, 300)).warnings, [/^1 label overlap.*: a x .*\.250Z$/])
  t.throws(() => fit(l('aa', '', 200, 300)), { code: 'usage/labels', message: /no label is of a device in the data; labelled are aa/, help: 'did you mean "a"?' })
  t.throws(() => fit(l('a', '', 2000, 3000)), { code: 'usage/labels', message: /no label can be judged: 1 label left out, outside/ })
  t.strictSame(fit().warnings, [])
})
