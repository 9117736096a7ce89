/**
 * Options of components, declared once with TypeBox: that declaration is the static type, the check at run time,
 * the JSON Schema that editors complete from, and the reference page.
 */
import { Ajv, type ErrorObject } from 'ajv'
import { Type, type Static, type TObject, type TProperties, type TSchema } from 'typebox'
import { MillraceError, type Code } from './errors.ts'
export { Type, type Static, type TObject, type TProperties, type TSchema }

declare const brand: unique symbol
/** A time span: written as '30s' or '5m', milliseconds inside. */
export type Milliseconds = number & { readonly [brand]?: 'ms' }

const UNIT: Record<string, number> = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 }
const SPAN = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$/

/** An option that is a time span. Its value inside is in milliseconds. */
export const Duration = (o: { description: string, default?: string }) =>
  Type.Unsafe<Milliseconds>({ type: 'string', pattern: SPAN.source, 'x-duration': true, ...o })

/** '30s' -> 30000. Throws on anything else. */
export function duration (text: string): Milliseconds {
  const [, n, unit] = SPAN.exec(text) ?? []
  if (n === undefined) throw new MillraceError('config/invalid', `"${text}" is not a time span`, { help: 'write a number and a unit: 500ms, 30s, 5m, 2h, 7d, 1w' })
  return Number(n) * UNIT[unit]
}

/** 30000 -> '30s': the largest unit that leaves a whole number. */
export function span (ms: number): string {
  const [unit, size] = Object.entries(UNIT).reverse().find(([, size]) => ms % size === 0 && ms >= size) ?? ['ms', 1]
  return `${ms / size}${unit}`
}

/** What a process function gets: everything present, spans in milliseconds. */
export type Values<P extends TProperties> = Static<TObject<P>>
/** What an author writes: spans as text, everything with a default may be left out. */
export type Given<P extends TProperties> = { readonly [K in keyof P]?: Written<Static<P[K]>> | undefined }
type Written<T> = [T] extends [Milliseconds] ? ([Milliseconds] extends [T] ? (typeof brand extends keyof T ? string : T) : T) : T

/** One thing that is wrong with options: where (path inside them), what, and what would be right. */
export interface Problem { readonly code: Code, readonly path: readonly string[], readonly message: string, readonly help?: string | undefined, readonly key?: boolean }

const ajv = new Ajv({ allErrors: true, useDefaults: true, strict: false, discriminator: true })

/** Checks options against their declaration and fills in defaults. All problems at once; values only when there are none. */
export function readOptions<P extends TProperties> (component: string, schema: TObject<P>, given: unknown): { values: Values<P>, problems: Problem[] } {
  const raw = structuredClone(given ?? {}) as Record<string, unknown>
  const check = compiled(schema)
  const problems = check(raw) ? [] : (check.errors ?? []).filter(e => !['if', 'anyOf', 'oneOf'].includes(e.keyword) || e.schemaPath.split('/').length <= 4).map(e => problem(component, schema, raw, e))
  return { values: (problems.length === 0 ? inside(schema, raw) : raw) as Values<P>, problems: distinct(problems) }
}

const cache = new WeakMap<TSchema, ReturnType<typeof ajv.compile>>()
function compiled (schema: TSchema) {
  let check = cache.get(schema)
  if (check === undefined) cache.set(schema, check = ajv.compile({ ...schema, additionalProperties: (schema as any).additionalProperties ?? false }))
  return check
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

function problem (component: string, schema: TObject, raw: unknown, e: ErrorObject): Problem {
  const path = e.instancePath.split('/').slice(1).map(p => p.replaceAll('~1', '/').replaceAll('~0', '~'))
  const name = (extra?: string) => [component, ...path, ...extra === undefined ? [] : [extra]].join('.')
  const got = path.reduce<any>((v, k) => v?.[k], raw)
  if (e.keyword === 'additionalProperties' || e.keyword === 'unevaluatedProperties') {
    const key = (e.params as any).additionalProperty as string
    const known = Object.keys((path.length === 0 ? schema : (e.parentSchema as any) ?? at(schema, path))?.properties ?? {})
    return { code: 'config/unknown-key', path: [...path, key], message: `${component}: unknown option "${[...path, key].join('.')}"`, help: suggest(key, known), key: true }
  }
  if (e.keyword === 'required') return { code: 'config/missing', path, message: `${name((e.params as any).missingProperty)} is required`, help: at(schema, [...path, (e.params as any).missingProperty])?.description }
  const part = at(schema, path)
  if (e.keyword === 'pattern' && part?.['x-duration']) return { code: 'config/invalid', path, message: `${name()} must be a time span, got ${show(got)}`, help: 'write a number and a unit: 500ms, 30s, 5m, 2h, 7d, 1w' }
  if (e.keyword === 'enum') return { code: 'config/invalid', path, message: `${name()} must be one of ${(e.params as any).allowedValues.join(', ')}, got ${show(got)}`, help: typeof got === 'string' ? suggest(got, (e.params as any).allowedValues) : undefined }
  if (e.keyword === 'const' || e.keyword === 'anyOf') {
    const allowed = (part?.anyOf ?? []).flatMap((s: any) => s.const === undefined ? [s.type ?? s.description ?? '?'] : [s.const])
    return { code: 'config/invalid', path, message: `${name()} must be ${allowed.length > 0 ? `one of ${[...new Set(allowed)].join(', ')}` : e.message}, got ${show(got)}`, help: typeof got === 'string' ? suggest(got, allowed) : undefined }
  }
  return { code: 'config/invalid', path, message: `${name()} ${e.message}, got ${show(got)}`, help: part?.description }
}

function at (schema: any, path: readonly string[]): any {
  return path.reduce((s, k) => s?.properties?.[k] ?? s?.items ?? (typeof s?.additionalProperties === 'object' ? s.additionalProperties : undefined), schema)
}
const show = (value: unknown) => { const text = JSON.stringify(value) ?? String(value); return text.length > 80 ? `${text.slice(0, 77)}...` : text }
const distinct = (problems: Problem[]) => problems.filter((p, i) => problems.findIndex(q => q.path.join('\0') === p.path.join('\0') && q.message === p.message) === i)

/** "did you mean ...?" when a known word is near, else the list of known words. */
export function suggest (word: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined
  const near = known.map(k => [distance(word, k), k] as const).sort(([a], [b]) => a - b)[0]
  return near[0] <= Math.max(1, word.length / 3) ? `did you mean "${near[1]}"?` : `there are: ${known.join(', ')}`
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
