import type { Command } from 'commander'
import { egress, networksOf, publicUrl, urlOf } from './arguments.ts'
import type { AlertEvent } from '../alert.ts'
import type { Parts } from '../components.ts'
import { MillraceError } from '../errors.ts'
import { openLog, type LogOptions } from '../log.ts'
import { suggest } from '../options.ts'
import { versionOf } from '../pipeline-file.ts'
import type { Pipeline } from '../pipeline.ts'
import { routesOf } from '../plan.ts'
import { receiversOf } from '../receivers.ts'
import { SeriesTable } from '../series.ts'
import { load } from './load.ts'
import { exit, streams } from './program.ts'

interface Options { readonly egress?: string, readonly publicUrl?: string, readonly folder: string, readonly json?: boolean, readonly logLevel?: string, readonly logFormat?: LogOptions['format'] }

const LIMIT = 60_000                 // ms

/** `millrace alerts test`: whether what a pipeline tells people arrives. */
export function alerts (program: Command, parts: Parts): void {
  const group = program.command('alerts').description('alerts of a pipeline: test their receivers')
  group.command('test')
    .description('send an alert that is marked as a test to receivers of a pipeline, and say what they answer')
    .argument('<pipeline>', 'file: .yaml, or .ts/.js with a pipeline as default export')
    .argument('[receiver...]', 'only these: a kind such as slack, a name, an alert, or the whole key such as hot/webhook:ops')
    .addOption(egress())
    .addOption(publicUrl())
    .option('--folder <folder>', 'where local files are kept', '.millrace')
    .option('--json', 'one JSON object a line')
    .action(async (file: string, wanted: string[], options: Options) => {
      const pipeline = await load(file, parts), log = openLog({ level: options.logLevel ?? 'warn', format: options.logFormat })
      const all = routesOf(pipeline).flatMap(([, { alerts }]) => alerts.flatMap(alert => receiversOf(alert).map(({ key, sink }) => ({ alert, key, sink, calls: [key, alert.name, sink.name, ...typeof sink.options.name === 'string' ? [sink.options.name] : []] })))), names = [...new Set(all.flatMap(({ calls }) => calls))]
      const unknown = wanted.find(name => !names.includes(name))
      if (unknown !== undefined || all.length === 0) throw new MillraceError('usage/command', all.length === 0 ? `alerts test: no alert of "${pipeline.name}" has a receiver` : `alerts test: there is no receiver "${unknown}"`, { help: unknown === undefined ? 'put one under "to" of an alert' : suggest(unknown, names) })
      const host = { pipeline: pipeline.name, series: new SeriesTable(1), log, database: undefined, folder: options.folder, egress: networksOf(options.egress) }, { out } = streams(program)
      const links = urlOf('--public-url', options.publicUrl)
      let failed = false
      for (const { alert, key, sink } of all.filter(({ calls }) => wanted.length === 0 || calls.some(name => wanted.includes(name)))) {
        const receiver = sink.definition.receive!(sink.options, host), event = testAlert(pipeline, alert.name, key, Date.now())
        const said = await Promise.resolve(receiver.send({ id: event.id, events: [event], test: true, ...links === undefined ? {} : { links: { api: links } } }, AbortSignal.timeout(LIMIT))).then(answer => ({ delivered: true, answer: typeof answer === 'string' ? answer : 'taken' }), (error: Error) => ({ delivered: false, answer: error.message }))
        await receiver.close()
        failed ||= !said.delivered
        out(options.json ? `${JSON.stringify({ receiver: key, ...said, id: event.id })}\n` : `${said.delivered ? 'delivered' : 'failed   '}  ${key}  ${said.answer}\n`)
      }
      exit(failed ? 1 : 0)
    })
}

/** An alert of no incident, in which everything stands that a real one may have. */
function testAlert (pipeline: Pipeline, alert: string, receiver: string, now: number): AlertEvent {
  const incident = `test-${now.toString(36)}-${receiver.replaceAll(/[^\w-]/g, '-')}`
  return {
    id: `${incident}.firing`, incident, state: 'firing', tenant: 'default', pipeline: pipeline.name, alert, severity: 'info', device: 'test-device', metric: 'test', since: now - 60_000, time: now, value: 42, evidence: {},
    message: `${alert}: this is a test of ${receiver}, no device is meant`, details: { expected: { low: 10, high: 20 }, p: 0.001, signals: [{ name: 'level', by: 'test' }], verdict: 'device', version: versionOf(pipeline) }, position: 0
  }
}
