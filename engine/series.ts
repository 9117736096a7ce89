import { partitionOf } from './partition.ts'
import { isSimulated } from './simulated.ts'

/** Tags of a device: type, site and whatever else topics or a file say about it. */
export type Tags = Readonly<Record<string, string>>
export interface SeriesName { readonly tenant: string, readonly device: string, readonly metric: string }

/**
 * (tenant, device, metric) <-> small integer. Ids are dense, given in order of appearance and valid in this process only;
 * stores keep durable ids of their own. Room for `capacity` series is reserved at the start and never copied. 24 bytes per series,
 * 24 and its names per device.
 */
export class SeriesTable {
  readonly capacity: number
  readonly deviceOf: Int32Array          // series -> device
  readonly partitionOf: Uint8Array       // device -> its partition
  size = 0                               // how many series there are
  devices = 0                            // how many devices there are
  readonly tagged: Int32Array            // device -> how often its tags have changed
  private readonly first: Int32Array     // device -> its first series + 1
  private readonly last: Int32Array
  private readonly next: Int32Array      // series -> the next series of its device + 1
  private readonly metricOf: Int32Array  // series -> metric
  private readonly places: Int32Array    // hash table of (device, metric): series + 1, at the first free place from where it belongs
  // Columns and few objects, since a collector of garbage looks at each: a device is a name, a tenant and tags, a metric a name.
  private readonly names: string[] = []
  private readonly tenantOf: string[] = []
  private readonly tagsOf: Tags[] = []
  private readonly metrics: string[] = []
  private readonly metricIds = new NameTable()
  private readonly tenants = new Map<string, NameTable>()
  private readonly counts = new Map<string, number>()          // tenant -> series
  /** How many series a tenant may have; those that are there stay. A tenant that has as many gets no device more either, so that it takes nobody's room. */
  most: (tenant: string) => number = () => Infinity

  constructor (capacity = 100_000) {
    this.capacity = capacity
    this.deviceOf = new Int32Array(capacity)
    this.partitionOf = new Uint8Array(capacity)
    this.tagged = new Int32Array(capacity)
    this.first = new Int32Array(capacity)
    this.last = new Int32Array(capacity)
    this.next = new Int32Array(capacity)
    this.metricOf = new Int32Array(capacity)
    this.places = new Int32Array(2 ** Math.ceil(Math.log2(2 * capacity + 1)))
  }

  /** Has the tenant as many series as it may have? */
  isFull (tenant: string): boolean { return (this.counts.get(tenant) ?? 0) >= this.most(tenant) }

  /** The id of a device, new or known; -1 when the table is full, or the tenant's part of it. */
  device (tenant: string, device: string): number {
    let named = this.tenants.get(tenant)
    const known = named?.get(device)
    if (known !== undefined) return known
    if (this.devices === this.capacity || this.isFull(tenant)) return -1
    if (named === undefined) this.tenants.set(tenant, named = new NameTable())
    const id = this.devices++
    named.set(device, id)
    this.partitionOf[id] = partitionOf(tenant, device)
    this.names.push(device)
    this.tenantOf.push(tenant)
    this.tagsOf.push(isSimulated(device) ? SIMULATED_TAGS : NO_TAGS)
    return id
  }

  /** The id of a device that there is already; -1 when there is none. */
  known (tenant: string, device: string): number { return this.tenants.get(tenant)?.get(device) ?? -1 }

  /** The id of a series, new or known; -1 when the table is full. */
  id (tenant: string, device: string, metric: string): number {
    const d = this.device(tenant, device)
    return d < 0 ? -1 : this.of(d, metric)
  }

  /** The id of a device's metric, new or known; -1 when the table is full. */
  of (device: number, metric: string): number {
    let number = this.metricIds.get(metric)
    const place = number === undefined ? -1 : this.place(device, number)
    if (place >= 0 && this.places[place] !== 0) return this.places[place] - 1
    const tenant = this.tenantOf[device]
    if (this.size === this.capacity || this.isFull(tenant)) return -1
    this.counts.set(tenant, (this.counts.get(tenant) ?? 0) + 1)
    if (number === undefined) this.metricIds.set(metric, number = this.metrics.push(metric) - 1)
    const id = this.size++
    this.places[place < 0 ? this.place(device, number) : place] = id + 1
    this.metricOf[id] = number
    this.deviceOf[id] = device
    if (this.first[device] === 0) this.first[device] = id + 1
    else this.next[this.last[device]] = id + 1
    this.last[device] = id
    return id
  }

  /** Where (device, metric) stands, or would. */
  private place (device: number, metric: number): number {
    const { places, deviceOf, metricOf } = this, mask = places.length - 1
    let place = mix(device, metric) & mask
    for (; places[place] !== 0; place = place + 1 & mask) {
      const s = places[place] - 1
      if (deviceOf[s] === device && metricOf[s] === metric) break
    }
    return place
  }

  /** A device's metric if it is known already, else -1. */
  find (device: number, metric: string): number {
    const number = this.metricIds.get(metric)
    return number === undefined ? -1 : this.places[this.place(device, number)] - 1
  }

  name (series: number): SeriesName {
    const device = this.deviceOf[series]
    return { tenant: this.tenantOf[device], device: this.names[device], metric: this.metric(series) }
  }
  metric (series: number): string { return this.metrics[this.metricOf[series]] }
  deviceName (device: number): { readonly tenant: string, readonly device: string, readonly tags: Tags } {
    return { tenant: this.tenantOf[device], device: this.names[device], tags: this.tagsOf[device] }
  }
  tags (device: number): Tags { return this.tagsOf[device] }

  /** Adds tags to a device; what it has stays unless named again. Returns whether anything is new. */
  tag (device: number, tags: Tags): boolean {
    const had = this.tagsOf[device]
    const changed = Object.entries(tags).some(([key, value]) => had[key] !== value)
    if (changed) {
      this.tagsOf[device] = { ...had, ...tags }
      this.tagged[device]++
    }
    return changed
  }

  /** The series of a device, in order of appearance: `for (let s = firstOf(d); s >= 0; s = nextOf(s))`. */
  firstOf (device: number): number { return this.first[device] - 1 }
  nextOf (series: number): number { return this.next[series] - 1 }
}

const SIMULATED_TAGS: Tags = { simulated: 'true' }, NO_TAGS: Tags = {}

const FEW = 1024

/** Names and their numbers, in a map while they are few, and then in 64: a map is copied when it doubles, and one of a million names would take 0.2 s for it. */
class NameTable {
  private maps: Map<string, number>[] = [new Map()]

  get (name: string): number | undefined { return this.mapOf(name).get(name) }

  set (name: string, number: number): void {
    const [few] = this.maps
    if (this.maps.length === 1 && few.size >= FEW) {
      this.maps = Array.from({ length: 64 }, () => new Map())
      for (const [known, id] of few) this.mapOf(known).set(known, id)
    }
    this.mapOf(name).set(name, number)
  }

  private mapOf (name: string): Map<string, number> { return this.maps.length === 1 ? this.maps[0] : this.maps[part(name)] }
}

/** By the last two characters, which differ most. */
const part = (name: string): number => name.charCodeAt(name.length - 1) * 7 + name.charCodeAt(name.length - 2) & 63      // of a name without them 0

/** Of two small numbers one that looks like chance: constants of MurmurHash3. */
function mix (a: number, b: number): number {
  const x = Math.imul(Math.imul(a, 0x9e3779b1) ^ b, 0x85ebca6b), y = Math.imul(x ^ x >>> 15, 0xc2b2ae35)
  return (y ^ y >>> 16) >>> 0
}
