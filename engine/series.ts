import { partitionOf } from './partition.ts'
import { isSimulated } from './simulated.ts'

/** Tags of a device: type, site and whatever else topics or a file say about it. */
export type Tags = Readonly<Record<string, string>>
export interface SeriesName { readonly tenant: string, readonly device: string, readonly metric: string }

/**
 * (tenant, device, metric) <-> small integer. Ids are dense, given in order of appearance and valid in this process only;
 * stores keep durable ids of their own. Room for `capacity` series is reserved at the start and never copied.
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
  private readonly metrics: string[] = []
  private readonly deviceNames: { readonly tenant: string, readonly device: string, tags: Tags, readonly series: Map<string, number> }[] = []
  private readonly tenants = new Map<string, Map<string, number>>()
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
  }

  /** Has the tenant as many series as it may have? */
  isFull (tenant: string): boolean { return (this.counts.get(tenant) ?? 0) >= this.most(tenant) }

  /** The id of a device, new or known; -1 when the table is full, or the tenant's part of it. */
  device (tenant: string, device: string): number {
    let named = this.tenants.get(tenant)
    if (named === undefined) this.tenants.set(tenant, named = new Map())
    let id = named.get(device)
    if (id === undefined) {
      if (this.devices === this.capacity || this.isFull(tenant)) return -1
      id = this.devices++
      named.set(device, id)
      this.partitionOf[id] = partitionOf(tenant, device)
      this.deviceNames.push({ tenant, device, tags: isSimulated(device) ? SIMULATED_TAGS : {}, series: new Map() })
    }
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
    const { series, tenant } = this.deviceNames[device]
    let id = series.get(metric)
    if (id === undefined) {
      if (this.size === this.capacity || this.isFull(tenant)) return -1
      this.counts.set(tenant, (this.counts.get(tenant) ?? 0) + 1)
      id = this.size++
      series.set(metric, id)
      this.metrics.push(metric)
      this.deviceOf[id] = device
      if (this.first[device] === 0) this.first[device] = id + 1
      else this.next[this.last[device]] = id + 1
      this.last[device] = id
    }
    return id
  }

  /** A device's metric if it is known already, else -1. */
  find (device: number, metric: string): number { return this.deviceNames[device].series.get(metric) ?? -1 }

  name (series: number): SeriesName {
    const { tenant, device } = this.deviceNames[this.deviceOf[series]]
    return { tenant, device, metric: this.metrics[series] }
  }
  metric (series: number): string { return this.metrics[series] }
  deviceName (device: number): { readonly tenant: string, readonly device: string, readonly tags: Tags } { return this.deviceNames[device] }
  tags (device: number): Tags { return this.deviceNames[device].tags }

  /** Adds tags to a device; what it has stays unless named again. Returns whether anything is new. */
  tag (device: number, tags: Tags): boolean {
    const entry = this.deviceNames[device]
    const changed = Object.entries(tags).some(([key, value]) => entry.tags[key] !== value)
    if (changed) {
      entry.tags = { ...entry.tags, ...tags }
      this.tagged[device]++
    }
    return changed
  }

  /** The series of a device, in order of appearance: `for (let s = firstOf(d); s >= 0; s = nextOf(s))`. */
  firstOf (device: number): number { return this.first[device] - 1 }
  nextOf (series: number): number { return this.next[series] - 1 }
}

const SIMULATED_TAGS: Tags = { simulated: 'true' }
