import t from 'tap'
import fc from 'fast-check'
import { SENT, sent } from '../../engine/environment.ts'
import { report } from '../../engine/report.ts'
import { readYaml } from '../../engine/yaml.ts'
import { catalog } from './catalog.ts'

const read = (text: string, env: Record<string, string> = {}) => readYaml(text, catalog, { file: 'p.yaml', environment: { env, read: path => { if (path === '/run/secret') return 'hidden\n'; throw Object.assign(new Error(path), { code: 'ENOENT' }) } } })
/** Each finding as `code line:column help`, with what stands above the caret. */
const found = (text: string, env: Record<string, string> = {}) => read(text, env).findings.map(({ code, place, help }) =>
  `${code} ${place!.line}:${place!.column} ${place!.text.slice(place!.column - 1, place!.column - 1 + place!.length)}${help?.startsWith('did you mean') ? ` (${help})` : ''}`)

/** A file in which everything is right but what is put in. */
const file = ({ from = '{ plant: {} }', time = '{ lateness: 5s }', pipe = '[ ewma ]', more = '' } = {}) => `name: boiler
from: ${from}
time: ${time}
pipe: ${pipe}
to: [ print ]
${more}`

void t.test('a file becomes a plain pipeline, with spans in milliseconds and defaults filled in', async t => {
  const { pipeline, findings } = read(`name: boiler-room
from: { plant: { topic: [ "a/{metric}" ] } }
time: { lateness: 5s, idle: 1m }
pipe:
  - within: { min: -40 }
  - ewma: { alpha: 0.5, id: slow }
branches:
  minutes: { pipe: [ sums: { every: 1m } ], to: [ table: { table: minutes } ] }
alerts:
  hot: { when: { ewma: { above: 4 } }, for: 30s, to: [ hook: { url: http://x } ] }
to: [ print ]
`)
  t.strictSame(findings, [])
  t.strictSame(pipeline!.time, { lateness: 5000, ahead: 300_000, idle: 60_000, forget: 604_800_000 })
  t.strictSame(pipeline!.source!.options, { url: 'plant://localhost', topic: ['a/{metric}'], qos: 1, retain: false })
  t.strictSame(pipeline!.steps.map(s => [s.id, s.options]), [['within', { min: -40, max: 1e9 }], ['slow', { alpha: 0.5 }]])
  t.strictSame(pipeline!.branches.minutes.steps[0].options, { every: 60_000 })
  t.strictSame(pipeline!.alerts.map(a => [a.name, a.options, a.receivers[0].name]), [['hot', { when: { ewma: { above: 4 } }, for: '30s' }, 'hook']])
  t.equal(pipeline!.dedupe, true)
  t.equal(pipeline!.file, 'p.yaml')
})

for (const [what, text, expected] of [
  ['an unknown key', file({ more: 'alrts: {}' }), ['config/unknown-key 6:1 alrts (did you mean "alerts"?)']],
  ['a key that stands twice', file({ more: 'name: again' }), ['config/duplicate-key 6:1 name']],
  ['YAML that is none', 'name: x\nfrom: { plant: {}\nto: [ print ]\n', ['config/syntax 3:1 t']],
  ['a missing name', file().replace('name: boiler\n', ''), ['config/missing 1:1 f']],
  ['a missing source', file().replace('from: { plant: {} }\n', ''), ['config/missing 1:1 n']],
  ['an unknown source', file({ from: '{ plnt: {} }' }), ['config/unknown-component 2:9 plnt (did you mean "plant"?)']],
  ['an unknown operator', file({ pipe: '[ ewam ]' }), ['config/unknown-component 4:9 ewam (did you mean "ewma"?)']],
  ['an unknown option', file({ pipe: '[ ewma: { aplha: 1 } ]' }), ['config/unknown-key 4:17 aplha (did you mean "alpha"?)']],
  ['a wrong type', file({ pipe: '[ ewma: { alpha: much } ]' }), ['config/invalid 4:24 much']],
  ['a number out of range', file({ from: '{ plant: { qos: 2 } }' }), ['config/invalid 2:23 2']],
  ['a span without a unit', file({ time: '{ lateness: 5 }' }), ['config/invalid 3:19 5']],
  ['a required option that is not there', file({ pipe: '[ sums ]' }), ['config/missing 4:9 sums']],
  ['a required option among others', file({ pipe: '[ sums: {} ]' }), ['config/missing 4:9 sums']],
  ['options that do not fit together', file({ pipe: '[ within: { min: 3, max: 1 } ]' }), ['config/invalid 4:9 within']],
  ['options that are no map', file({ pipe: '[ ewma: 3 ]' }), ['config/invalid 4:15 3']],
  ['two components in one item', file({ pipe: '\n  - ewma: {}\n    within: {}' }), ['config/invalid 6:5 within']],
  ['options beside the name instead of under it', file({ pipe: '\n  - ewma:\n    alpha: 1' }), ['config/invalid 6:5 alpha']],
  ['steps that are no list', file({ pipe: '{ ewma: {} }' }), ['config/invalid 4:1 pipe']],
  ['an alert that is no map', file({ more: 'alerts: { hot: 3 }' }), ['config/invalid 6:16 3']],
  ['an alert without a condition', file({ more: 'alerts: { hot: { for: 3s } }' }), ['config/missing 6:11 hot']],
  ['an unknown severity', file({ more: 'alerts: { hot: { when: { value: { above: 1 } }, severity: warn } }' }), ['config/invalid 6:59 warn']],
  ['a column of an alert that nobody adds', file({ more: 'alerts: { hot: { when: { emwa: { above: 1 } } } }' }), ['config/unknown-column 6:26 emwa (did you mean "ewma"?)']],
  ['a column of a nested condition', file({ more: 'alerts: { hot: { when: { any: [ ewma: { above: 1 }, valu: { below: 1 } ] } } }' }), ['config/unknown-column 6:53 valu (did you mean "value"?)']],
  ['a column of a step', file({ pipe: '[ ewma, doubled: { of: ewmaa } ]' }), ['config/unknown-column 4:30 ewmaa (did you mean "ewma"?)']],
  ['a column that a step needs by itself', file({ pipe: '[ outside, ewma ]' }), ['config/unknown-column 4:9 outside']],
  ['a variable that is not set', file({ from: '{ plant: { url: "${NOPE}" } }' }), ['config/environment 2:23 "${NOPE}"']],
  ['a file that is not there', file({ from: '{ plant: { url: "${file:/nope}" } }' }), ['config/environment 2:23 "${file:/nope}"']],
  ['a branch of a wrong form', file({ more: 'branches: { a: [ ewma ] }' }), ['config/no-output 6:13 a', 'config/invalid 6:13 a']],
  ['a list instead of a map', '- a\n', ['config/invalid 1:1 -']]
] as const) {
  void t.test(`${what} is reported where it stands`, async t => { t.strictSame(found(text).toSorted(), [...expected].toSorted()) })
}

void t.test('all problems come at once, sorted by line, and a wrong step hides no others', async t => {
  t.strictSame(found(`name: boiler
from: { plant: { qos: 7 } }
pipe:
  - ewma: { alpha: 2 }
  - doubled: { of: ewmaa }
to: [ hook: { url: x } ]
alerts: { hot: { when: { value: { above: 1 } }, to: [ table: { table: x } ] } }
`), [
    'config/invalid 2:23 7',
    'config/invalid 4:20 2',
    'config/unknown-column 5:20 ewmaa (did you mean "ewma"?)',
    'config/sink 6:7 hook',
    'config/sink 7:55 table'
  ])
})

void t.test('behind a step that cannot be read no column is called unknown', async t => {
  t.strictSame(found(file({ pipe: '[ nosuchthing, doubled: { of: any } ]' })), ['config/unknown-component 4:9 nosuchthing'])
})

void t.test('the report of an error is a block with place, line, caret and what would be right', async t => {
  t.equal(report(read(file({ pipe: '[ ewma: { aplha: 1 } ]' })).findings), `error[config/unknown-key]: ewma: unknown option "aplha"
  --> p.yaml:4:17
   4 | pipe: [ ewma: { aplha: 1 } ]
     |                 ^^^^^ did you mean "alpha"?
`)
  t.match(report(read(file({ time: '{ lateness: soon }' })).findings), /\^\^\^\^\n {2}help: write a number and a unit/)
})

void t.test('a long line is shortened around the caret', async t => {
  const [, , line, carets] = report(read(file({ from: `{ plant: { url: "${'x'.repeat(500)}", qos: 9, password: "${'y'.repeat(500)}" } }` })).findings).split('\n')
  t.ok(line.length < 140)
  t.equal(line[carets.indexOf('^')], '9')
})

void t.test('variables are put in after parsing: they cannot change what a file says, and their type is what the option wants', async t => {
  const { pipeline, findings } = read(file({ from: '{ plant: { url: "${HOST:-here}/${PATH}", qos: "${QOS}", retain: "${RETAIN}", password: "${PW}", topic: "$x/$$x" } }' }), { PATH: 'a: b, qos: 7', QOS: '0', RETAIN: 'true', PW: '12345' })
  t.strictSame(findings, [])
  t.strictSame(pipeline!.source!.options, { url: 'here/a: b, qos: 7', qos: 0, retain: true, password: '12345', topic: '$x/$x' })
  t.strictSame(read(file({ more: 'alerts: { hot: { when: { value: { above: "${LIMIT}" } } } }' }), { LIMIT: '4.5' }).pipeline!.alerts[0].options.when, { value: { above: 4.5 } })
  t.equal(read(file({ from: '{ plant: { password: "${file:/run/secret}" } }' })).pipeline!.source!.options.password, 'hidden')
})

void t.test('what a test of a pipeline says does not depend on the environment', async t => {
  t.equal((read(file({ more: 'tests: [ { name: "costs ${X} $$5", given: "end", expect: {} } ]' })).pipeline!.tests[0] as any).name, 'costs ${X} $$5')
})

void t.test('where nothing is connected to, what is not set leaves out the sources and sinks that cannot do without', async t => {
  const { pipeline, findings } = readYaml(file({ from: '{ plant: { qos: "${NOPE}" } }', more: 'alerts: { hot: { when: { value: { above: 1 } }, to: [ hook: { url: "${NOPE}" }, hook: { url: x, secret: y } ] } }' }), catalog, { file: 'p.yaml', environment: { env: {}, unset: 'unset' } })
  t.strictSame(findings, [])
  t.equal(pipeline!.source, undefined)
  t.strictSame(pipeline!.alerts[0].receivers.map(r => r.options.url), ['unset', 'x'])
  const two = (other: string) => readYaml(file({ more: `alerts: { hot: { when: { value: { above: 1 } }, to: [ hook: { url: "\${NOPE}" }, hook: { url: "\${${other}}" } ] } }` }), catalog, { file: 'p.yaml', environment: { env: {}, unset: 'unset' } }).findings.map(f => f.code)
  t.strictSame([two('OTHER'), two('NOPE')], [[], ['config/duplicate-receiver']], 'two that are not set are not one')
})

void t.test('a variable with a line end is refused, and one that must be set says why', async t => {
  t.match(read(file({ from: '{ plant: { url: "${X}" } }' }), { X: 'a\nb' }).findings[0].message, /line end/)
  t.match(read(file({ from: '{ plant: { url: "${X:?the plant of your site}" } }' })).findings[0].message, /X is not set: the plant of your site/)
  t.match(read(file({ from: '{ plant: { url: "${X:?}" } }' }), { X: '' }).findings[0].message, /X is not set/)
  t.match(read(file({ from: '{ plant: { url: "${1X}" } }' })).findings[0].message, /not the name of a variable/)
})

void t.test('a line of a test that cannot be read is pointed at', async t => {
  t.strictSame(found(file({ more: `tests:
  - name: x
    given: |
      00:00:00 a/b 1
      00:00:01 ab 1
    expect: { hot: [], late: some }
` })), ['config/test 10:7 00:00:01 ab 1', 'config/test 11:15 hot', 'config/test 11:30 some'])
})

void t.test('a file that is too large, too deep or a bomb of anchors is refused', async t => {
  t.strictSame(found(`name: "${'x'.repeat(2 ** 20)}"`).map(f => f.split(' ')[0]), ['config/too-large'])
  t.strictSame([...new Set(read('['.repeat(100_000)).findings.map(f => f.code))], ['config/syntax'])
  t.match(read(file({ from: '{ plant: { topic: {device}/{metric} } }' })).findings[0].help, /stands in quotes/)
  const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]', ...'bcdefgh'.split('').map((l, i) => `${l}: &${l} [${Array(9).fill(`*${'abcdefg'[i]}`).join(',')}]`)].join('\n')
  t.strictSame(read(bomb).findings.map(f => f.code), ['config/syntax'])
  t.strictSame(read('a: &a { b: *a }').findings.map(f => f.code), ['config/syntax'])
})

void t.test('an anchor used a few times is ordinary', async t => {
  const { pipeline } = read(file({ pipe: '[ ewma: &slow { alpha: 0.01 }, within ]', more: 'branches: { a: { pipe: [ ewma: *slow ], to: [ print ] } }' }).replace('[ ewma: &slow', '[ within: { id: w }, ewma: &slow'))
  t.equal(pipeline, undefined, 'the branch adds the column of the trunk again')
  t.strictSame(read(file({ more: 'branches:\n  a: &b { pipe: [ within ], to: [ print ] }\n  c: *b' })).findings, [])
})

void t.test('whatever a file says, it is read or refused with places inside it, and nothing is thrown', async () => {
  const word = fc.constantFrom('name', 'from', 'plant', 'pipe', 'ewma', 'sums', 'every', '1m', 'alerts', 'when', 'value', 'above', 'to', 'print', 'branches', 'tests', 'given', 'expect', 'time', 'id', '__proto__', 'constructor', '${X}', 'any', 'table')
  const { tree } = fc.letrec(tie => ({ tree: fc.oneof({ depthSize: 'small' }, word, fc.integer(), fc.boolean(), fc.constant(null), fc.array(tie('tree'), { maxLength: 3 }), fc.dictionary(word, tie('tree'), { maxKeys: 4 })) }))
  fc.assert(fc.property(fc.dictionary(word, tree, { maxKeys: 8 }), value => {
    const text = JSON.stringify(value, null, 1)
    const { findings, pipeline } = read(text)
    const lines = text.split('\n').length
    return findings.every(f => f.place!.line >= 1 && f.place!.line <= lines) && (pipeline === undefined) === findings.some(f => f.level === 'error')
  }), { numRuns: 300 })
  fc.assert(fc.property(fc.string({ maxLength: 200 }), text => { read(text); return true }), { numRuns: 300 })
})

t.test('reading takes time as the text is long, whatever stands in it; of one that is sent there is less', { timeout: 600_000 }, async t => {
  const many = (n: number, of: (i: number) => string) => Array.from({ length: n }, (_, i) => of(i)).join(''), keys = many(60_000, i => `odd_${i}: 1\n`)
  const said = (text: string, environment = { env: {} }) => { const began = performance.now(), { findings } = readYaml(text, catalog, { file: 'p.yaml', environment }); t.ok(performance.now() - began < 30_000, `${Math.round(performance.now() - began)} ms`); return findings }
  t.match(said(keys).at(-1)!.message, /^and 59\d\d\d more$/, 'keys: each was compared with all before it, for minutes')
  t.match(said(`a: &a 1\nb: [ ${many(60_000, () => '*a, ')} ]\n`), [{ code: 'config/syntax', message: 'anchors are repeated 60000 times', help: /100 times/ }], 'anchors: each was looked for in all of the file')
  t.equal(said(`name: p\nname: q\n'x': 1\nx: 2\n1: a\n1: b\n`).filter(f => f.code === 'config/duplicate-key').map(f => `${f.place!.line}:${f.place!.column}:${f.place!.length} ${f.message}`).join('\n'), ['2:1:4 the key "name"', '4:1:1 the key "x"', '6:1:1 the key "1"'].map(m => `${m} stands here a second time`).join('\n'))
  const sixty = keys.slice(0, SENT + 1)
  t.match(said(sixty, sent), [{ code: 'config/too-large', message: `the file has ${SENT + 1} bytes, a pipeline at most ${SENT}` }])
  t.equal(said(sixty)[0].code, 'config/unknown-key', 'a file may be longer')
})

t.test('of very many mistakes the first hundred are said, and how many more there are', async t => {
  const { pipeline, findings } = readYaml(`name: p\n${Array.from({ length: 4000 }, (_, i) => `odd_${i}: 1\n`).join('')}`, catalog, { file: 'p.yaml' })
  t.equal(pipeline, undefined)
  t.ok(findings.length <= 102, `${findings.length}`)
  t.match(findings.at(-1)!.message, /^and 39\d\d more$/)
})
