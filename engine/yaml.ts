import { dirname, resolve } from 'node:path'
import { isPair, isSeq, LineCounter, visit, type Document, type Scalar } from 'yaml'
import type { Components } from './components.ts'
import { readDevices, type DeviceTags } from './devices.ts'
import { pipelineOf, type Draft, type DraftAlert, type DraftRoute, type Part } from './draft.ts'
import { parse, type Parsed } from './yaml-document.ts'
import { interpolate, type Environment } from './environment.ts'
import { MillraceError, type Code } from './errors.ts'
import { check } from './lint.ts'
import type { Operator } from './operator.ts'
import { filesIn, optionAt, readOptions, show, suggest, type Problem, type TObject } from './options.ts'
import { readTime, type AlertOptions, type Pipeline } from './pipeline.ts'
import { Places } from './places.ts'
import { isError, sorted, written, type Finding, type Path } from './report.ts'
import { AlertSchema, FILE_KEYS, ROUTE_KEYS, TimeSchema } from './schema.ts'
import type { SinkSpec } from './sink.ts'
import type { SourceSpec } from './source.ts'

/** A pipeline file as read: the pipeline when nothing is wrong with it, and everything that is, sorted by place. */
export interface Read { readonly pipeline: Pipeline | undefined, readonly findings: readonly Finding[] }

const LIMIT = 2 ** 20                // bytes of a file
const MOST = 100                     // findings of a file that are said one by one: each is looked for in the text
const FIRST = 10                     // syntax errors that are told: the first ones cause the rest
const ALIASES = 100                  // how often anchors may be repeated: more is a bomb
const REPEATS = `an anchor may be repeated, in all, ${ALIASES} times`

/** Reads a pipeline from YAML. `file` is how it is called in findings. Never throws for what stands in the text. */
export function readYaml (text: string, components: Components, { file, environment = { env: process.env } }: { file: string, environment?: Environment }): Read {
  const failed = (code: Code, message: string, help?: string): Read => ({ pipeline: undefined, findings: [{ code, level: 'error', message, help, path: [], place: { file, line: 1, column: 1, length: 1, text: text.slice(0, 200).split('\n')[0] } }] })
  const { most = LIMIT } = environment
  if (Buffer.byteLength(text) > most) return failed('config/too-large', `the file has ${Buffer.byteLength(text)} bytes, a pipeline at most ${most}`)
  const lines = new LineCounter()
  let parsed: Parsed
  try {
    parsed = parse(text, lines)
  } catch (error) {
    return failed('config/syntax', error instanceof RangeError ? 'the file is nested too deeply' : (error as Error).message)
  }
  const { doc, twice, aliases } = parsed, map = new Places(doc, lines, text, file)
  const syntax = [...doc.errors, ...doc.warnings].slice(0, FIRST).map(({ pos: [from, to], message }): Finding => {
    const place = map.between(from, to)
    return { code: 'config/syntax', level: 'error', message: `not valid YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}`, help: /[\w/]\{|\$\{|\}[\w/]/.test(place.text) ? 'text with { or } in it stands in quotes: "${NAME}", "{device}/{metric}"' : undefined, path: [], place }
  })
  const again = twice.slice(0, FIRST).map(([from, to]): Finding => ({ code: 'config/duplicate-key', level: 'error', message: `the key "${text.slice(from, to)}" stands here a second time`, path: [], place: map.between(from, to) }))
  if (syntax.length > 0) return { pipeline: undefined, findings: sorted([...syntax, ...again]) }
  if (aliases > ALIASES) return failed('config/syntax', `anchors are repeated ${aliases} times`, REPEATS)      // before they are: each is looked for in all of the file
  const filled = fill(doc, environment, map)
  let given: unknown
  try {
    given = doc.toJS({ maxAliasCount: ALIASES })
    JSON.stringify(given)              // refuses an anchor that holds itself
  } catch (error) {
    return failed('config/syntax', `the anchors of the file cannot be resolved: ${(error as Error).message}`, REPEATS)
  }
  const reader = new Reader(file, components, filled.texts, filled.unset, environment)
  const draft = reader.file(given)
  const read = [...reader.findings, ...draft === undefined ? [] : check(draft)]
  const found = [...again, ...filled.findings, ...read.slice(0, MOST).map(f => ({ ...f, place: map.place(f) }))]
  const distinct = new Map(found.map(f => [`${f.message}\0${f.place?.line}\0${f.place?.column}`, f]))
  const findings = [...sorted([...distinct.values()]), ...read.length > MOST ? [{ code: read[0].code, level: 'error' as const, message: `and ${read.length - MOST} more`, path: [] }] : []]
  return { pipeline: draft === undefined || findings.some(isError) ? undefined : pipelineOf(draft, file), findings }
}

/** Puts the environment into the scalars of a parsed file. `texts`: the paths of those that were changed; `unset`: of those filled with what stands for the unset, the same for what is written alike, so that two receivers stay two. */
function fill (doc: Document, { unset: instead, ...environment }: Environment, map: Places): { findings: Finding[], texts: Set<string>, unset: Set<string> } {
  const findings: Finding[] = [], texts = new Set<string>(), unset = new Set<string>(), standing = new Map<string, string>()
  visit(doc, {
    Scalar (key, node, ancestors) {
      if (key === 'key' || typeof node.value !== 'string' || !node.value.includes('$')) return
      const path = pathOf(key, ancestors)
      if (path[0] === 'tests') return                // what a test says does not depend on where it runs
      const text = node.value
      try {
        const filled = interpolate(text, environment)
        if (filled !== text) texts.add(written(path))
        node.value = filled
      } catch (error) {
        const { message, help, code } = error as MillraceError
        if (instead !== undefined) {
          unset.add(written(path))
          if (!standing.has(text)) standing.set(text, standing.size === 0 ? instead : `${instead}-${standing.size + 1}`)
          node.value = standing.get(text)!
        } else findings.push({ code, level: 'error', message, help, path: [], place: map.of(node) })
      }
    }
  })
  return { findings, texts, unset }
}

function pathOf (key: unknown, ancestors: readonly unknown[]): Path {
  const path: (string | number)[] = []
  ancestors.forEach((node, i) => {
    const next = ancestors[i + 1]
    if (isPair(node)) path.push(String((node.key as Scalar).value))
    else if (isSeq(node)) path.push(next === undefined ? key as number : node.items.indexOf(next))
  })
  return path
}

/** From what was written to a draft, gathering what is wrong. */
class Reader {
  readonly findings: Finding[] = []
  private readonly components: Components
  private readonly texts: ReadonlySet<string>
  private readonly unset: ReadonlySet<string>
  private readonly name: string
  private readonly environment: Environment
  constructor (name: string, components: Components, texts: ReadonlySet<string>, unset: ReadonlySet<string>, environment: Environment) {
    this.name = name
    this.environment = environment
    this.components = components
    this.texts = texts
    this.unset = unset
  }

  file (given: unknown): Draft | undefined {
    if (!isObject(given)) {
      this.add('config/invalid', [], `a pipeline is a map of ${FILE_KEYS.join(', ')}, got ${show(given)}`)
      return undefined
    }
    this.keys(given, FILE_KEYS, [], 'the pipeline')
    const { name, dedupe = true, tests = [], branches = {}, devices } = given
    if (name !== undefined && typeof name !== 'string') this.add('config/invalid', ['name'], `name must be text, got ${show(name)}`)
    if (typeof dedupe !== 'boolean') this.add('config/invalid', ['dedupe'], `dedupe must be true or false, got ${show(dedupe)}`)
    if (!Array.isArray(tests)) this.add('config/invalid', ['tests'], `tests must be a list, got ${show(tests)}`)
    if (!isObject(branches)) this.add('config/invalid', ['branches'], `branches must be a map of names, got ${show(branches)}`)
    return {
      name: name === undefined ? undefined : String(name),
      source: given.from === undefined ? undefined : this.component<SourceSpec>('source', this.components.sources, given.from, ['from']),
      time: this.time(given.time),
      dedupe: dedupe !== false,
      devices: devices === undefined ? undefined : this.devices(devices),
      trunk: this.route('', given, []),
      branches: isObject(branches) ? Object.entries(branches).map(([key, branch]) => this.branch(key, branch)) : [],
      tests: Array.isArray(tests) ? tests : []
    }
  }

  private devices (given: unknown): DeviceTags[] {
    if (typeof given !== 'string') {
      this.add('config/invalid', ['devices'], `devices must be the path of a CSV file, got ${show(given)}`)
      return []
    }
    try {
      return readDevices(resolve(dirname(this.name), given), this.environment.read)
    } catch (error) {
      const { code, message, help } = error as MillraceError
      this.add(code, ['devices'], message, { help })
      return []
    }
  }

  private time (given: unknown): Pipeline['time'] {
    if (given === undefined || given === null) return readTime()
    if (!isObject(given)) this.add('config/invalid', ['time'], `time must be a map of ${Object.keys(TimeSchema.properties).join(', ')}, got ${show(given)}`)
    const { values, well } = this.options('time', TimeSchema, isObject(given) ? given : {}, ['time'])
    return well ? values as Pipeline['time'] : readTime()
  }

  private branch (name: string, given: unknown): DraftRoute {
    const path = ['branches', name]
    if (isObject(given)) this.keys(given, ROUTE_KEYS, path, `branch "${name}"`)
    else this.add('config/invalid', path, `branch "${name}" must be a map of ${ROUTE_KEYS.join(', ')}, got ${show(given)}`)
    return this.route(name, isObject(given) ? given : {}, path)
  }

  private route (name: string, given: Record<string, unknown>, path: Path): DraftRoute {
    const { alerts = {} } = given
    if (!isObject(alerts)) this.add('config/invalid', [...path, 'alerts'], `alerts must be a map of names, got ${show(alerts)}`)
    return {
      name,
      path,
      steps: this.list(given.pipe, [...path, 'pipe'], (item, at) => this.component<Operator>('operator', this.components.operators, item, at)),
      alerts: isObject(alerts) ? Object.entries(alerts).flatMap(([key, alert]) => this.alert(key, alert, [...path, 'alerts', key])) : [],
      sinks: this.sinks(given.to, [...path, 'to'])
    }
  }

  private alert (name: string, given: unknown, path: Path): DraftAlert[] {
    if (!isObject(given)) {
      this.add('config/invalid', path, `alert "${name}" must be a map of ${Object.keys(AlertSchema.properties).join(', ')}, got ${show(given)}`)
      return []
    }
    const { well } = this.options(name, AlertSchema, given, path)
    const { to, escalate, ...options } = given
    const escalations = well && escalate !== undefined ? (escalate as { after: string, to: unknown }[]).map(({ after, to }, k) => ({ after, receivers: this.sinks(to, [...path, 'escalate', k, 'to']) })) : undefined
    for (const condition of [options.when, options.clear]) this.numbers(condition, path)
    return [{ name, path, options: (well ? options : { when: options.when, ...options.clear === undefined ? {} : { clear: options.clear } }) as unknown as AlertOptions, receivers: this.sinks(to, [...path, 'to']), ...escalations === undefined ? {} : { escalations } }]
  }

  private sinks (given: unknown, path: Path): Part<SinkSpec>[] {
    return this.list(given, path, (item, at) => this.component<SinkSpec>('sink', this.components.sinks, item, at))
  }

  private list<T> (given: unknown, path: Path, read: (item: unknown, path: Path) => T): T[] {
    if (given === undefined || given === null) return []
    if (Array.isArray(given)) return given.map((item, i) => read(item, [...path, i]))
    this.add('config/invalid', path, `${written(path)} must be a list, got ${show(given)}`, { help: `write ${path.at(-1)}: [ ... ], or a dash before each` })
    return []
  }

  /** `name`, or `name: options`. */
  private component<T> (kind: string, known: Readonly<Record<string, ((given?: any) => T) & { readonly definition: { readonly options: TObject, readonly adds?: unknown, readonly windows?: true } }>>, given: unknown, path: Path): Part<T> {
    const names = Object.keys(known)
    const keys = isObject(given) ? Object.keys(given) : []
    const name = typeof given === 'string' ? given : keys[0]
    if (name === undefined || keys.length > 1) {
      this.add('config/invalid', keys.length > 1 ? [...path, keys[1]] : path, keys.length > 1 ? `one ${kind} at a time, got ${keys.join(', ')}` : `${written(path)} must be a ${kind}, got ${show(given)}`, { key: keys.length > 1, help: keys.length > 1 && names.includes(keys[0]) ? `options belong under the name: ${keys[0]}: { ${keys[1]}: ... }` : `write its name, or its name and options: ${names[0]}: { ... }` })
      return { path }
    }
    const here = [...path, name]
    if (!Object.hasOwn(known, name)) {
      this.add('config/unknown-component', here, `there is no ${kind} "${name}"`, { key: true, help: this.hint(name, names) })
      return { path: here }
    }
    const make = known[name], { adds = [], windows } = make.definition
    const wrong: Part<T> = { path: here, adds: Array.isArray(adds) && !windows ? adds : undefined }
    const all = isObject(given) ? given[name] ?? {} : {}
    if (!isObject(all)) {
      this.add('config/invalid', here, `the options of ${name} must be a map, got ${show(all)}`, { help: `write ${name}: { option: value }` })
      return wrong
    }
    const { id, ...rest } = kind === 'operator' ? all : { ...all, id: undefined }
    const options = 'id' in make.definition.options.properties || kind !== 'operator' ? all : rest
    if (id !== undefined && (typeof id !== 'string' || id === '')) this.add('config/invalid', [...here, 'id'], `${name}.id must be text, got ${show(id)}`)
    if (!this.options(name, make.definition.options, options, here).well || !this.mayName(name, make.definition.options, options, here)) return wrong
    try {
      return { path: here, value: make(id === undefined ? options : { ...options, id: String(id) }) }
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      if ([...this.unset].some(at => at.startsWith(`${written(here)}.`))) return wrong
      this.add(error.code, here, error.message, { key: true, help: error.help })
      return wrong
    }
  }

  /** Whether no option names a file, where none may: making a component may read it. */
  private mayName (name: string, schema: TObject, given: unknown, path: Path): boolean {
    const files = this.environment.files === false ? filesIn(schema, given) : []
    for (const file of files) this.add('config/invalid', [...path, ...file], `${[name, ...file].join('.')} names a file of this machine, and a pipeline that is sent cannot`, { help: 'a pipeline with files is given to millrace run' })
    return files.length === 0
  }

  private options (name: string, schema: TObject, given: Record<string, unknown>, path: Path): { values: unknown, well: boolean } {
    this.types(schema, given, path)
    const { values, problems } = readOptions(name, schema, given)
    for (const p of problems) if (!this.unset.has(written([...path, ...p.path]))) this.problem(p, path)
    return { values, well: problems.length === 0 }
  }

  /** What comes from the environment is text: where a declaration wants a number or a boolean, it becomes one. */
  private types (schema: unknown, given: any, path: Path): void {
    for (const [key, value] of Object.entries(given)) {
      const at = [...path, Array.isArray(given) ? Number(key) : key]
      if (typeof value === 'object' && value !== null) this.types(optionAt(schema, [at.at(-1)!]), value, at)
      else if (typeof value === 'string' && this.texts.has(written(at))) {
        const type = optionAt(schema, [at.at(-1)!])?.type
        if ((type === 'number' || type === 'integer') && value.trim() !== '' && !Number.isNaN(Number(value))) given[key] = Number(value)
        else if (type === 'boolean' && (value === 'true' || value === 'false')) given[key] = value === 'true'
      }
    }
  }

  /** The bounds of conditions are numbers, wherever they come from. */
  private numbers (condition: unknown, path: Path): void {
    if (!isObject(condition) || this.texts.size === 0 || ![...this.texts].some(t => t.startsWith(written(path)))) return
    for (const [key, value] of Object.entries(condition)) {
      if (typeof value === 'string' && value.trim() !== '' && !Number.isNaN(Number(value))) condition[key] = Number(value)
      else for (const part of Array.isArray(value) ? value : [value]) this.numbers(part, path)
    }
  }

  private keys (given: object, known: readonly string[], path: Path, what: string): void {
    for (const key of Object.keys(given)) if (!known.includes(key)) this.add('config/unknown-key', [...path, key], `unknown key "${key}" in ${what}`, { key: true, help: this.hint(key, known) })
  }

  /** Of findings that are said. */
  private hint (word: string, known: readonly string[]): string | undefined { return this.findings.length < MOST ? suggest(word, known) : undefined }

  private problem ({ code, path: inside, message, help, key }: Problem, path: Path): void {
    this.add(code, [...path, ...inside], message, { help, ...key === undefined ? {} : { key } })
  }

  private add (code: Code, path: Path, message: string, more: Partial<Finding> = {}): void {
    this.findings.push({ code, level: 'error', path, message, ...more })
  }
}

const isObject = (value: unknown): value is Record<string, any> => value !== null && typeof value === 'object' && !Array.isArray(value)
