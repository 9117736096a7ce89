/** No text of a pipeline becomes a regular expression, so none can go back without end; and a step that is slow is told of. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { defineOperator, pipeline, Type, type TSchema } from '#engine'
import { Credits } from '../../engine/credits.ts'
import { openFlow } from '../../engine/flow.ts'
import { Intake } from '../../engine/intake.ts'
import { filesIn } from '../../engine/options.ts'
import { Observed } from '../../engine/observed.ts'
import { SeriesTable } from '../../engine/series.ts'
import { clock } from '../../engine/clock.ts'
import { parseGiven } from '../../engine/trial/given.ts'
import { play } from '../../engine/trial.ts'
import { normalise } from '../../engine/lint.ts'
import { readYaml } from '../../engine/yaml.ts'
import * as sources from '../../connectors/index.ts'
import * as operators from '../../operators/index.ts'
import * as sinks from '../../sinks/index.ts'
import { components } from '../support/control.ts'

const START = Date.UTC(2026, 0, 1)
const root = join(import.meta.dirname, '../..')
/** Who makes a regular expression of a text, and of which. */
const MADE: Readonly<Record<string, string>> = {
  'engine/api-key.ts': 'lengths', 'connectors/redis-keys.ts': 'names of ours', 'sinks/file/data.ts': 'names of ours',
  'engine/route.ts': 'none: its match() compares fingerprints', 'engine/snapshot.ts': 'none: the same', 'sinks/http/guard.ts': 'none: its match() compares addresses',
  'connectors/csv/files.ts': 'the last part of replay.files, which names a file: no pipeline that is sent may; all but * and ? is escaped'
}

t.test('regular expressions are literals, but for a few that no pipeline that is sent can have a say in', async t => {
  const files = execFileSync('git', ['ls-files', 'engine', 'connectors', 'operators', 'sinks', 'models'], { cwd: root, encoding: 'utf8' }).split('\n').filter(f => f.endsWith('.ts'))
  const making = files.filter(f => /\bRegExp\(|\.(?:match|matchAll|search)\((?![/A-Z])/.test(readFileSync(join(root, f), 'utf8')))
  t.strictSame(making.toSorted(), Object.keys(MADE).toSorted())
  t.strictSame(filesIn(sources.replay.definition.options, { files: 'x' }), [['files']], 'replay.files names a file')
})

t.test('no option of any component is a regular expression, by its name, format or description', async t => {
  const found: string[] = []
  const walk = (schema: TSchema & Record<string, any>, path: string): void => {
    if (schema.format === 'regex' || /regular expression|regexp?\b/i.test(String(schema.description ?? '')) || /\.(pattern|regex|regexp|match)$/i.test(path)) found.push(path)
    for (const [name, inner] of Object.entries<any>(schema.properties ?? {})) walk(inner, `${path}.${name}`)
    for (const [k, inner] of Object.entries<any>({ ...schema.anyOf, items: schema.items, ...schema.patternProperties })) if (inner !== undefined) walk(inner, `${path}[${k}]`)
  }
  for (const list of [sources, operators, sinks]) for (const [name, { definition }] of Object.entries(list as Record<string, { definition: { options: TSchema } }>)) walk(definition.options, name)
  t.strictSame(found, [])
})

t.test('what an engine that goes back would choke on is text like any other, in every place where patterns stand', async t => {
  const bad = ['(a+)+$', '(a|aa)+$', '*a'.repeat(100) + '*b'], name = `${'a'.repeat(200)}c`
  const { pipeline: read, findings } = readYaml(`
name: p
from: { broker: { port: 0 } }
time: { idle: 1m }
pipe: [ where: { tenant: [ default, ${JSON.stringify(bad[0])} ], device: ${JSON.stringify(['d', ...bad])}, metric: ${JSON.stringify(['m', ...bad])} }, derive: { metric: "(.*a){30}", from: [ m, "(a+)+$" ], by: sum, within: 1m } ]
alerts: { a: { when: { value: { above: 1 } }, message: "(a+)+$ {device} {value}", to: [ stdout ] } }
to: [ file: { table: t } ]
`, components, { file: 'p.yaml' })
  t.strictSame(findings.filter(f => f.level === 'error').map(f => f.message), [])
  const { counts, rows } = play(normalise(read!, components), parseGiven(`00:00:00  d/m  1\n00:00:01  d/${name}  1\n00:00:02  ${name}/m  1\n00:00:03  d/(a+)+$  1\n00:00:04  ${'a'.repeat(200)}b/m  1\n`).lines)
  t.match(counts, { received: 5, filtered: 2 })
  t.strictSame(rows.get('')!.map(({ series }) => series), ['d/m', 'd/(a+)+$', 'd/(.*a){30}', `${'a'.repeat(200)}b/m`])
})

t.test('a step of one\'s own that takes more than 5 ms for a row is counted, and said once a minute; those that are built in are not', async t => {
  const sluggish = defineOperator({ name: 'sluggish', summary: 'Takes its time.', options: Type.Object({}), adds: [], perSeries: {}, process (batch) { for (const end = performance.now() + 6 * batch.length; performance.now() < end;); return batch } })
  const table = new SeriesTable(10), flow = openFlow(pipeline('p').from(sources.simulator()).pipe(operators.ewma(), sluggish()).to(sinks.stdout()), table), intake = new Intake(table, new Credits(), { ahead: 300_000, after: 0 })
  const said: object[] = [], observed = new Observed({ warn: (what: object) => { said.push(what) } } as never, clock)
  const go = (n: number): void => {
    intake.message('t', new Uint8Array(0), START)
    for (let k = 0; k < n; k++) intake.reading(table.id('t', 'd', 'm'), START + k, k)
    flow.process(intake.take(START))
  }
  go(1)
  go(3)
  go(1)
  observed.steps(flow.steps, 0)
  go(2)
  observed.steps(flow.steps, 1000)
  observed.steps(flow.steps, 61_000)
  observed.steps(flow.steps, 200_000)
  t.strictSame(flow.steps.map(({ id, slow }) => [id, slow]), [['ewma', 0], ['sluggish', 3]])
  t.strictSame(said, [{ branch: '', step: 'sluggish', batches: 2 }, { branch: '', step: 'sluggish', batches: 1 }])
})
