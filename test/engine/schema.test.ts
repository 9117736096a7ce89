import t from 'tap'
import { Ajv } from 'ajv'
import { parse } from 'yaml'
import { type Test } from '#engine'
import type { Static } from 'typebox'
import { jsonSchema, type TestSchema } from '../../engine/schema.ts'
import { readYaml } from '../../engine/yaml.ts'
import { catalog } from './catalog.ts'

const check = new Ajv({ strict: true, allowUnionTypes: true }).compile(jsonSchema(catalog))

void t.test('the schema is strict JSON Schema, and accepts what the reader accepts and nothing else', async t => {
  for (const [text, well] of [
    ['name: a\nfrom: { plant: {} }\nto: [ print ]', true],
    ['name: a\nfrom: plant\npipe: [ ewma, within: { min: 1, id: x }, sums: { every: 1m } ]\nto: [ table: { table: x } ]', true],
    ['name: a\nfrom: { plant: { qos: "${QOS:-1}" } }\ndedupe: false\ntime: { lateness: 1s }\nto: [ print ]', true],
    ['name: a\nfrom: plant\nalerts: { hot: { when: { any: [ { value: { above: 1 } } ] }, for: 1s, severity: info, to: [ hook: { url: x } ] } }', true],
    ['name: a\nfrom: plant\nbranches: { b: { pipe: [ sums: { every: 1h } ], to: [ print ] } }', true],
    ['name: a\nfrom: plant\nto: [ print ]\ntests: [ { name: x, given: "00:00:00 a/b 1", expect: { late: 0 } } ]', true],
    ['from: plant\nto: [ print ]', false],
    ['name: a\nfrom: plnt\nto: [ print ]', false],
    ['name: a\nfrom: { plant: { qos: 3 } }\nto: [ print ]', false],
    ['name: a\nfrom: plant\npipe: [ sums ]\nto: [ print ]\nspeed: 1', false],
    ['name: a\nfrom: plant\npipe: [ sums: {} ]\nto: [ print ]', false],
    ['name: a\nfrom: plant\npipe: [ ewma: { aplha: 1 } ]\nto: [ print ]', false],
    ['name: a\nfrom: plant\npipe: [ { ewma: {}, within: {} } ]\nto: [ print ]', false],
    ['name: a\nfrom: plant\nalerts: { hot: { when: { value: { over: 1 } } } }', false],
    ['name: a\nfrom: plant\nalerts: { hot: { when: { value: { above: 1 } }, severity: bad } }', false],
    ['name: a\nfrom: plant\ntime: { lateness: 5 }\nto: [ print ]', false]
  ] as const) {
    t.equal(check(parse(text)), well, `schema: ${text}`)
    t.equal(readYaml(text, catalog, { file: 'p', environment: { env: {} } }).pipeline !== undefined, well, `reader: ${text}`)
  }
})

void t.test('the schema describes every option for editors', async t => {
  const schema = jsonSchema(catalog) as any
  t.equal(schema.definitions.operator.anyOf[1].properties.ewma.properties.alpha.description, 'Weight of the newest reading.')
  t.strictSame(schema.definitions.sink.anyOf[0], { enum: ['hook', 'print', 'table'] })
  t.ok(schema.definitions.operator.anyOf[1].properties.ewma.properties.id)
})

/** The declaration of conditions and their type say the same. */
export type Same = [Required<Static<typeof TestSchema>>] extends [{ [K in keyof Test]-?: Test[K] extends readonly number[] | undefined ? number[] : number }] ? true : never
export const same: Same = true
