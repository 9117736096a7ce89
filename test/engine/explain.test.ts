import t from 'tap'
import { noticeSchema, plainNotice, readableNotice, SeriesTable, type AlertEvent } from '#engine'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { Flow } from '../../engine/flow.ts'
import { pipeline } from '../../engine/pipeline.ts'
import { plainOf, versionOf } from '../../engine/pipeline-file.ts'
import { readYaml } from '../../engine/yaml.ts'
import { stringify } from 'yaml'
import * as sources from '../../connectors/index.ts'
import * as operators from '../../operators/index.ts'
import * as sinks from '../../sinks/index.ts'

const { anomaly, hotelling, tumbling } = operators
const components = { sources, operators, sinks }

/** What a pipeline says of one series of these values, a second apart. */
function alertsOf (p: ReturnType<typeof pipeline>, values: readonly number[]): AlertEvent[] {
  const series = new SeriesTable(10), id = series.id('acme', 'pump', 'temp'), flow = new Flow(p as never, series)
  const at = Float64Array.from(values, (_, i) => 1000 * i)
  const rows = { time: at, series: new Int32Array(values.length).fill(id), value: Float64Array.from(values), position: Float64Array.from(values, (_, i) => i + 1), ingest: at }
  return flow.process({ rows, dead: [], upTo: values.length, received: values.length, messages: values.length, bytes: 0, ingest: 1000 * values.length, ended: false }).alerts.map(a => a.event)
}
const noise = (n: number) => Array.from({ length: n }, (_, i) => 50 + Math.sin(i * 12.9898) * 2)

t.test('an alert says what was expected, how improbable it is, what spoke, and of which pipeline it is', async t => {
  const p = pipeline('boiler').pipe(anomaly({ samples: 200 })).alert('odd', { when: { value: { above: 70 } } }) as unknown as ReturnType<typeof pipeline>
  const [event] = alertsOf(p, [...noise(400), 90])
  const { expected, p: pValue, signals, version } = event.details!
  t.ok(expected!.low! > 40 && expected!.high! < 60, JSON.stringify(expected))
  t.ok(pValue! < 0.01, String(pValue))
  t.equal(signals![0].by, 'anomaly')
  t.equal(version, versionOf(p))
  const check = new Ajv2020({ strict: false, formats: { 'date-time': true } }).compile(noticeSchema())
  t.ok(check(plainNotice({ id: event.id, events: [event] })), JSON.stringify(check.errors))
})

t.test('before anything is learned, and behind a window, nothing is made up', async t => {
  const early = alertsOf(pipeline('p').pipe(anomaly()).alert('odd', { when: { value: { above: 70 } } }) as never, [90])
  t.strictSame(Object.keys(early[0].details!), ['learning', 'version'])
  const windows = alertsOf(pipeline('p').pipe(anomaly({ samples: 50 }), tumbling({ every: '10s', features: ['mean'] })).alert('odd', { when: { mean: { above: 40 } } }) as never, noise(200))
  t.strictSame(Object.keys(windows[0].details!), ['version'])
})

t.test('what a step has not learned stands there as n of m, until it has', async t => {
  const p = pipeline('p').pipe(anomaly({ samples: 60 })).alert('odd', { when: { value: { above: 70 } } }) as never
  const [early] = alertsOf(p, [...noise(34), 90]), [late] = alertsOf(p, [...noise(100), 90])
  t.strictSame([early.details!.learning, late.details!.learning], [[{ by: 'anomaly', learned: 34, of: 60 }], undefined])
  t.ok(readableNotice({ id: early.id, events: [early] } as never).lines.includes('learning: anomaly 34 of 60'))
})

t.test('what contributes stands in the order of its weight, the most first', async t => {
  const p = pipeline('p').pipe(tumbling({ every: '10s', features: ['mean', 'std'] }), hotelling({ columns: ['mean', 'std'], samples: 80 })).alert('odd', { when: { mean: { above: 70 } } })
  const events = alertsOf(p as never, [...noise(1500), ...noise(90).map(x => x + 60)])
  const signals = events[0]?.details?.signals ?? []
  t.ok(signals.length > 0 && signals.every(s => s.by === 'hotelling'), JSON.stringify(events[0]?.details))
  t.strictSame(signals.map(s => Math.abs(s.weight!)), signals.map(s => Math.abs(s.weight!)).toSorted((a, b) => b - a))
})

t.test('the version changes with the pipeline, and not with its secrets; its file says everything of an alert', async t => {
  const text = (secret: string, cooldown = '30m') => `name: p
from: simulator
alerts:
  hot:
    when: { value: { above: 90 } }
    cooldown: ${cooldown}
    flapping: { times: 4, within: 10m }
    group: { by: site }
    to: [ webhook: { url: "https://x.example/", secret: "whsec_${Buffer.from(secret.repeat(32)).toString('base64')}" }, slack: { url: "https://hooks.example/${secret}" } ]
    escalate: [ { after: 15m, to: [ email: { server: "smtp://mail.example.com", from: a@b.c, to: d@e.f } ] } ]
to: [ file: { table: readings } ]
`
  const read = (text: string) => { const { pipeline, findings } = readYaml(text, components, { file: 'p.yaml' }); t.strictSame(findings, []); return pipeline! }
  t.equal(versionOf(read(text('a'))), versionOf(read(text('b'))))
  t.not(versionOf(read(text('a'))), versionOf(read(text('a', '31m'))))
  const plain = plainOf(read(text('a'))) as any
  t.match(plain.alerts.hot, { cooldown: '30m', flapping: { times: 4, within: '10m' }, group: { by: 'site' }, to: [{ webhook: { secret: '***' } }, { slack: { url: '***' } }], escalate: [{ after: '15m', to: [{ email: { to: 'd@e.f' } }] }] })
  t.strictSame(readYaml(stringify(plain).replaceAll('***', 'https://x.example'), components, { file: 'p.yaml' }).findings.map(f => f.message).filter(m => !m.includes('secret')), [])
  const { findings } = readYaml(text('a').replace('escalate: [ { after: 15m, to: [ email', 'escalate: [ { after: 15m, to: [ postgres: { table: x } ] }, { after: soon, to: [ email'), components, { file: 'p.yaml' })
  t.ok(findings.some(f => f.place?.line === 10), JSON.stringify(findings))
})
