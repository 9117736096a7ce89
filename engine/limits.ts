import { MillraceError } from './errors.ts'
import { readOptions, Type, type Values } from './options.ts'
import { readSettings } from './settings-file.ts'

const count = (description: string, value?: number) => Type.Integer({ description, minimum: 0, maximum: 1_000_000_000, ...value === undefined ? {} : { default: value } })
const ofKey = Type.Object({
  requests: count('Requests in a minute, but for those that bring readings.', 600),
  ingests: count('Requests that bring readings, in a minute.', 60_000),
  drifts: count('Calls of check_drift in a minute.', 10),
  streams: count('Streams that are open at once.', 10)
})
const ofTenant = Type.Object({
  requests: Type.Optional(count('Requests in a minute of all its keys, but for those that bring readings; without it there is no limit.')),
  readings: Type.Optional(count('Readings a second, over HTTP and to the embedded broker, over ten seconds; without it there is no limit.')),
  series: Type.Optional(count('Series that a pipeline knows; without it there is no limit but --max-series.')),
  silences: count('Silences and maintenance windows that are not over.', 1000),
  streams: count('Streams that are open at once, of all its keys.', 20),
  keys: count('API keys that are valid: neither revoked nor expired.', 100),
  jobs: Type.Integer({ description: 'Jobs that are over and are kept, with their files; beyond, the oldest go.', minimum: 1, maximum: 100_000, default: 200 }),
  jobDays: Type.Integer({ description: 'Days for which they are.', minimum: 1, maximum: 36_500, default: 90 })
})
const ofProcess = Type.Object({ failures: Type.Integer({ description: 'Failed attempts in a minute from one address (of IPv6 a /64) to come in with a key, a token or the password of a device; ten times as many under one name.', minimum: 1, maximum: 1_000_000_000, default: 20 }), streams: count('Streams that are open at once.', 50), pipelines: count('Pipelines, those that are paused too.', 200), bodies: Type.Integer({ description: 'Bytes of bodies of requests in memory at once, as sent and as unpacked.', minimum: 2 ** 22, maximum: 2 ** 40, default: 2 ** 26 }) })

export type KeyLimits = Values<typeof ofKey.properties>
export type TenantLimits = Values<typeof ofTenant.properties>
export type ProcessLimits = Values<typeof ofProcess.properties>
/** What a file says: for each key and tenant, for some of them by name, and for the process. */
interface Given { readonly key?: Partial<KeyLimits>, readonly keys?: Record<string, Partial<KeyLimits>>, readonly tenant?: Partial<TenantLimits>, readonly tenants?: Record<string, Partial<TenantLimits>>, readonly process?: Partial<ProcessLimits> }

/** How much a key, a tenant and all of them may have. Looked up for each request: a key in a Map. Counted by each process for itself. */
export class Limits {
  readonly process: ProcessLimits
  private readonly key: KeyLimits
  private readonly keys: ReadonlyMap<string, KeyLimits>
  private readonly tenant: TenantLimits
  private readonly tenants: ReadonlyMap<string, TenantLimits>

  /** Throws config/invalid and config/unknown-key, saying what is wrong and what would be right. */
  constructor (given: Given = {}, file = 'limits') {
    const read = <P extends Parameters<typeof readOptions>[1]['properties']>(path: string, schema: Parameters<typeof readOptions<P>>[1], value: unknown): Values<P> => {
      const { values, problems: [problem] } = readOptions<P>(path, schema, value)
      if (problem !== undefined) throw new MillraceError(problem.code, `${file}: ${problem.message}`, { help: problem.help })
      return values
    }
    const named = <P extends Parameters<typeof readOptions>[1]['properties']>(section: string, schema: Parameters<typeof readOptions<P>>[1], all: unknown, base: object): ReadonlyMap<string, Values<P>> =>
      new Map(Object.entries(mapOf(all, section, file)).map(([name, more]) => [name, read<P>(`${section}.${name}`, schema, { ...base, ...mapOf(more, `${section}.${name}`, file) })]))
    const { key, keys, tenant, tenants, process, ...rest } = mapOf(given, 'the file', file) as Given
    const [odd] = Object.keys(rest)
    if (odd !== undefined) throw new MillraceError('config/unknown-key', `${file}: there is no "${odd}"`, { help: 'key, keys, tenant, tenants, process' })
    this.key = read('key', ofKey, key)
    this.keys = named('keys', ofKey, keys, this.key)
    this.tenant = read('tenant', ofTenant, tenant)
    this.tenants = named('tenants', ofTenant, tenants, this.tenant)
    this.process = read('process', ofProcess, process)
  }

  ofKey (id: string): KeyLimits { return this.keys.get(id) ?? this.key }
  /** `tenant` undefined or null: what belongs to none. */
  ofTenant (tenant: string | null | undefined): TenantLimits { return tenant === undefined || tenant === null ? this.tenant : this.tenants.get(tenant) ?? this.tenant }
}

/** Limits from a file of YAML. */
export const readLimits = (file: string): Limits => new Limits(readSettings(file, 'limits') as Given, file)

function mapOf (value: unknown, what: string, file: string): Record<string, unknown> {
  if (value === undefined || value === null) return {}
  if (typeof value !== 'object' || Array.isArray(value)) throw new MillraceError('config/invalid', `${file}: ${what} is no map`, { help: 'such as tenant: { readings: 2000 }' })
  return value as Record<string, unknown>
}
