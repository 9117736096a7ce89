/**
 * Writes the pages of docs/reference from the declarations: `node --import tsx docs/reference/generate.ts`. What people
 * write themselves stands in notes/<component>.md (of a source and a sink of one name, the sink's in notes/sinks/), and an
 * example of an operator, or several with words between them, at its end:
 *
 *   ```example
 *   - ewma: { alpha: 0.5 }            the steps
 *   ---
 *   00:00:00 pump-1/temp 80           the readings, in the form of `given` of a pipeline's tests
 *   ```
 *
 * It is executed: the page shows the rows that come out. What operators learn first may be left to the simulator, in a line
 * above the readings: `before: temperature current every 10s for 24h`, of pump-1, also with a fault: `... with shift of current by 2 from 23h`. Shown are rows of the readings that are
 * written, of their columns all or those in a line `show: anomaly anomaly_p`.
 */
import { Command } from 'commander'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as sources from '../../connectors/index.ts'
import { commands } from '../../engine/cli/index.ts'
import { addCommands } from '../../engine/cli/program.ts'
import type { Parts } from '../../engine/components.ts'
import { errors, reasons } from '../../engine/errors.ts'
import { named, optionTable, page, type Kind } from '../../engine/page.ts'
import { report } from '../../engine/report.ts'
import { AlertSchema, jsonSchema, TestSchema, TimeSchema } from '../../engine/schema.ts'
import { play } from '../../engine/trial.ts'
import type { Entry } from '../../engine/trial/compare.ts'
import { duration } from '#engine'
import { clockTime, DEFAULT_TENANT, parseGiven, showTime, type Line } from '../../engine/trial/given.ts'
import { readYaml } from '../../engine/yaml.ts'
import { metricModels, type MetricName } from '../../models/fleet-metric.ts'
import type { FaultKind } from '../../models/faults.ts'
import { Fleet, roomFor } from '../../models/fleet.ts'
import * as operators from '../../operators/index.ts'
import * as sinks from '../../sinks/index.ts'

const here = dirname(fileURLToPath(import.meta.url))
const components = { sources, operators, sinks }
const folders = { source: 'sources', operator: 'operators', sink: 'sinks' } as const
const made = '<!-- Made by generate.ts from the declarations; what people write stands in notes/. -->\n\n'

/** Every generated page by its path under docs/reference. */
export function pages (): Map<string, string> {
  const out = new Map<string, string>()
  for (const [kind, folder] of Object.entries(folders) as [Kind, 'sources' | 'operators' | 'sinks'][]) {
    const names = Object.keys(components[folder])
    for (const name of names) {
      const { definition } = named(components, name).find(c => c.kind === kind)!
      out.set(`${folder}/${name}.md`, made + page(kind, definition, { ...notesOf(kind, name), cost: kind === 'operator' ? costOf(name) : undefined }))
    }
    out.set(`${folder}.md`, `${made}# ${folder.charAt(0).toUpperCase()}${folder.slice(1)}\n\n${table(['Name', 'What it does'], names.map(name => [`[${name}](${folder}/${name}.md)`, named(components, name).find(c => c.kind === kind)!.definition.summary]))}\n`)
  }
  out.set('pipeline.md', made + pipelinePage())
  out.set('errors.md', made + errorPage())
  out.set('cli.md', made + commandPage())
  out.set('pipeline-schema.json', `${JSON.stringify(jsonSchema(components), null, 2)}\n`)
  return out
}

interface Cost { readonly operator: string, readonly options: string, readonly ns_per_reading: number, readonly bytes_per_series: number, readonly runs: number, readonly ns_per_reading_spread: readonly [number, number] }
const costs = JSON.parse(readFileSync(join(here, '../../bench/results/cost.json'), 'utf8')) as { readonly results: readonly Cost[] }

/** What an operator was measured to cost, if it was. */
export function costOf (name: string): string | undefined {
  const number = (x: number) => Math.round(x).toLocaleString('en')
  const [usual, ...others] = costs.results.filter(c => c.operator === name).map(({ options, ns_per_reading: ns, bytes_per_series: bytes, ns_per_reading_spread: [low, high], runs }) => ({
    time: `${number(ns)} ns`, spread: `${number(low)} to ${number(high)}`, runs, bytes: `${number(bytes)} bytes`, with: options === '' ? '' : ` with \`${options}\``
  }))
  if (usual === undefined) return undefined
  const more = others.map(c => `; ${c.time} (${c.spread}) and ${c.bytes}${c.with}`).join('')
  return `${usual.time} for each reading or row it is given (${usual.spread} in ${usual.runs} runs on a busy machine), ${usual.bytes} for each series${usual.with === '' ? '' : `,${usual.with}`}${more}: \`npm run bench -- cost\``
}

/** What stands in notes/, with its example executed; without notes an operator that needs no options shows itself. */
function notesOf (kind: Kind, name: string): { notes?: string, example?: string } {
  const file = [join(folders[kind], `${name}.md`), `${name}.md`].map(path => join(here, 'notes', path)).find(existsSync)
  const text = file === undefined ? '' : readFileSync(file, 'utf8')
  const [notes, ...blocks] = text.split('```example\n')
  const examples = blocks.map(block => {
    const end = block.indexOf('\n```'), [steps, given] = block.slice(0, end).split('\n---\n')
    return [executed(name, steps, given), block.slice(end + 4).trim()].filter(part => part !== '').join('\n\n')
  })
  if (examples.length === 0 && kind === 'operator' && runsAlone(name)) examples.push(executed(name, `- ${name}`, usual))
  return { ...notes.trim() === '' ? {} : { notes }, ...examples.length === 0 ? {} : { example: examples.join('\n\n') } }
}
const usual = ['80', '82', '-', '81', '95', '80'].map((value, s) => `00:00:0${s} pump-1/temp ${value}`).join('\n')
const runsAlone = (name: string): boolean => { try { return operators[name as keyof typeof operators] !== undefined && (operators as Record<string, (given?: any) => unknown>)[name]() !== undefined } catch { return false } }

function executed (name: string, steps: string, given: string): string {
  const text = `name: example\nfrom: simulator\ntime: { lateness: 0s }\ndedupe: false\npipe:\n${steps.split('\n').map(line => `  ${line}`).join('\n')}\nto: [ stdout ]\n`
  const { pipeline, findings } = readYaml(text, components, { file: `notes/${name}.md` })
  const [, columns, rest] = /^show: ([^\n]+)\n(.*)$/s.exec(given) ?? [undefined, undefined, given], { learned, said, shown } = before(rest), { lines, problems } = parseGiven(shown)
  if (pipeline === undefined || problems.length > 0) throw new Error(`the example of ${name}: ${report(findings)}${problems.map(p => p.message).join(', ')}`)
  const { rows, late } = play(pipeline, [...learned, ...lines])
  const out = (rows.get('') ?? []).filter(row => (row.time as number) >= (learned.length > 0 ? lines[0].arrival : -Infinity))
  return [
    `\`\`\`yaml\npipe:\n${steps.split('\n').map(line => `  ${line}`).join('\n')}\n\`\`\``,
    `Given${said === '' ? '' : ` ${said}`}\n\n\`\`\`\n${shown.trim()}\n\`\`\``,
    `it gives${columns === undefined ? '' : ', among others,'}\n\n${rowTable(out, columns?.split(' '))}`,
    ...late.length === 0 ? [] : [`and as late\n\n${rowTable(late)}`]
  ].join('\n\n')
}

/** What comes before the readings that are shown: a fleet of one device, from the begin of the day of tests on. */
function before (given: string): { learned: Line[], said: string, shown: string } {
  const [, names, every, span, kind, metric, size, from, shown] = /^before: ([^\n]+?) every (\S+) for (\S+)(?: with (\S+) of (\S+) by (\S+) from (\S+))?\n(.*)$/s.exec(given) ?? []
  if (names === undefined) return { learned: [], said: '', shown: given }
  const metrics = names.split(' ') as MetricName[], start = clockTime('00:00'), end = start + duration(span)
  const faults = kind === undefined ? [] : [{ kind: kind as FaultKind, device: 0, metric: metrics.indexOf(metric as MetricName), size: Number(size), from: start + duration(from), to: end }]
  const fleet = new Fleet({ devices: 1, metrics: metrics.map(name => metricModels[name]), every: duration(every), seed: 1, start, faults }), room = roomFor(metrics.length * Math.ceil(duration(span) / duration(every)))
  const learned = Array.from({ length: fleet.fill(room, end - 1) }, (_, i): Line =>
    ({ kind: 'reading', time: room.time[i], arrival: room.time[i], tenant: DEFAULT_TENANT, device: 'pump-1', metric: metrics[room.series[i]], value: Number(room.value[i].toFixed(2)), tags: {} }))
  const fault = kind === undefined ? '' : `, with a ${kind} of \`${metric}\` by ${size} from ${from} on`
  return { learned, said: `${span} of \`${metrics.join('`, `')}\` of pump-1 every ${every}, as the simulator makes them${fault}, and then`, shown }
}

function rowTable (rows: readonly Entry[], chosen?: readonly string[]): string {
  const keys = chosen === undefined ? [...new Set(rows.flatMap(Object.keys))].filter(key => !['tenant', 'device', 'metric'].includes(key)) : ['time', 'series', 'value', ...chosen]       // the series says it
  const cell = (key: string, value: unknown) => key === 'time' ? showTime(value as number) : typeof value === 'number' ? (Number.isNaN(value) ? '' : String(Number(value.toPrecision(6)))) : (value as string | undefined) ?? ''
  return table(keys, rows.map(row => keys.map(key => cell(key, row[key]))))
}

const errorPage = (): string => `# Errors

Every error has a code, which is the same on the command line, in the log and in the API. The exit code is that of the program.

${table(['Code', 'Meaning', 'Exit', 'HTTP'], Object.entries(errors).map(([code, { title, exit, status }]) => [`\`${code}\``, title, String(exit), String(status)]))}

## Reasons of dead letters

What cannot become a reading is kept with its bytes, its position and one of these reasons, and counted by it.

${table(['Reason', 'Meaning'], Object.entries(reasons).map(([reason, title]) => [`\`${reason}\``, title]))}
`

const pipelinePage = (): string => `# Pipeline files

${readFileSync(join(here, 'notes', 'pipeline.md'), 'utf8').trim()}

## time

${optionTable(TimeSchema)}

## Alerts

${optionTable(AlertSchema)}

## Conditions

What a column must be. Several keys: all of them.

${optionTable(TestSchema)}
`

function commandPage (): string {
  const program = addCommands(new Command('millrace'), components as unknown as Parts, commands)
  const shared = program.commands[0].options.filter(o => program.commands.every(c => c.options.some(other => other.long === o.long && other.description === o.description)))
  const options = (list: Command['options']) => table(['Option', 'Meaning', 'Default'], list.map(o => [`\`${o.flags}\``, `${o.description}${o.argChoices === undefined ? '' : ` (${o.argChoices.join(', ')})`}${o.envVar === undefined ? '' : `; or \`${o.envVar}\``}`, o.defaultValue === undefined || o.defaultValue === true ? '' : `\`${o.defaultValue}\``]))
  const sections = program.commands.map(command => {
    const own = command.options.filter(o => !shared.some(s => s.long === o.long))
    const args = command.registeredArguments.filter(a => a.description !== '')
    return [
      `## millrace ${command.name()}`,
      `${command.description().charAt(0).toUpperCase()}${command.description().slice(1)}.${command.alias() === undefined ? '' : ` Also \`${command.alias()}\`.`}`,
      `\`\`\`\nmillrace ${command.name()} ${command.usage()}\n\`\`\``,
      ...args.length === 0 ? [] : [args.map(a => `- \`${a.name()}\`: ${a.description}${a.argChoices === undefined ? '' : ` (${a.argChoices.join(', ')})`}`).join('\n')],
      ...own.length === 0 ? [] : [options(own)]
    ].join('\n\n')
  })
  return `# Command line

Results go to stdout, everything else to stderr. Exit codes: 0 ok; 1 failure or findings; 2 called wrongly; 69 a service that is needed cannot be reached; 78 invalid configuration; 130 and 143 after Ctrl-C and SIGTERM, with everything committed.

Every command has these options:

${options(shared)}

${sections.join('\n\n')}
`
}

function table (head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(c => c.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, text] of pages()) {
    mkdirSync(dirname(join(here, path)), { recursive: true })
    writeFileSync(join(here, path), text)
  }
}
