import type { Components } from './components.ts'
import { remembers, type Shapes } from './memory.ts'
import { show } from './options.ts'

export type Kind = 'source' | 'operator' | 'sink'
export const kindsOf = ({ sources, operators, sinks }: Components) => ({ source: sources, operator: operators, sink: sinks }) as const

/** The components of that name; there may be a source and a sink of one name. */
export function named (components: Components, name: string): { readonly kind: Kind, readonly definition: any }[] {
  return Object.entries(kindsOf(components)).flatMap(([kind, known]) => Object.hasOwn(known, name) ? [{ kind: kind as Kind, definition: known[name].definition }] : [])
}

export interface Extra { readonly notes?: string | undefined, readonly example?: string | undefined, readonly cost?: string | undefined }

/** The reference page of a component, in Markdown, made from its declaration. */
export function page (kind: Kind, definition: any, { notes, example, cost }: Extra = {}): string {
  return [
    `# ${definition.name}`,
    `${capital(kind)}. ${definition.summary}`,
    ...notes === undefined ? [] : [notes.trim()],
    '## Options',
    ...facts(kind, definition, cost),
    optionTable(definition.options),
    ...example === undefined ? [] : ['## Example', example.trim()]
  ].join('\n\n') + '\n'
}

function facts (kind: Kind, d: any, cost?: string): string[] {
  const list = kind === 'operator'
    ? [
        ['needs', columns(d.needs)], ...d.reads === undefined ? [] : [['reads', `${columns(d.reads)}, where they are there`]], ['adds', columns(d.adds)],
        ['memory', [memory(d.perSeries) && 'per series', memory(d.perDevice) && 'per device'].filter(Boolean).join(' and ') || 'none'],
        ['rows', d.windows ? 'readings in, rows of windows out' : d.drops ? `those it drops count as ${d.drops}` : d.derives ? 'all it is given, and some of its own' : 'all it is given'],
        ...d.crosses ? [['sees', `all series of a device${d.crosses === true ? '' : ', where its options say so'}`]] : [],
        ...d.learns ? [['learns', 'what is usual: anew when maintenance of the device is over']] : [],
        ...cost === undefined ? [] : [['cost', cost]]
      ]
    : kind === 'sink'
      ? [['takes', [(d.store || d.follow) && 'rows', d.receive && 'alerts'].filter(Boolean).join(' and ')], ...d.store ? [['store', 'keeps the commits of a pipeline']] : []]
      : []
  return list.length === 0 ? [] : [list.map(([what, how]) => `- ${what}: ${how}`).join('\n')]
}

const memory = (declared: unknown): boolean => typeof declared === 'function' || (declared !== undefined && remembers(declared as Shapes))
const columns = (declared: unknown): string =>
  typeof declared === 'function' ? 'what its options name' : Array.isArray(declared) && declared.length > 0 ? declared.map(c => `\`${c}\``).join(', ') : 'nothing'

/** Options with their types, defaults and units, one line each; nested ones with dots. */
export function optionTable (schema: any): string {
  const rows = optionRows(schema, '')
  if (rows.length === 0) return 'None.'
  return ['| Option | Type | Default | Meaning |', '| --- | --- | --- | --- |', ...rows.map(cells => `| ${cells.map(c => c.replaceAll('|', '\\|')).join(' | ')} |`)].join('\n')
}

function optionRows (schema: any, prefix: string): string[][] {
  const required: string[] = schema.required ?? []
  return Object.entries<any>(schema.properties ?? {}).flatMap(([name, part]) => {
    const inner = part.type === 'array' ? part.items : part, path = part.type === 'array' ? `${name}[].` : `${name}.`
    const nested = inner?.type === 'object' && inner.properties !== undefined
    const preset = part.default !== undefined ? `\`${text(part.default)}\`` : required.includes(name) ? 'required' : ''
    return [[`\`${prefix}${name}\``, typeOf(part), preset, part.description ?? ''], ...nested ? optionRows(inner, `${prefix}${path}`) : []]
  })
}

/** What may be written for an option. */
export function typeOf (part: any): string {
  if (part['x-duration']) return 'span'
  if (part.const !== undefined) return `\`${text(part.const)}\``
  if (part.enum !== undefined) return part.enum.map((e: unknown) => `\`${text(e)}\``).join(', ')
  if (part.anyOf !== undefined) return [...new Set(part.anyOf.map(typeOf))].join(part.anyOf.every((s: any) => s.const !== undefined) ? ', ' : ' or ')
  if (part.type === 'array') return `list of ${Array.isArray(part.items) ? part.items.map(typeOf).join(', ') : typeOf(part.items ?? {})}`
  if (part.type === 'object') return part.patternProperties !== undefined || typeof part.additionalProperties === 'object' ? `map of ${typeOf(Object.values(part.patternProperties ?? {})[0] ?? part.additionalProperties)}` : 'map'
  const low = part.minimum ?? part.exclusiveMinimum, high = part.maximum ?? part.exclusiveMaximum
  const range = low !== undefined && high !== undefined ? ` ${low} to ${high}` : low !== undefined ? ` ${part.minimum === undefined ? 'above' : 'from'} ${low}` : high !== undefined ? ` up to ${high}` : ''
  return `${({ string: 'text', integer: 'whole number', number: 'number', boolean: 'true or false' } as Record<string, string>)[part.type] ?? 'anything'}${range}`
}
const text = (value: unknown): string => typeof value === 'string' ? value : show(value)
const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)
