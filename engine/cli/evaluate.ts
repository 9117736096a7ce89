import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Command } from 'commander'
import { countOf, pairOf, REPLAYED, SERIES, seriesOf } from './arguments.ts'
import type { Parts } from '../components.ts'
import { sent } from '../environment.ts'
import { MillraceError } from '../errors.ts'
import { evaluate as evaluatePipeline } from '../evaluate/evaluate.ts'
import type { Rules } from '../evaluate/judge.ts'
import type { Label } from '../evaluate/label.ts'
import { reportOf } from '../evaluate/report.ts'
import { textOf } from '../evaluate/text.ts'
import { openLog, type LogOptions } from '../log.ts'
import { duration, suggest } from '../options.ts'
import { routesOf } from '../plan.ts'
import { load } from './load.ts'
import { streams } from './program.ts'

interface Options {
  readonly data: readonly string[], readonly labels?: readonly string[], readonly labelColumn?: string, readonly healthy?: boolean, readonly option?: readonly string[]
  readonly tolerance: string, readonly probation: string, readonly by: string, readonly alert?: readonly string[], readonly to: string, readonly plots: string
  readonly maxSeries: string, readonly json?: boolean, readonly sent?: boolean, readonly logLevel?: string, readonly logFormat?: LogOptions['format']
}

/** `millrace evaluate`: what the alerts of a pipeline would have said about a history of which it is known when something was wrong. */
export function evaluate (program: Command, parts: Parts): void {
  program.command('evaluate')
    .description('run a pipeline on labelled CSV files, and show what its alerts find, miss and say wrongly: a table, JSON and a page with plots')
    .argument('<pipeline>', 'file: .yaml, or .ts/.js with a pipeline as default export')
    .requiredOption('--data <file...>', 'files, folders or patterns')
    .option('--labels <file...>', 'when what was wrong: tables with device, from, to, metric, kind; or JSON')
    .option('--label-column <name>', 'column of the data that is true, or not 0, when something was wrong')
    .option('--healthy', 'nothing was wrong in all of this time: every alert is false')
    .option(...REPLAYED)
    .option('--tolerance <span>', 'so long after its end an alert still finds a label', '0s')
    .option('--probation <span|percent>', 'so much at the beginning of each device does not count, such as 3d or 15%', '0s')
    .option('--by <metric|device>', 'device: an alert of any metric finds a label that names one', 'metric')
    .option('--alert <name...>', 'these alerts only')
    .option('--to <folder>', 'where evaluation.html and evaluation.json are written', 'evaluation')
    .option('--plots <n>', 'plots in each section of the page, at the most', '12')
    .option(...SERIES)
    .option('--json', 'print the JSON instead of the table')
    .option('--sent', 'the pipeline was sent by somebody: it sees neither the environment nor files')
    .action(async (file: string, options: Options) => {
      const ways = [options.labels !== undefined, options.labelColumn !== undefined, options.healthy === true].filter(Boolean).length
      if (ways !== 1) throw new MillraceError('usage/command', ways === 0 ? 'evaluate: nothing says when something was wrong' : 'evaluate: --labels, --label-column and --healthy exclude each other', { help: 'one of --labels <file>, --label-column <name> and --healthy' })
      const rules = rulesOf(options), plots = countOf('--plots', options.plots), maxSeries = seriesOf(options.maxSeries)
      const pipeline = await load(file, parts, options.sent ? sent : undefined), parent = parentOf(), called = (path: string) => options.sent ? basename(path) : path
      const names = routesOf(pipeline).flatMap(([, route]) => route.alerts.map(a => a.name))
      const strange = options.alert?.find(name => !names.includes(name))
      if (strange !== undefined) throw new MillraceError('usage/command', `--alert ${strange}: ${file} has no such alert`, { help: suggest(strange, names) })
      const given = Object.fromEntries((options.option ?? []).map(pairOf))
      const column = options.labelColumn
      const source = parts.sources.replay({ files: options.data, ...given, ...column === undefined ? {} : { ignore: [...[given.ignore ?? []].flat(), column] } })
      const labels: readonly Label[] = options.labels !== undefined ? await parts.readLabels(options.labels) : column === undefined ? [] : await parts.labelsInColumn(column, source.options)
      const { evaluation, page } = await evaluatePipeline(pipeline, source, {
        data: options.data.map(called), file: called(file), labels, rules, plots, maxSeries, alerts: options.alert, progress: parent, log: openLog({ level: options.logLevel, format: options.logFormat }),
        labelled: options.labels !== undefined ? `labels ${options.labels.map(called).join(', ')}` : column !== undefined ? `labels from column ${column}` : 'nothing was wrong'
      })
      const report = `${JSON.stringify(reportOf(evaluation), null, 2)}\n`
      mkdirSync(options.to, { recursive: true })
      writeFileSync(join(options.to, 'evaluation.json'), report)
      writeFileSync(join(options.to, 'evaluation.html'), await page())
      const { out, err } = streams(program)
      out(options.json ? report : textOf(evaluation))
      err(`page  ${join(options.to, 'evaluation.html')}\n`)
    })
}

/** The process that has started this one and wants to know how far it is, if there is one; without it, this one ends. */
function parentOf (): ((done: number, total?: number) => void) | undefined {
  if (process.send === undefined) return undefined
  let told = 0
  process.once('disconnect', () => { process.exit(1) })
  process.channel!.unref()
  return (done, total) => {
    if (performance.now() - told < TELL) return
    told = performance.now()
    process.send!({ done, total })
  }
}
const TELL = 200                     // ms

function rulesOf ({ tolerance, probation, by }: Options): Rules {
  if (by !== 'metric' && by !== 'device') throw new MillraceError('usage/command', `--by ${by} is neither metric nor device`)
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(probation)
  if (percent !== null && Number(percent[1]) >= 100) throw new MillraceError('usage/command', `--probation ${probation} leaves nothing that counts`)
  return { tolerance: duration(tolerance), by, probation: percent === null ? { ms: duration(probation) } : { share: Number(percent[1]) / 100 } }
}
