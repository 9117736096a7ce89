import { columnsOf, type Condition } from './condition.ts'
import type { Components } from './components.ts'
import { draftOf, type Draft, type DraftAlert, type DraftRoute, type Part } from './draft.ts'
import type { Code } from './errors.ts'
import type { Operator } from './operator.ts'
import { readOptions, show, span, suggest } from './options.ts'
import { timeDefaults, readTime, type Pipeline } from './pipeline.ts'
import { identityOf } from './receivers.ts'
import type { Finding, Path } from './report.ts'
import { NAME, TestSchema } from './schema.ts'
import type { SinkSpec } from './sink.ts'
import { checkTests, COUNTED } from './trial.ts'

/** Everything that is wrong with a pipeline, and what may be. */
export const lint = (pipeline: Pipeline): Finding[] => check(draftOf(pipeline))

/**
 * The pipeline that runs: with dedupe() before the first step with memory of the trunk, or at its end when it has none: without
 * its numbers two readings of the same series and time would have one key, and only the first would become a row. As it is when
 * it says `dedupe: false`, or has a dedupe of its own: on the trunk, or in every branch while the trunk has no sinks and alerts.
 */
export function normalise (pipeline: Pipeline, components: Components): Pipeline {
  const { dedupe } = components.operators, { steps, sinks, alerts, branches } = pipeline
  if (!pipeline.dedupe || dedupe === undefined || steps.some(isDedupe)) return pipeline
  const first = steps.findIndex(s => s.remembers)
  if (first < 0 && sinks.length === 0 && alerts.length === 0 && Object.values(branches).every(b => b.steps.some(isDedupe))) return pipeline
  const at = first < 0 ? steps.length : first
  return { ...pipeline, steps: [...steps.slice(0, at), dedupe(), ...steps.slice(at)] }
}
const isDedupe = (step: Operator): boolean => step.name === 'dedupe'

/** Checks what could be read. Columns behind a step that could not be read are not judged. */
export function check (draft: Draft): Finding[] {
  const findings: Finding[] = []
  const add: Add = (code, path, message, more = {}) => { findings.push({ code, level: 'error', path, message, ...more }) }
  const routes = [draft.trunk, ...draft.branches]

  if (draft.name === undefined || !NAME.test(draft.name)) {
    add(draft.name === undefined ? 'config/missing' : 'config/invalid', ['name'], draft.name === undefined ? 'name is required' : `name must be letters, digits, - and _, beginning with a letter, got ${show(draft.name)}`, { help: 'the name is the key of the pipeline in the store, in metrics and in the API' })
  }
  if (draft.source === undefined) add('config/missing', ['from'], 'from is required', { help: 'say which source to read: from: { mqtt: { url: mqtt://localhost, topic: ... } }' })
  checkTime(draft, add)
  const end = checkSteps(draft.trunk, { columns: new Set(), unsure: false, windows: undefined }, add)
  checkAlerts(draft.trunk, end, add)
  for (const branch of draft.branches) {
    if (!NAME.test(branch.name)) add('config/invalid', branch.path, `branch "${branch.name}": a name is letters, digits, - and _, beginning with a letter`, { key: true })
    checkAlerts(branch, checkSteps(branch, end, add), add)
    if (branch.sinks.length + branch.alerts.length === 0) add('config/no-output', branch.path, `branch "${branch.name}" has neither sinks nor alerts: nothing comes out of it`, { level: 'warning', key: true, help: 'give it a sink (to) or an alert, or leave it out' })
  }
  if (routes.length === 1 && draft.trunk.sinks.length + draft.trunk.alerts.length === 0) {
    add('config/no-output', ['name'], 'the pipeline has neither sinks, branches nor alerts: nothing would come out of it', { key: true, help: 'say where the rows go: to: [ stdout ]' })
  }
  checkSinks(routes, add)
  checkShared(draft, routes, add)
  const names = new Map<string, Path>()
  for (const alert of routes.flatMap(r => r.alerts)) {
    if (names.has(alert.name)) add('config/duplicate-alert', alert.path, `a second alert "${alert.name}"`, { key: true, help: 'alerts are known by their name alone: give one of them another' })
    names.set(alert.name, alert.path)
  }
  const tables = routes.flatMap(r => r.sinks).flatMap(s => typeof s.value?.options.table === 'string' ? [s.value.options.table] : [])
  findings.push(...checkTests(draft.tests, [...names.keys()], ['trunk', ...new Set([...draft.branches.map(b => b.name), ...tables])]))
  return findings
}

type Add = (code: Code, path: Path, message: string, more?: Partial<Finding>) => void
/** What is known between two steps. Unsure: a step could not be read, so there may be columns that nobody knows. */
interface Known { readonly columns: ReadonlySet<string>, readonly unsure: boolean, readonly windows: Operator | undefined }

function checkTime ({ time }: Draft, add: Add): void {
  if (time.forget < time.idle) add('config/time', ['time', 'forget'], `time.forget (${span(time.forget)}) is shorter than time.idle (${span(time.idle)})`, { help: 'a device is silent (idle) before it is forgotten' })
  const preset = readTime(timeDefaults)
  if (time.lateness > time.idle && (time.lateness !== preset.lateness || time.idle !== preset.idle)) {
    add('config/time', ['time', 'lateness'], `time.lateness (${span(time.lateness)}) is longer than time.idle (${span(time.idle)})`, { level: 'warning', help: 'a device that pauses for idle gets provisional rows for windows whose readings may still come' })
  }
}

/** The steps of a route in order; returns what is known at its end. */
function checkSteps (route: DraftRoute, before: Known, add: Add): Known {
  const ids = new Map<string, Operator>()
  const adders = new Map<string, string>()
  let { columns, unsure, windows } = before
  let remembering: Operator | undefined
  for (const { path, value: step, adds } of route.steps) {
    if (step === undefined) {
      unsure ||= adds === undefined
      columns = new Set([...columns, ...adds ?? []])
      continue
    }
    const { name, id, definition } = step
    if (ids.has(id)) add('config/duplicate-step', path, `a second step "${id}"`, { key: true, help: `steps are known by their id: give one of them another, ${name}: { id: ${id}2, ... }` })
    ids.set(id, step)
    for (const column of step.needs) if (!unsure && column !== 'value' && !columns.has(column)) unknownColumn(add, path, step.given, `step "${id}" needs the column "${column}", which no step before it adds`, column, columns)
    if (isDedupe(step) && remembering !== undefined) add('config/order', path, `dedupe stands after "${remembering.id}", which has already remembered the duplicates`, { key: true, help: `put it before ${remembering.id}` })
    if (step.remembers && !isDedupe(step)) remembering ??= step
    if (definition.windows) {
      const inner = windows?.options.every, outer = step.options.every
      if (typeof inner === 'number' && typeof outer === 'number' && (outer % inner !== 0 || outer === inner)) {
        add('config/order', [...path, ...pathToKey(step.given, 'every')], `step "${id}" makes windows of ${span(outer)} out of windows of ${span(inner)}`, { help: `a window of windows is a whole multiple of them, at least ${span(2 * inner)}` })
      }
      windows = step
      columns = new Set()
      adders.clear()
    }
    for (const column of step.adds) {
      if (columns.has(column) && !step.needs.includes(column)) add('config/duplicate-column', path, `step "${id}" adds the column "${column}", which ${adders.has(column) ? `step "${adders.get(column)}"` : 'the trunk'} has added already`, { key: true, help: 'leave one of them out, or put them into branches of their own' })
      adders.set(column, id)
    }
    columns = new Set([...columns, ...step.adds])
  }
  return { columns, unsure, windows }
}

function checkAlerts (route: DraftRoute, { columns, unsure }: Known, add: Add): void {
  for (const { name, path, options } of route.alerts) {
    if (!NAME.test(name)) add('config/invalid', path, `alert "${name}": a name is letters, digits, - and _, beginning with a letter`, { key: true })
    if (COUNTED.includes(name) || name === 'rows') add('config/invalid', path, `an alert cannot be called "${name}": tests expect something else by that name`, { key: true })
    for (const key of ['when', 'clear'] as const) {
      const condition = options[key]
      if (condition === undefined) continue
      if (!checkCondition(condition, `${name}.${key}`, [...path, key], add)) continue
      for (const column of columnsOf(condition)) {
        if (unsure || column === 'value' || columns.has(column)) continue
        unknownColumn(add, [...path, key], condition, `alert "${name}" reads the column "${column}", which no step adds`, column, new Set([...columns, 'value']))
      }
    }
  }
}

/** Whether a condition has the form of one. */
function checkCondition (condition: Condition, name: string, path: Path, add: Add): boolean {
  if (!isMap(condition) || Object.keys(condition).length === 0) {
    add('config/invalid', path, `${name} must be a condition, got ${show(condition)}`, { help: 'columns and what they must be: { zscore: { above: 4 } }' })
    return false
  }
  let well = true
  for (const [key, part] of Object.entries(condition as Record<string, unknown>)) {
    const here = [...path, key]
    if (key === 'any' || key === 'all') {
      if (!Array.isArray(part) || part.length === 0) {
        add('config/invalid', here, `${name}.${key} must be a list of conditions, got ${show(part)}`)
        well = false
      } else well = part.map((c, i) => checkCondition(c, `${name}.${key}[${i}]`, [...here, i], add)).every(Boolean) && well
      continue
    }
    const { problems } = readOptions(`${name}.${key}`, TestSchema, isMap(part) ? part : {})
    for (const p of problems) add(p.code, [...here, ...p.path], p.message, { help: p.help, ...p.key ? { key: true } : {} })
    if (!isMap(part) || Object.keys(part).length === 0) add('config/invalid', here, `${name}.${key} must say what the column must be, got ${show(part)}`, { help: `for example { above: 4 }; there are: ${Object.keys(TestSchema.properties).join(', ')}` })
    else for (const range of ['inside', 'outside']) {
      const [low, high] = Array.isArray(part[range]) ? part[range] : []
      if (low > high) add('config/invalid', [...here, range], `${name}.${key}.${range} must go from low to high, got ${show(part[range])}`)
    }
    well &&= problems.length === 0
  }
  return well
}

function checkSinks (routes: readonly DraftRoute[], add: Add): void {
  let store: { readonly sink: SinkSpec, readonly key: string, readonly path: Path } | undefined
  for (const { path, value: sink } of routes.flatMap(r => r.sinks)) {
    if (sink === undefined) continue
    const { store: opens, follow, storeKey } = sink.definition
    if (opens === undefined && follow === undefined) add('config/sink', path, `${sink.name} takes alerts, not rows`, { key: true, help: 'put it under "to" of an alert' })
    if (opens === undefined) continue
    const key = storeKey?.(sink.options) ?? ''
    if (store !== undefined && (store.sink.name !== sink.name || store.key !== key)) {
      const both = sink.name === store.sink.name
      add('config/store', path, both ? `${sink.name} goes to another database than the ${sink.name} before it` : `${sink.name} is a store, and so is ${store.sink.name}`, { key: true, help: 'a pipeline commits to one store: use the same one, or write two pipelines on the same source' })
    }
    store ??= { sink, key, path }
  }
  for (const { name, receivers, escalations = [] } of routes.flatMap(r => r.alerts)) {
    for (const told of [receivers, escalations.flatMap(e => e.receivers)]) {
      const known = new Set<string>()
      for (const { path, value: sink } of told) {
        if (sink === undefined) continue
        const who = identityOf(sink)
        if (sink.definition.receive === undefined) add('config/sink', path, `${sink.name} takes rows, not alerts`, { key: true, help: 'alerts are always kept in the store; "to" names who is told, such as webhook' })
        else if (known.has(who)) add('config/duplicate-receiver', path, `alert "${name}": a second receiver ${who}`, { key: true, help: 'receivers are known by their kind and address, or by their name: take one out; to tell it again, give the later one a name of its own, such as name: again' })
        known.add(who)
      }
    }
  }
  checkTables(routes, add)
}

/** Rows of windows and readings have different keys: they cannot share a table. */
function checkTables (routes: readonly DraftRoute[], add: Add): void {
  const windowed = ({ steps }: DraftRoute) => steps.some(s => s.value?.definition.windows)
  const kinds = new Map<unknown, boolean>()
  for (const route of routes) {
    const kind = windowed(route) || windowed(routes[0])
    for (const { path, value: sink } of route.sinks) {
      if (sink?.definition.store === undefined || sink.options.table === undefined) continue
      if (kinds.has(sink.options.table) && kinds.get(sink.options.table) !== kind) add('config/store', [...path, 'table'], `the table "${show(sink.options.table).replaceAll('"', '')}" would have both readings and windows`, { help: 'give windows a table of their own' })
      else kinds.set(sink.options.table, kind)
    }
  }
}

function checkShared ({ source, dedupe }: Draft, routes: readonly DraftRoute[], add: Add): void {
  if (source?.value === undefined || !source.value.definition.shares?.(source.value.options)) return
  if (dedupe) add('config/shared', source.path, `dedupe is there by default and remembers what it has seen, but the shared subscription of ${source.value.name} gives this process only a part of each device`, { key: true, help: 'say dedupe: false; then of two readings of one series and time only the first becomes a row' })
  const remembering: readonly (Part<Operator> | DraftAlert)[] = routes.flatMap(r => [...r.steps.filter(s => s.value?.remembers), ...r.alerts])
  for (const part of remembering) {
    const what = 'value' in part ? `step "${part.value!.id}"` : `alert "${(part as DraftAlert).name}"`
    add('config/shared', part.path, `${what} remembers what it has seen, but the shared subscription of ${source.value.name} gives this process only a part of each device`, { key: true, help: 'subscribe alone, without a group, or keep to steps without memory' })
  }
}

function unknownColumn (add: Add, path: Path, given: unknown, message: string, column: string, columns: ReadonlySet<string>): void {
  const { path: inside, key } = find(given, column) ?? { path: [], key: true }
  add('config/unknown-column', [...path, ...inside], message, { key, help: columns.size === 0 ? 'no step before it adds a column' : suggest(column, [...columns])!.replace('there are', 'columns there are') })
}

/** Where a word stands in options, as a key or as a value. */
function find (given: unknown, word: string): { readonly path: Path, readonly key: boolean } | undefined {
  if (given === word) return { path: [], key: false }
  if (given === null || typeof given !== 'object') return undefined
  for (const [key, value] of Object.entries(given)) {
    if (key === word && !Array.isArray(given)) return { path: [key], key: true }
    const inside = find(value, word)
    if (inside !== undefined) return { path: [Array.isArray(given) ? Number(key) : key, ...inside.path], key: inside.key }
  }
  return undefined
}
const pathToKey = (given: object, key: string): Path => key in given ? [key] : []
const isMap = (value: unknown): value is Record<string, any> => value !== null && typeof value === 'object' && !Array.isArray(value)
