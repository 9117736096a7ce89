import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { labelsInColumn } from '../../connectors/label-column.ts'
import { readLabels } from '../../connectors/labels.ts'
import { replay as replayFiles } from '../../connectors/replay.ts'
import { evaluate } from '../../engine/cli/evaluate.ts'
import { main } from '../../engine/cli/program.ts'
import { replay } from '../../engine/cli/replay.ts'
import type { Parts } from '../../engine/components.ts'
import * as operators from '../../operators/index.ts'
import { file, fileStore } from '../../sinks/file.ts'
import { webhook } from '../../sinks/webhook.ts'
import { elements, parseStrictly, textIn } from '../support/strict-html.ts'

const parts = { sources: { replay: replayFiles }, operators, sinks: { file, webhook }, fileStore, readLabels, labelsInColumn } as unknown as Parts

process.setMaxListeners(30)              // each replay listens for signals until the process ends

async function call (...argv: string[]): Promise<{ code: number, out: string, err: string }> {
  let out = '', err = ''
  const code = await main([...argv, '--log-level', 'silent'], parts, [evaluate, replay], { writeOut: text => { out += text }, writeErr: text => { err += text }, getOutHasColors: () => false, getErrHasColors: () => false })
  return { code, out, err }
}

const yaml = `name: mill
from: { replay: { files: none.csv } }
time: { lateness: 0s, idle: 1h }
pipe: [ ewma: { alpha: 0.5 } ]
alerts:
  hot: { when: { value: { above: 90 } }, to: [ webhook: { url: "http://127.0.0.1:9/" } ] }
  warm: { when: { ewma: { above: 60 } }, for: 2m }
to: [ file: { table: readings, folder: NOWHERE } ]
`
const minute = (n: number) => new Date(Date.UTC(2026, 0, 5) + n * 60_000).toISOString()
/** An hour of two devices at 50, a reading a minute; some of the first are hot. */
const data = (hot: readonly number[], name = 'a') => `time,device,metric,value,bad\n${Array.from({ length: 60 }, (_, i) => [name, 'b'].map(d => `${minute(i)},"${d.replaceAll('"', '""')}",temp,${d === name && hot.includes(i) ? 99 : 50},${d === name && i >= 20 && i <= 25 ? 1 : 0}\n`).join('')).join('')}`
const labels = `device,metric,kind,from,to\na,temp,leak,${minute(20)},${minute(25)}\na,,stop,${minute(40)},${minute(45)}\n`

function place (t: { testdir (content: Record<string, string>): string }, content: Record<string, string> = {}) {
  const folder = t.testdir({ 'mill.yaml': yaml, 'data.csv': data([10, 21, 22, 24]), 'labels.csv': labels, ...content })
  const at = (name: string) => join(folder, name)
  writeFileSync(at('mill.yaml'), readFileSync(at('mill.yaml'), 'utf8').replace('NOWHERE', at('nowhere')))
  return { at, run: (...argv: string[]) => call('evaluate', at('mill.yaml'), '--data', at('data.csv'), '--to', at('out'), '--max-series', '100', ...argv) }
}

t.test('evaluate judges the alerts of a pipeline, as the author wrote it, on labelled files', async t => {
  const { at, run } = place(t)
  const { code, out, err } = await run('--labels', at('labels.csv'), '--alert', 'hot')
  t.equal(code, 0)
  t.match(out, /^mill: 120 readings of 2 series, 2 devices\n/)
  t.match(out, /^labels {8}2 {6}1 found, 1 missed$/m)
  t.match(out, /^false alarms {2}1 {6}93\.3 per device and week, in 0\.0107 device weeks without a label: \d[\d.]* to \d+(\.\d+)? with 95 % confidence$/m, '1 in 59 + 59 - 10 device minutes')
  t.match(err, /evaluation\.html/)
  const report = JSON.parse(readFileSync(at('out/evaluation.json'), 'utf8'))
  t.match(report, { pipeline: 'mill', labels: 2, found: 1, missed: 1, alerts: 3, false_alarms: 1, recall: 0.5, precision: 0.5, delay_ms: { median: 60_000 }, readings: { received: 120, late: 0 } })
  t.strictSame(report.alert_list.map((a: any) => [a.said, a.verdict]), [[minute(10), 'false'], [minute(21), 'true'], [minute(24), 'true']])
  t.strictSame(report.label_list.map((l: any) => [l.kind, l.verdict, l.alerts]), [['leak', 'found', 2], ['stop', 'missed', 0]])
  t.notOk(existsSync(at('nowhere')), 'nothing is written to the tables of the pipeline')
  t.match(JSON.parse((await run('--labels', at('labels.csv'), '--json')).out), { found: 1, alert_rules: [{ alert: 'hot', false_alarms: 1 }, { alert: 'warm', found: 1 }] })
})

t.test('a pipeline in TypeScript gives the same as one in YAML, and a replay stores the same alerts', async t => {
  const { at, run } = place(t, { 'mill.mjs': `import { ewma, pipeline, replay } from '${new URL('../../index.ts', import.meta.url).href}'\nexport default pipeline('mill').from(replay({ files: 'none.csv' }), { lateness: '0s', idle: '1h' }).pipe(ewma({ alpha: 0.5 })).alert('hot', { when: { value: { above: 90 } } }).alert('warm', { when: { ewma: { above: 60 } }, for: '2m' })\n` })
  const report = JSON.parse((await run('--labels', at('labels.csv'), '--json')).out)
  const typed = JSON.parse((await call('evaluate', at('mill.mjs'), '--data', at('data.csv'), '--to', at('typed'), '--labels', at('labels.csv'), '--json')).out)
  t.strictSame({ ...typed, file: '' }, { ...report, file: '' })
  t.equal((await call('replay', at('mill.yaml'), '--data', at('data.csv'), '--option', 'ignore=["bad"]', '--name', 'again', '--folder', at('.'))).code, 0)
  const days = (readdirSync(at('nowhere'), { recursive: true }) as string[]).filter(name => /alerts.*ndjson$/.test(name))
  const stored = days.map(name => readFileSync(join(at('nowhere'), name), 'utf8')).join('').trim().split('\n').map(line => JSON.parse(line)).filter(e => e.state === 'firing').sort((a, b) => a.time < b.time ? -1 : 1)
  t.strictSame(stored.map(e => [e.alert, e.device, new Date(e.time).toISOString()]), report.alert_list.map((a: any) => [a.alert, a.device, a.about]))
})

t.test('labels in a column of the data are not data', async t => {
  const { at, run } = place(t, { 'wide.csv': `time,temp,note,bad\n${minute(0)},5,cold,0\n${minute(1)},6,cold,1\n` })
  const report = JSON.parse((await run('--label-column', 'bad', '--alert', 'hot', '--json')).out)
  t.match(report, { labels: 1, found: 1, readings: { series: 2, received: 120 }, label_list: [{ device: 'a', metric: 'temp', from: minute(20), to: minute(25) }] })
  const wide = JSON.parse((await call('evaluate', at('mill.yaml'), '--data', at('wide.csv'), '--to', at('out'), '--label-column', 'bad', '--option', 'ignore=["note"]', '--json')).out)
  t.match(wide, { labels: 1, readings: { received: 2, series: 1, dead_lettered: 0 } }, 'in wide form neither, beside what is to be ignored anyway')
  t.match(await run('--label-column', 'bat'), { code: 2, err: /usage\/labels[\s\S]*has no column "bat"[\s\S]*bad/ })
})

t.test('a history in which nothing was wrong tells how many alarms are false', async t => {
  const { run } = place(t)
  const { out } = await run('--healthy', '--option', 'ignore=["bad"]', '--json', '--probation', '15m')
  t.match(JSON.parse(out), { labels: 0, recall: null, delay_ms: null, alerts: 3, false_alarms: 3, notes: ['the probation leaves out 0 labels and 1 alert'] })
  t.match(await run('--healthy', '--alert', 'hot'), { code: 0, out: /recall {8}-\n/ })
})

t.test('labels of series that no alert looks at are named', async t => {
  const { at } = place(t, { 'narrow.yaml': yaml.replace('pipe: [ ewma', 'pipe: [ where: { device: b }, ewma') })
  const { out } = await call('evaluate', at('narrow.yaml'), '--data', at('data.csv'), '--to', at('out'), '--labels', at('labels.csv'), '--json')
  t.match(JSON.parse(out).notes, ['1 device has no label, so that whatever is said of it is false: b', 'no alert looks at the series of 2 labels: a temp, a'])
})

t.test('series of which a step was still learning at the end are told, as n of m readings', async t => {
  const { at } = place(t, { 'young.yaml': yaml.replace('pipe: [ ', 'pipe: [ anomaly, ') })
  const { out } = await call('evaluate', at('young.yaml'), '--data', at('data.csv'), '--to', at('out'), '--labels', at('labels.csv'), '--option', 'ignore=["bad"]', '--json')
  t.match(JSON.parse(out).alert_list[0].learning, [{ by: 'anomaly', of: 200 }])
  t.match(JSON.parse(out).notes.join('\n'), /^anomaly was still learning at the end, of 2 series; the least, . temp: 59 of 200 readings$/m)
})

t.test('so are all that learn for so many readings before they speak', async t => {
  const learners = { hygiene: 200, drift: 1500, change: 100, rul: 30 }, steps = Object.keys(learners).map(name => name === 'rul' ? 'rul: { above: 1000 }' : name).join(', ')
  const { at } = place(t, { 'young.yaml': yaml.replace('pipe: [ ', `pipe: [ ${steps}, `) })
  const short = readFileSync(at('data.csv'), 'utf8').split('\n').slice(0, 41).join('\n')
  writeFileSync(at('short.csv'), short)
  const { out } = await call('evaluate', at('young.yaml'), '--data', at('short.csv'), '--to', at('out'), '--healthy', '--option', 'ignore=["bad"]', '--json'), notes: string[] = JSON.parse(out).notes
  for (const [name, of] of Object.entries(learners)) t.ok(notes.some(note => new RegExp(`^${name} was still learning at the end, of \\d series; the least, .*: \\d+ of ${of} readings$`).test(note)), `${name}: ${notes.join('; ')}`)
})

t.test('what cannot be evaluated is refused by name', async t => {
  const { at, run } = place(t, { 'mute.yaml': yaml.replace(/alerts:[\s\S]*?to: \[ file/, 'to: [ file'), 'strange.csv': labels.replaceAll('\na,', '\naa,'), 'empty.csv': '' })
  for (const [argv, code, what] of [
    [[], 2, /nothing says when something was wrong[\s\S]*--labels <file>, --label-column <name> and --healthy/],
    [['--healthy', '--labels', at('labels.csv')], 2, /exclude each other/],
    [['--labels', at('none.csv')], 2, /usage\/file[\s\S]*none\.csv" cannot be read/],
    [['--labels', at('strange.csv')], 2, /usage\/labels[\s\S]*labelled are aa[\s\S]*did you mean "a"/],
    [['--healthy', '--alert', 'hott'], 2, /--alert hott[\s\S]*did you mean "hot"/],
    [['--healthy', '--tolerance', 'long'], 78, /"long" is not a time span/],
    [['--healthy', '--probation', '100%'], 2, /leaves nothing/],
    [['--healthy', '--by', 'site'], 2, /neither metric nor device/],
    [['--healthy', '--plots', '-1'], 2, /not a whole number/],
    [['--healthy', '--option', 'decimal=;'], 78, /replay\.decimal/]
  ] as const) t.match(await run(...argv), { code, err: what, out: '' }, argv.join(' '))
  t.match(await call('evaluate', at('mute.yaml'), '--data', at('data.csv'), '--healthy', '--to', at('out')), { code: 2, err: /mute\.yaml has no alert/ })
  t.match(await call('evaluate', at('mill.yaml'), '--data', at('gone'), '--healthy', '--to', at('out')), { code: 2, err: /there is no/ })
  t.match(await call('evaluate', at('mill.yaml'), '--data', at('empty.csv'), '--healthy', '--to', at('out')), { code: 2, err: /there is no reading in/ })
  t.notOk(existsSync(at('out')), 'and nothing is written')
})

t.test('the page reads without scripts and without anything from elsewhere; names from data are text in it', async t => {
  const evil = '</title><script>alert(1)</script><img src=x onerror="alert(2)">&\'`{{x}}', hidden = 'a\u202egnp.exe'
  const { at, run } = place(t, { 'data.csv': data([10, 21, 22, 24], evil) + data([30], hidden).split('\n').slice(1).join('\n') })
  writeFileSync(at('evil.json'), JSON.stringify([{ device: evil, kind: '<b onclick=x>', from: minute(20), to: minute(25) }, { device: evil, metric: 'temp', from: minute(40), to: minute(45) }, { device: '"><svg onload=x>', from: minute(1), to: minute(2) }]))
  const { code, out } = await run('--labels', at('evil.json'), '--option', 'ignore=["bad"]', '--probation', '5%')
  t.equal(code, 0)
  t.notMatch(out, /\u202e/, 'nor do they move the cursor of a terminal')
  const page = readFileSync(at('out/evaluation.html'), 'utf8'), all = elements(parseStrictly(page))
  t.ok(all.some(e => e.name === 'th' && e.text === evil), 'the name stands there as it is')
  t.ok(all.some(e => e.name === 'li' && e.text.includes('"><svg onload=x>')), 'in notes too')
  t.ok(all.some(e => e.text.includes('a\\u202egnp.exe')) && !page.includes('\u202e'), 'and what would turn the writing is shown')
  const ids = all.flatMap(e => e.attributes.id ?? [])
  t.equal(new Set(ids).size, ids.length, 'ids are unique')
  for (const { name, attributes } of all) {
    for (const [key, value] of Object.entries(attributes)) {
      t.notOk(/^on|^src|^xlink|^data|^action/.test(key), `${name} ${key}`)
      if (key === 'href') t.ok(value.startsWith('#') && ids.includes(value.slice(1)), value)
      if (key === 'style') t.equal(value, 'fill:var(--range)')
      for (const [, id] of value.matchAll(/url\(#([^)]*)\)/g)) t.ok(ids.includes(id), value)
      if (key !== 'clip-path') t.notMatch(value, /url\(|https?:/)
    }
  }
  t.notMatch(all.find(e => e.name === 'style')!.text, /url\(|@import|https?:/)
  t.equal(all.filter(e => e.name === 'meta').some(e => e.attributes.content?.startsWith("default-src 'none'")), true)
})

t.test('every plot says in words what is in it, and has its table', async t => {
  const { at, run } = place(t)
  await run('--labels', at('labels.csv'))
  const all = elements(parseStrictly(readFileSync(at('out/evaluation.html'), 'utf8'))), plots = all.filter(e => e.name === 'svg' && e.attributes['aria-hidden'] !== 'true')
  t.ok(plots.length >= 6, `${plots.length} plots`)
  for (const svg of plots) {
    const words = svg.attributes['aria-labelledby'].split(' ').map(id => textIn(all.find(e => e.attributes.id === id)!))
    t.ok(words.length === 2 && words[0].length > 5 && words[1].length > 20, words.join(': '))
  }
  const figures = all.filter(e => e.name === 'figure')
  t.ok(figures.every(f => elements(f).some(e => e.name === 'details' || e.attributes.href === '#tables')))
  t.match(figures.map(textIn).find(text => text.includes('120 rows') || text.includes('60 rows')), /values from 50 to 99/)
  t.ok(figures.map(textIn).some(text => /In the label value goes from 50 to 50 \(limit 90\), ewma goes from 50 to 50(\.\d+)? \(limit 60\)\./.test(text)), 'and how near what was missed came to the limits')
})

t.test('a long history is drawn in spans, from the least to the greatest value, and says so', async t => {
  const rows = Array.from({ length: 5000 }, (_, i) => `${new Date(Date.UTC(2026, 0, 5) + i * 1000).toISOString()},p,temp,${i === 2501 ? 99 : 50},0\n`)
  const { at, run } = place(t, { 'data.csv': `time,device,metric,value,bad\n${rows.join('')}` })
  await run('--label-column', 'bad', '--alert', 'hot')
  const all = elements(parseStrictly(readFileSync(at('out/evaluation.html'), 'utf8')))
  const whole = all.filter(e => e.name === 'figcaption').map(e => e.text)
  t.ok(whole.some(text => /5,000 rows .* values from 50 to 99\. Drawn as spans of 8\.33 s, each from its least to its greatest value\./.test(text)), whole.join('\n'))
})
