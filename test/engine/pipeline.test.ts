import t from 'tap'
import { pipeline, type Pipeline } from '#engine'
import { draftOf, pipelineOf } from '../../engine/draft.ts'
import { readYaml } from '../../engine/yaml.ts'
import { plainOf } from '../../engine/pipeline-file.ts'
import { catalog, dedupe, hook, outside, plant, print, sums, table, within } from './catalog.ts'
import { ewma } from '../../operators/ewma.ts'

const built = pipeline('boiler-room')
  .from(plant({ topic: '{device}/{metric}' }), { lateness: '5s', ahead: '1m', idle: '30s' })
  .pipe(within({ min: -40, max: 1200 }), dedupe({ within: '5m' }), ewma({ id: 'slow' }), outside({ by: 2 }))
  .branch('minutes', p => p.pipe(sums({ every: '1m' })).to(table({ table: 'minutes' })))
  .alert('far', { when: { outside: { above: 4 } }, for: '30s', severity: 'critical' }, hook({ url: 'http://x' }))
  .to(table({ table: 'readings' }), print())

const text = `name: boiler-room
from: { plant: { topic: "{device}/{metric}" } }
time: { lateness: 5s, ahead: 1m, idle: 30s }
pipe: [ within: { min: -40, max: 1200 }, dedupe: { within: 5m }, ewma: { id: slow }, outside: { by: 2 } ]
branches:
  minutes: { pipe: [ sums: { every: 1m } ], to: [ table: { table: minutes } ] }
alerts:
  far: { when: { outside: { above: 4 } }, for: 30s, severity: critical, to: [ hook: { url: http://x } ] }
to: [ table: { table: readings }, print ]
`

const read = (text: string): Pipeline => {
  const { pipeline, findings } = readYaml(text, catalog, { file: 'p.yaml', environment: { env: {} } })
  if (pipeline === undefined) throw new Error(findings.map(f => f.message).join())
  return pipeline
}

void t.test('the same pipeline in TypeScript and in YAML is the same data', async t => {
  t.strictSame(plainOf(read(text)), plainOf(built))
  const { file, ...rest } = read(text)
  t.equal(file, 'p.yaml')
  t.strictSame(JSON.parse(JSON.stringify(rest)), JSON.parse(JSON.stringify(pipelineOf(draftOf(built)))))
})

void t.test('every call returns a new pipeline and leaves the old one as it was', async t => {
  const first = pipeline('p').from(plant())
  const second = first.pipe(within())
  t.equal(first.steps.length, 0)
  t.equal(second.steps.length, 1)
  t.equal(second.to(print()).sinks.length, 1)
  t.equal(second.sinks.length, 0)
})

void t.test('time has defaults, and a branch does not have the steps of its trunk', async t => {
  t.strictSame(pipeline('p').time, { lateness: 60_000, ahead: 300_000, idle: 30_000, forget: 604_800_000 })
  t.strictSame(built.branches.minutes.steps.map(s => s.id), ['sums'])
  t.throws(() => pipeline('p').from(plant(), { lateness: 'soon' }), { code: 'config/invalid', message: /"soon" is not a time span/ })
})
