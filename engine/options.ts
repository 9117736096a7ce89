/**
 * Options of components, declared once with TypeBox: that declaration is the static type, the check at run time,
 * the JSON Schema that editors complete from, and the reference page.
 */
import { Ajv, type ErrorObject } from 'ajv'
import { Type, type Static, type TObject, type TProperties, type TSchema } from 'typebox'
import { MillraceError, type Code } from './errors.ts'
import { shownFor } from './mask.ts'
export { Type, type Static, type TObject, type TProperties, type TSchema }

declare const brand: unique symbol
/** A time span: written as '30s' or '5m', milliseconds inside. */
export type Milliseconds = number & { readonly [brand]?: 'ms' }

const UNIT: Record<string, number> = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 }
const SPAN = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$/

/** An option that is a time span. Its value inside is in milliseconds. */
export const Duration = (o: { description: string, default?: string }) =>
  Type.Unsafe<Milliseconds>({ type: 'string', pattern: SPAN.source, 'x-duration': true, ...o })

/** An option that names a file or folder of this machine: who sends a pipeline over HTTP cannot say it. */
export const File = (o: { description?: string, minLength?: number }) => Type.Unsafe<string>({ type: 'string', 'x-file': true, ...o })

/** '30s' -> 30000. Throws on anything else. */
export function duration (text: string): Milliseconds {
  const [, n, unit] = SPAN.exec(text) ?? []
  if (n === undefined) throw new MillraceError('config/invalid', `"${text}" is not a time span`, { help: SPANS })
  return Number(n) * UNIT[unit]
}

/** 30000 -> '30s': the largest unit that leaves a whole number. */
export function span (ms: number): string {
  if (ms === 0) return '0s'
  const [unit, size] = Object.entries(UNIT).reverse().find(([, size]) => ms % size === 0 && ms >= size) ?? ['ms', 1]
  return `${ms / size}${unit}`
}

/** What a process function gets: everything present, spans in milliseconds. */
export type Values<P extends TProperties> = Static<TObject<P>>
/** What an author writes: spans as text, everything with a default may be left out. */
export type Given<P extends TProperties> = { readonly [K in keyof P]?: Written<Static<P[K]>> | undefined }
type Written<T> = IsSpan<T> extends true ? string : [T] extends [readonly (infer E)[]] ? (IsSpan<E> extends true ? readonly string[] : T) : T
type IsSpan<T> = [T] extends [Milliseconds] ? ([Milliseconds] extends [T] ? (typeof brand extends keyof T ? true : false) : false) : false

/** One thing that is wrong with options: where (path inside them), what, and what would be right. */
export interface Problem { readonly code: Code, readonly path: readonly string[], readonly message: string, readonly help?: string | undefined, readonly key?: boolean }

/** Schemas are TypeBox's: checking them too would cost every start as much as all the rest of this. */
const ajv = new Ajv({ allErrors: true, useDefaults: true, strict: false, verbose: true, validateSchema: false, code: { optimize: false } })

const MOST = 1000                    // errors of a component that are looked into: each of a choice is compared with all

/** Checks options against their declaration and fills in defaults. All problems at once; values only when there are none. */
export function readOptions<P extends TProperties> (component: string, schema: TObject<P>, given: unknown): { values: Values<P>, problems: Problem[] } {
  const raw = structuredClone(given ?? {}) as Record<string, unknown>
  const check = compiled(schema)
  const problems = check(raw) ? [] : chosen((check.errors ?? []).slice(0, MOST)).map(e => problem(component, raw, e))
  return { values: (problems.length === 0 ? inside(schema, raw) : raw) as Values<P>, problems: distinct(problems) }
}

const cache = new WeakMap<TSchema, ReturnType<typeof ajv.compile>>()
function compiled (schema: TSchema) {
  let check = cache.get(schema)
  if (check === undefined) cache.set(schema, check = ajv.compile(closed(schema)))
  return check
}

/** The same schema, in which an object may have no keys but those it names, unless it says otherwise. */
export function closed (schema: any): any {
  if (Array.isArray(schema)) return schema.map(closed)
  if (schema === null || typeof schema !== 'object') return schema
  const copy: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(schema)) {
    copy[key] = key === 'properties' || key === 'patternProperties'
      ? Object.fromEntries(Object.entries(value as object).map(([name, part]) => [name, closed(part)]))
      : key === 'default' || key === 'const' || key === 'enum' || key === 'examples' ? value : closed(value)
  }
  if (copy.properties !== undefined && copy.additionalProperties === undefined && copy.patternProperties === undefined) copy.additionalProperties = false
  return copy
}

/** Reads options or throws, naming the component and every problem. `check` says in a sentence what a schema cannot. */
export function options<P extends TProperties> (component: string, schema: TObject<P>, given: unknown, check?: (values: Values<P>) => string | undefined): Values<P> {
  const { values, problems } = readOptions(component, schema, given)
  if (problems.length > 0) throw new MillraceError(problems[0].code, problems.map(p => p.message).join('; '), { help: problems[0].help })
  const fault = check?.(values)
  if (fault !== undefined) throw new MillraceError('config/invalid', `${component}: ${fault}`)
  return values
}

/** Replaces written spans by milliseconds, wherever the declaration says that one stands. */
function inside (schema: any, value: any): any {
  if (schema?.['x-duration'] && typeof value === 'string') return duration(value)
  if (Array.isArray(value)) return schema?.items ? value.map(v => inside(schema.items, v)) : value
  if (value !== null && typeof value === 'object') {
    const branch = schema?.anyOf?.find((s: any) => s.type === 'object' && Object.keys(value).every(k => k in (s.properties ?? {}))) ?? schema
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, inside(branch?.properties?.[k] ?? branch?.additionalProperties ?? Object.values(branch?.patternProperties ?? {})[0], v)]))
  }
  const scalar = typeof value === 'string' && schema?.anyOf?.find((s: any) => s['x-duration'] && SPAN.test(value))
  return scalar ? duration(value) : value
}

/** Of a choice (anyOf) only what helps: the errors of the one alternative that has the type of the value, else that none fits. */
function chosen (errors: readonly ErrorObject[]): ErrorObject[] {
  const choices = errors.filter(e => e.keyword === 'anyOf' || e.keyword === 'oneOf')
  const hidden = new Set<ErrorObject>()
  for (const choice of choices) {
    const fits = (choice.schema as any[]).flatMap((alternative, i) => typeNames(alternative).includes(typeName(choice.data)) && alternative.const === undefined ? [i] : [])
    const within = (e: ErrorObject, path: string) => e.schemaPath.startsWith(`${path}/`) && e.instancePath.startsWith(choice.instancePath)
    for (const e of errors) if (within(e, choice.schemaPath) && !(fits.length === 1 && within(e, `${choice.schemaPath}/${fits[0]}`))) hidden.add(e)
    if (fits.length === 1) hidden.add(choice)
  }
  return errors.filter(e => !hidden.has(e) && e.keyword !== 'if')
}
const typeNames = (schema: any): string[] => [schema.type ?? (schema.const === undefined ? [] : typeName(schema.const))].flat().map(t => t === 'integer' ? 'number' : t)
const typeName = (value: unknown): string => value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value

function problem (component: string, raw: unknown, e: ErrorObject): Problem {
  const path = e.instancePath.split('/').slice(1).map(p => p.replaceAll('~1', '/').replaceAll('~0', '~'))
  const name = (extra?: string) => [component, ...path, ...extra === undefined ? [] : [extra]].join('.')
  const got = path.reduce<any>((v, k) => v?.[k], raw)
  const part = e.parentSchema as any
  const invalid = (what: string, help: string | undefined = part.description): Problem => ({ code: 'config/invalid', path, message: `${name()} must ${what}, got ${show(shownFor(name(), got, part))}`, help })
  switch (e.keyword) {
    case 'additionalProperties': {
      const key = (e.params as any).additionalProperty as string
      return { code: 'config/unknown-key', path: [...path, key], message: `${component}: unknown option "${[...path, key].join('.')}"`, help: suggest(key, Object.keys(part.properties ?? {})) ?? 'there are no options here', key: true }
    }
    case 'required': {
      const key = (e.params as any).missingProperty as string
      return { code: 'config/missing', path, message: `${name(key)} is required`, help: part.properties?.[key]?.description, key: true }
    }
    case 'enum': case 'const': case 'anyOf': case 'oneOf': {
      const allowed: unknown[] = e.keyword === 'enum' ? part.enum : e.keyword === 'const' ? [part.const] : (e.schema as any[]).map(s => s.const ?? kind(s))
      const words = e.keyword === 'enum' || (e.schema as any[]).every?.(s => s.const !== undefined)
      return invalid(`be ${words && allowed.length > 1 ? 'one of ' : ''}${[...new Set(allowed)].join(words ? ', ' : ' or ')}`, typeof got === 'string' && e.keyword !== 'const' ? near(got, allowed.map(String)) ?? part.description : undefined)
    }
    case 'pattern': case 'type':
      if (part['x-duration']) return invalid('be a time span', SPANS)
      return invalid(e.keyword === 'type' ? `be ${kind(part)}` : `match ${part.pattern}`)
    case 'minimum': return invalid(`be at least ${part.minimum}`)
    case 'maximum': return invalid(`be at most ${part.maximum}`)
    case 'exclusiveMinimum': return invalid(`be above ${part.exclusiveMinimum}`)
    case 'exclusiveMaximum': return invalid(`be below ${part.exclusiveMaximum}`)
    case 'minItems': return invalid(`have at least ${part.minItems} ${part.minItems === 1 ? 'item' : 'items'}`)
    case 'maxItems': return invalid(`have at most ${part.maxItems} ${part.maxItems === 1 ? 'item' : 'items'}`)
    case 'minLength': return invalid(part.minLength === 1 ? 'not be empty' : `have at least ${part.minLength} characters`)
    case 'uniqueItems': return invalid('name nothing twice')
    default: return invalid((e.message ?? 'be valid').replace(/^must /, ''))
  }
}
const SPANS = 'write a number and a unit: 500ms, 30s, 5m, 2h, 7d, 1w'
const kind = (schema: any): string => schema['x-duration'] ? 'a time span' : ({ string: 'text', number: 'a number', integer: 'a whole number', boolean: 'true or false', array: 'a list', object: 'a map' } as Record<string, string>)[schema.type] ?? [schema.type ?? 'something else'].flat().join(' or ')

/** The paths of options that name a file, such as ca of mqtt. */
export function filesIn (schema: any, value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (isFile(schema) && value !== undefined) return [path]
  if (value === null || typeof value !== 'object') return []
  return Object.entries(value).flatMap(([key, inner]) => filesIn(optionAt(schema, [key]), inner, [...path, key]))
}
const isFile = (schema: any): boolean => Boolean(schema?.['x-file'] || schema?.anyOf?.some((part: any) => isFile(part) || isFile(part.items)))

/** What the declaration says about the option at a path; undefined when it is silent. */
export function optionAt (schema: any, path: readonly (string | number)[]): any {
  return path.reduce((s, k) => s?.properties?.[k] ?? (Array.isArray(s?.items) ? s.items[k] : s?.items) ?? (typeof s?.additionalProperties === 'object' ? s.additionalProperties : Object.values(s?.patternProperties ?? {})[0]), schema)
}
export const show = (value: unknown): string => { const text = JSON.stringify(value) ?? String(value); return text.length > 80 ? `${text.slice(0, 77)}...` : text }
function distinct (problems: readonly Problem[]): Problem[] {
  const there = new Map<string, Problem>()
  for (const p of problems) {
    const key = [...p.path, p.message].join('\0')
    if (!there.has(key)) there.set(key, p)
  }
  return [...there.values()]
}

const LONG = 100                     // characters: what is longer is no slip of a known word

/** "did you mean ...?" when a known word is near, else the list of known words. */
export const suggest = (word: string, known: readonly string[]): string | undefined =>
  known.length === 0 ? undefined : near(word, known) ?? `there are: ${known.join(', ')}`

function near (word: string, known: readonly string[]): string | undefined {
  if (word.length > LONG) return undefined
  const [least, nearest] = known.map(k => [distance(word.toLowerCase(), k.toLowerCase()), k] as const).sort(([a], [b]) => a - b)[0] ?? [Infinity, '']
  return least <= Math.max(1, word.length / 3) ? `did you mean "${nearest}"?` : undefined
}

/** Damerau-Levenshtein distance (optimal string alignment). */
function distance (a: string, b: string): number {
  const d = Array.from({ length: a.length + 1 }, (_, i) => Array.from({ length: b.length + 1 }, (_, j) => i === 0 ? j : j === 0 ? i : 0))
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      d[i][j] = Math.min(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) d[i][j] = Math.min(d[i][j], d[i - 2][j - 2] + 1)
    }
  }
  return d[a.length][b.length]
}
