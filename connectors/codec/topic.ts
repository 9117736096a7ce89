import { isForbidden, LONGEST_NAME, MillraceError, nameFault, short, type Fault, type SeriesTable } from '#engine'

/** What a topic says about the readings under it. */
export interface Place {
  readonly tenant: string
  readonly device: number | undefined        // its id, -1 when the table is full; undefined: the payload names it
  readonly metric: string | undefined        // undefined: the payload names it
  readonly devices: Map<string, number>      // devices that payloads have named here
}

interface Template { readonly levels: readonly { readonly name?: string, readonly literal?: string }[] }

/** First level of the topic of a payload that is many, one a line. A name that is percent-encoded is never this. */
export const NDJSON = '@ndjson/'

const LEVEL = /^\{([a-z][a-z0-9_]*)\}$/i
const REMEMBERED = 100_000           // topics at most

/**
 * Topic templates such as `{tenant}/{device}/{metric}` or `site/{site}/{device}`: a level is a `{name}` or a literal.
 * `{tenant}`, `{device}` and `{metric}` name the series; every other name becomes a tag of the device.
 * The first template that fits a topic reads it. NATS subjects are the same with `.` between levels.
 */
export class Topics {
  private readonly templates: readonly Template[]
  private readonly series: SeriesTable
  private readonly tenant: string
  private readonly separator: string
  private readonly encoded: boolean
  private readonly text: string
  private readonly places = new Known<Place>()

  /**
   * Throws config/invalid for a template that is none. `tenant`: whose readings these are when no template says it.
   * `encoded`: names stand percent-encoded in their level; one that cannot be decoded is taken as it stands.
   */
  constructor (templates: readonly string[], series: SeriesTable, { tenant = 'default', separator = '/', encoded = false } = {}) {
    const fault = templates.map(t => templateFault(t, separator)).find(f => f !== undefined)
    if (fault !== undefined) throw new MillraceError('config/invalid', fault)
    this.templates = templates.map(t => parse(t, separator))
    this.series = series
    this.tenant = tenant
    this.separator = separator
    this.encoded = encoded
    this.text = templates.join(', ')
  }

  /** Where the readings of a topic belong, or why nowhere. Known topics cost one look into a Map. */
  resolve (topic: string): Place | Fault {
    return this.places.get(topic) ?? this.read(topic)
  }

  /** Whether one of the templates reads it. Known topics cost one look into a Map. */
  fits (topic: string): boolean {
    if (this.places.get(topic) !== undefined) return true
    const levels = topic.split(this.separator)
    return this.templates.some(t => fits(t, levels))
  }

  private read (topic: string): Place | Fault {
    const levels = topic.split(this.separator)
    const template = this.templates.find(t => fits(t, levels))
    if (template === undefined) return { reason: 'topic_mismatch', detail: `"${short(topic)}" fits none of: ${this.text}` }
    const { tenant = this.tenant, device, metric, ...tags } = Object.fromEntries(template.levels.flatMap((l, i) => l.name === undefined ? [] : [[l.name, this.encoded ? decoded(levels[i]) : levels[i]]])) as Record<string, string | undefined>
    for (const [kind, name] of Object.entries({ tenant, device, metric, ...tags })) {
      const fault = name === undefined ? undefined : nameFault(kind, name)
      if (fault !== undefined) return fault
    }
    const id = device === undefined ? undefined : this.series.device(tenant, device)
    if (id !== undefined && id >= 0) this.series.tag(id, tags as Record<string, string>)
    const place: Place = { tenant, device: id, metric, devices: new Map() }
    if (id !== -1) this.places.set(topic, place)
    return place
  }
}

/** Whose readings come under a topic: what the template says, else `tenant`. Known topics cost one look into a Map. */
export function tenantsOf (templates: readonly string[], tenant: string): (topic: string) => string {
  const parsed = templates.map(t => parse(t, '/')), said = parsed.map(t => t.levels.findIndex(l => l.name === 'tenant')), known = new Known<string>()
  const read = (topic: string): string => {
    const levels = topic.split('/'), i = parsed.findIndex(t => fits(t, levels)), found = i < 0 || said[i] < 0 ? tenant : levels[said[i]]
    if (i >= 0 && topic.length <= LONGEST_NAME) known.set(topic, found)
    return found
  }
  return topic => known.get(topic) ?? read(topic)
}

/** What to subscribe to: one filter per template, less those that another one covers. */
export const filtersOf = (templates: readonly string[], separator = '/'): string[] =>
  distinct(templates.map(t => parse(t, separator))).map(t => t.levels.map(l => l.literal ?? (separator === '/' ? '+' : '*')).join(separator))

/** What is wrong with a topic template, as a sentence. */
export function templateFault (template: string, separator = '/'): string | undefined {
  const seen = new Set<string>()
  if (template === '') return 'a topic template is empty'
  for (const level of template.split(separator)) {
    const name = LEVEL.exec(level)?.[1]
    if (name === undefined && /[{}+#*>]/.test(level)) return `"${template}": the level "${level}" is neither a name such as {device} nor a literal (levels stand between "${separator}")`
    if (name !== undefined && seen.has(name)) return `"${template}" has {${name}} twice`
    if (name !== undefined && isForbidden(name)) return `"${template}": {${name}} is not allowed as a name`
    if (name !== undefined) seen.add(name)
  }
  if (template.startsWith('$share/')) return `"${template}": name the group in the option "share"`
  return undefined
}

/**
 * What was read of topics: of the half of `REMEMBERED` that came last, and of up to as many before them; others are read anew. Two maps in
 * turn, because one of which the oldest is removed each time looks for it among all that were (150,000 topics in turn: 118 us a message, and 8 so).
 */
class Known<V> {
  private young = new Map<string, V>()
  private old = new Map<string, V>()

  get (topic: string): V | undefined {
    const found = this.young.get(topic)
    if (found !== undefined) return found
    const before = this.old.get(topic)
    if (before !== undefined) this.set(topic, before)
    return before
  }

  set (topic: string, read: V): void {
    if (this.young.size >= REMEMBERED / 2) {
      this.old = this.young
      this.young = new Map()
    }
    this.young.set(topic, read)
  }
}

const decoded = (level: string): string => { try { return decodeURIComponent(level) } catch { return level } }
const parse = (template: string, separator: string): Template => ({
  levels: template.split(separator).map(level => { const name = LEVEL.exec(level)?.[1]; return name === undefined ? { literal: level } : { name } })
})
const fits = ({ levels }: Template, topic: readonly string[]): boolean => levels.length === topic.length && levels.every((l, i) => l.literal === undefined || l.literal === topic[i])
const covers = (a: Template, b: Template): boolean => a.levels.length === b.levels.length && a.levels.every((l, i) => l.literal === undefined || l.literal === b.levels[i].literal)
const distinct = (templates: readonly Template[]): Template[] => templates.filter((t, i) => !templates.some((o, j) => covers(o, t) && (j < i || !covers(t, o)) && j !== i))
