import t from 'tap'
import fc from 'fast-check'
import { normalise } from '../../engine/lint.ts'
import { runTests } from '../../engine/trial.ts'
import { clockTime, parseGiven, showTime } from '../../engine/trial/given.ts'
import { readYaml } from '../../engine/yaml.ts'
import { catalog } from './catalog.ts'

/** The differences of one test of a small pipeline: a filter, an average, windows of a minute and an alert. */
function differences (given: string, expect: string, more = ''): string[] {
  const { pipeline, findings } = readYaml(`name: p
from: { plant: {} }
time: { lateness: 5s, ahead: 1m, idle: 30s, forget: 1h }
pipe: [ within: { max: 1000 }, ewma: { alpha: 0.5 } ]
branches:
  minutes: { pipe: [ sums: { every: 1m } ], to: [ table: { table: sums_1m } ] }
alerts:
  hot: { when: { value: { above: 100 } }, for: 10s, severity: critical }
to: [ print ]
tests:
  - name: x
    given: |
${given.trim().split('\n').map(line => `      ${line.trim()}`).join('\n')}
    expect: ${expect}
${more}`, catalog, { file: 'p.yaml' })
  if (pipeline === undefined) throw new Error(findings.map(f => f.message).join())
  return runTests(normalise(pipeline, catalog))[0].differences.flatMap(d => [d.what, ...d.lines])
}

void t.test('an alert fires after its span and resolves: its transitions are what a test expects', async t => {
  const given = '00:00:00 b/temp 80\n00:00:01 b/temp 900\n00:00:05 b/temp 901\n00:00:11 b/temp 902\n00:00:12 b/temp 80'
  t.strictSame(differences(given, '{ hot: [ { time: 00:00:11, state: firing, series: b/temp, since: 00:00:01, value: 902, severity: critical }, { time: 00:00:12, state: resolved } ] }'), [])
  t.strictSame(differences(given, '{ hot: [] }')[0], 'hot')
  t.strictSame(differences('00:00:00 b/temp 80\n00:00:01 b/temp 900\n00:00:02 b/temp 80', '{ hot: [] }'), [], 'a single spike is not an alert')
})

void t.test('rows are those at the end of a route, by branch, table or trunk, with the columns that are named', async t => {
  const given = '00:00:00 b/temp 1\n00:00:10 b/temp 2\n00:01:20 b/temp 4\nend'
  t.strictSame(differences(given, '{ rows: { trunk: [ { time: 00:00:00, ewma: 1 }, { ewma: 1.5 }, { series: b/temp, value: 4, ewma: 2.75 } ], minutes: [ { time: 00:00, sum: 3, provisional: true }, { time: 00:00, sum: 3 }, { time: 00:01, sum: 4 } ], sums_1m: [ { sum: 3, provisional: true, revision: 0 }, { sum: 3, revision: 1 }, { sum: 4 } ] } }'), [])
})

void t.test('late, duplicate, out-of-order, filtered and dead readings are counted', async t => {
  t.strictSame(differences(`
    00:00:58 b/temp 1
    00:00:58 b/temp 1                  # the same again
    00:00:59 b/temp 2000               # out of range
    00:01:04 b/temp 1
    00:00:57 b/temp 1                  # out of order, within 5 s of 00:01:02
    00:01:10 b/temp 1
    00:00:59 b/temp 1  @00:01:12       # late for its minute
    00:09:00 b/temp 1  @00:01:13       # more than a minute ahead of its arrival
    end
  `, '{ late: 1, deduplicated: 1, filtered: 1, dead_lettered: 1, rows: { minutes: [ { time: 00:00, sum: 2 }, { time: 00:01, sum: 2 } ] } }'), [])
})

void t.test('a tick lets time pass: a silent device has provisional rows, a forgotten one final ones', async t => {
  t.strictSame(differences('00:00:00 b/temp 1\n00:00:29 tick', '{ rows: { minutes: [] } }'), [])
  t.strictSame(differences('00:00:00 b/temp 1\n00:00:30 tick', '{ rows: { minutes: [ { sum: 1, provisional: true } ] } }'), [])
  t.not(differences('00:00:00 b/temp 1\n00:00:30 tick', '{ rows: { minutes: [ { sum: 1 } ] } }').length, 0, 'a provisional row is never meant unless it is said')
  t.strictSame(differences('00:00:00 b/temp 1\n01:00:00 tick', '{ rows: { minutes: [ { sum: 1, provisional: true }, { sum: 1 } ] } }'), [])
  t.strictSame(differences('00:00:00 b/temp 1\n00:00:20 c/temp 1\n00:00:45 c/temp 1', '{ rows: { minutes: [ { series: b/temp, provisional: true } ] } }'), [], 'also while others speak')
})

void t.test('without an end no window closes', async t => {
  t.strictSame(differences('00:00:00 b/temp 1', '{ rows: { minutes: [] } }'), [])
  t.strictSame(differences('00:00:00 b/temp 1\nend', '{ rows: { minutes: [ { sum: 1 } ] } }'), [])
})

void t.test('tenants, values that are none, booleans and full times can be written', async t => {
  t.strictSame(differences('2024-05-01T12:00:00Z north/b/temp -\n2024-05-01T12:00:01Z north/b/on true', '{ rows: { trunk: [ { time: "2024-05-01T12:00:00Z", series: north/b/temp, value: null }, { series: north/b/on, value: 1 } ] } }'), [])
})

void t.test('numbers agree within the tolerance of the test', async t => {
  t.strictSame(differences('00:00:00 b/temp 3.0000001', '{ rows: { trunk: [ { value: 3 } ] } }'), [])
  t.not(differences('00:00:00 b/temp 3.01', '{ rows: { trunk: [ { value: 3 } ] } }').length, 0)
  t.strictSame(differences('00:00:00 b/temp 3.01', '{ rows: { trunk: [ { value: 3 } ] } }', '    tolerance: 0.01'), [])
})

void t.test('a difference shows what was expected and what came, and what agrees around it', async t => {
  t.strictSame(differences('00:00:00 b/temp 1\n00:00:01 b/temp 2\n00:00:02 b/temp 3', '{ rows: { trunk: [ { time: 00:00:00, value: 1 }, { time: 00:00:01, value: 5 }, { time: 00:00:02, value: 3 } ] }, late: 2 }'), [
    'rows.trunk',
    '  { time: 00:00:00, value: 1 }',
    '- { time: 00:00:01, value: 5 }',
    '+ { time: 00:00:01, value: 2 }',
    '  { time: 00:00:02, value: 3 }',
    'late', '- 2', '+ 0'
  ])
})

void t.test('a line that cannot be read says why', async t => {
  const why = (text: string) => parseGiven(text).problems.map(p => `${p.row} ${p.message}`)
  t.strictSame(why('# nothing\n\n00:00:01 a/b 1 # fine'), [])
  t.strictSame(why('soon a/b 1'), ['0 "soon" is not a time'])
  t.strictSame(why('00:00:01 ab 1'), ['0 "ab" is not a series'])
  t.strictSame(why('00:00:01 a/b'), ['0 a value is missing'])
  t.strictSame(why('00:00:01 a/b one'), ['0 "one" is not a number'])
  t.strictSame(why('00:00:01 a/b 1 what'), ['0 "what" is neither an arrival (@00:00:09) nor a tag (site=north)'])
  t.strictSame(why('00:00:09 a/b 1\n00:00:01 a/b 1 @00:00:02'), ['1 it arrives at 00:00:02, before the line above it, at 00:00:09'])
  t.strictSame(why('00:00:09 a/b 1\n00:00:01 tick'), ['1 the tick at 00:00:01 lies before the line above it, at 00:00:09'])
  t.strictSame(why('end\n00:00:09 a/b 1'), ['1 nothing comes after the end'])
})

void t.test('a time reads back as it was shown', async t => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 9e9 }), ms => { const at = Date.UTC(2000, 0, 1) + ms; return clockTime(showTime(at)) === at }))
  t.equal(showTime(clockTime('168:00:01.5')), '168:00:01.5')
  t.ok(Number.isNaN(clockTime('00:60:00')) && Number.isNaN(clockTime('yesterday')) && Number.isNaN(clockTime('2024-05-01T12:00:00')))
})
