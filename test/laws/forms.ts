/**
 * The form of what each operator remembers, by version and options. A snapshot is read by whoever has its version, so a form that
 * changes without its version would be read wrongly: forms.test.ts holds them against those of forms.json.
 * `node --import tsx test/laws/forms.ts` writes that file anew when a version was raised or an operator or sample is new, and refuses otherwise.
 */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'
import type { Operator } from '#engine'
import { canonical } from '../../engine/fingerprint.ts'
import { list, type Shape, type Shapes } from '../../engine/memory.ts'
import * as operators from '../../operators/index.ts'
import { alerts, samples } from './samples.ts'

/** By operator: its version, and by its options a digest of its form. */
export type Forms = Readonly<Record<string, { readonly version: number, readonly forms: Readonly<Record<string, string>> }>>

const FILE = new URL('forms.json', import.meta.url)
export const written = (): Forms => JSON.parse(readFileSync(FILE, 'utf8'))

/** A queue is saved as a list of values is. */
const kind = (shape: Shape): unknown => typeof shape === 'number' ? 'number' : 'queue' in shape ? list('value') : 'ring' in shape || 'list' in shape || 'note' in shape ? shape : Object.keys(shape)
const shapesOf = (given: Shapes | ((options: any) => Shapes) | undefined, options: unknown): object =>
  Object.fromEntries(Object.entries(typeof given === 'function' ? given(options) : given ?? {}).map(([name, shape]) => [name, kind(shape)]))

const formOf = ({ definition: { perSeries, perDevice }, options }: Operator): string =>
  createHash('sha256').update(JSON.stringify([shapesOf(perSeries, options), shapesOf(perDevice, options)])).digest('hex').slice(0, 16)

export function current (): Forms {
  const steps = [...Object.entries(operators).flatMap(([name, make]) => (samples[name as keyof typeof operators] ?? [make as () => Operator]).map(sample => sample())), ...alerts.map(make => make())]
  const forms: Record<string, { version: number, forms: Record<string, string> }> = {}
  for (const step of steps.filter(step => step.remembers)) (forms[step.name] ??= { version: step.definition.version ?? 1, forms: {} }).forms[canonical(step.options)] = formOf(step)
  return forms
}

/** Each form that is another than the one that is written down for its version. */
export const unsaid = (now: Forms, before: Forms): readonly string[] => Object.entries(now).flatMap(([name, { version, forms }]) => before[name]?.version !== version ? [] :
  Object.entries(forms).filter(([options, form]) => (before[name].forms[options] ?? form) !== form).map(([options]) => `${name} ${options} remembers in another form than its version ${version} did: raise its version`))

if (argv[1] === fileURLToPath(import.meta.url)) {
  const found = unsaid(current(), written())
  if (found.length > 0) throw new Error(found.join('\n'))
  writeFileSync(FILE, `${JSON.stringify(current(), null, 2)}\n`)
}
