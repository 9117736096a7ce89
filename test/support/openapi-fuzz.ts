/**
 * Requests made from an OpenAPI document, and what its answers may be: a fuzzer of every route. Every other request is what
 * its schema says, in the others each part is with a chance of one in eight something wild. An answer is right when its status is documented and none of 5xx
 * (503 is for what cannot be reached, and all can be), its type is documented, and its body is what the schema says, with no field more.
 */
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import fc from 'fast-check'
import { closed } from '../../engine/options.ts'

interface Schema { readonly [key: string]: any }
export interface Operation { readonly method: string, readonly path: string, readonly parameters: readonly Schema[], readonly body: { readonly type: string, readonly schema: Schema } | undefined, readonly responses: Record<string, Schema> }
export interface Asked { readonly url: string, readonly method: string, readonly payload?: string, readonly headers: Record<string, string> }
export interface Answer { readonly statusCode: number, readonly body: string, readonly headers: Readonly<Record<string, string>> }

/** All operations of a document. */
export const operationsOf = (document: Schema): Operation[] => Object.entries<Schema>(document.paths).flatMap(([path, item]) => Object.entries<Schema>(item).map(([method, o]) => {
  const [type, content] = Object.entries<Schema>(o.requestBody?.content ?? {})[0] ?? []
  return { method: method.toUpperCase(), path, parameters: o.parameters ?? [], body: type === undefined ? undefined : { type, schema: content!.schema }, responses: o.responses }
}))

const WILD = ['', ' ', '\0', 'a\0b', '\ud800', '__proto__', 'constructor', "' OR '1'='1", '"; DROP TABLE readings; --', '../../etc/passwd', '%', '%_\\', '{}', '[]', 'null', 'NaN', '-1', '1e999', '9007199254740993', '9999999999', 'x'.repeat(300), '2026-02-30T00:00:00Z', '+275760-09-13T00:00:00.001Z', '0000-01-01T00:00:00Z', '9999-12-31T23:59:59.999Z', '\u{1f4a9}', null, true, false, 0, -0, -1, 1.5, 1e308, 5e-324, 2 ** 53, [], [[]], {}, { a: { b: [] } }] as const
const wild = fc.constantFrom<unknown>(...WILD)
const instant = fc.date({ min: new Date('2020-01-01T00:00:00Z'), max: new Date('2030-01-01T00:00:00Z'), noInvalidDate: true }).map(d => d.toISOString())
const text = fc.oneof(fc.string({ maxLength: 30 }), fc.string({ maxLength: 30, unit: 'binary' }), fc.constantFrom('p', 'readings', 'pump', 'temp', 'acme', 'value', 'anomaly'))

/** What a schema describes; when `odd`, now and then something else at any depth. */
function valueOf (schema: Schema, odd: boolean): fc.Arbitrary<unknown> { return odd ? fc.oneof({ weight: 7, arbitrary: properOf(schema, odd) }, { weight: 1, arbitrary: wild }) : properOf(schema, odd) }
function properOf (schema: Schema, odd: boolean): fc.Arbitrary<unknown> {
  const choices = schema.anyOf ?? schema.oneOf
  if (choices !== undefined) return fc.oneof(...choices.map((s: Schema) => valueOf(s, odd)))
  if ('const' in schema) return fc.constant(schema.const)
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
  const type: string = Array.isArray(schema.type) ? schema.type[0] : schema.type
  if (type === 'integer') return fc.integer({ min: schema.minimum ?? -1000, max: Math.min(schema.maximum ?? 1000, 2 ** 31 - 1) })
  if (type === 'number') return fc.double({ min: schema.minimum ?? -1e6, max: schema.maximum ?? 1e6, noNaN: true })
  if (type === 'boolean') return fc.boolean()
  if (type === 'array') return fc.array(valueOf(schema.items ?? {}, odd), { minLength: Math.min(schema.minItems ?? 0, 5), maxLength: Math.min(schema.maxItems ?? 20, 20) })
  if (type === 'object' || schema.properties !== undefined) {
    const named = fc.record(Object.fromEntries(Object.entries<Schema>(schema.properties ?? {}).map(([k, s]) => [k, valueOf(s, odd)])), { requiredKeys: schema.required ?? [] })
    return !odd ? named : fc.oneof({ weight: 9, arbitrary: named }, { weight: 1, arbitrary: fc.tuple(named, fc.dictionary(text, wild, { maxKeys: 2 })).map(([a, b]) => Object.assign({}, a, b)) })
  }
  if (type === 'string') return schema.format === 'date-time' ? instant : schema.pattern === undefined ? text : fc.oneof(fc.stringMatching(new RegExp(schema.pattern)), text)
  return fc.oneof(text, wild)
}

/** What a schema does not say, to get past the first check: values of parameters by name, bodies by path. */
export interface Known { readonly values: Readonly<Record<string, readonly string[]>>, readonly bodies: Readonly<Record<string, readonly unknown[]>> }

/** Requests of an operation. `authorization` goes into each. */
export const requestsOf = (operation: Operation, authorization: string, known: Known): fc.Arbitrary<Asked> => fc.boolean().chain(odd => requestOf(operation, authorization, known, odd))

function requestOf ({ method, path, parameters, body }: Operation, authorization: string, known: Known, odd: boolean): fc.Arbitrary<Asked> {
  const parameter = (p: Schema) => { const any = valueOf(p.schema, odd), given = known.values[p.name]; return given === undefined ? any : odd ? fc.oneof(any, fc.constantFrom(...given)) : fc.constantFrom(...given) }
  const bodyOf = (schema: Schema) => { const given = known.bodies[path]; return given === undefined ? valueOf(schema, odd) : fc.oneof(valueOf(schema, odd), fc.constantFrom(...given)) }
  const place = (kind: string, missing: number) => fc.tuple(...parameters.filter(p => p.in === kind).map(p => fc.option(parameter(p), { nil: undefined, freq: p.required === true ? (odd ? 20 : 1e6) : missing }).map(v => [p.name as string, v] as const)))
  const written = (v: unknown) => (typeof v === 'string' ? v : JSON.stringify(v)).replaceAll(/\p{Surrogate}/gu, '\ufffd')
  const sent = body === undefined ? fc.constant(undefined) : fc.tuple(bodyOf(body.schema), fc.string()).chain(([v, junk]) => fc.oneof({ weight: odd ? 9 : 1e6, arbitrary: fc.constant(typeof v === 'string' && !body.type.includes('json') ? v : JSON.stringify(v)) }, { weight: 1, arbitrary: fc.constantFrom(junk, '', '{', 'nul', '\0') }))
  return fc.tuple(place('path', 1e6), place('query', 2), place('header', 3), sent).map(([inPath, inQuery, inHeader, payload]) => {
    const asked = inQuery.filter(([, v]) => v !== undefined).map(([k, v]) => `${encodeURIComponent(k)}=${encodeURIComponent(written(v))}`).join('&')
    const url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(written(inPath.find(([k]) => k === name)?.[1] ?? 'x')) || 'x')
    const headers = Object.fromEntries(inHeader.filter(([, v]) => v !== undefined).map(([k, v]) => [k, written(v).replaceAll(/[^\x20-\x7e]/g, '?')]))
    return { method, url: asked === '' ? url : `${url}?${asked}`, headers: { ...headers, authorization, ...payload === undefined ? {} : { 'content-type': body!.type } }, ...payload === undefined ? {} : { payload } }
  })
}

const ajv = formats.default(new Ajv2020({ strict: false, allErrors: false }), ['date-time'])
const checks = new WeakMap<Schema, ReturnType<typeof ajv.compile>>()

/** What is wrong with an answer; undefined when nothing is. */
export function faultOf ({ responses }: Operation, { statusCode, body, headers }: Answer): string | undefined {
  if (statusCode >= 500) return `status ${statusCode}: ${body.slice(0, 300)}`
  const documented = responses[String(statusCode)]
  if (documented === undefined) return `status ${statusCode} is not documented: ${body.slice(0, 300)}`
  const [type] = (headers['content-type'] ?? '').split(';'), content: Schema | undefined = documented.content?.[type]
  if (documented.content === undefined) return body === '' ? undefined : `status ${statusCode} is documented without a body: ${body.slice(0, 300)}`
  if (content === undefined) return `type ${type} of status ${statusCode} is not documented`
  if (!type.includes('json') || type.includes('ndjson')) return undefined
  let check = checks.get(content)
  if (check === undefined) checks.set(content, check = ajv.compile(closed(content.schema)))
  return check(JSON.parse(body)) ? undefined : `status ${statusCode}: ${ajv.errorsText(check.errors)}: ${body.slice(0, 300)}`
}
