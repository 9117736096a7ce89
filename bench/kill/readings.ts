/** What is published, by the number of its message: publisher and checker work it out, each for itself. */

/** What a run publishes. */
export interface Plan {
  readonly seed: number
  readonly series: number
  readonly rate: number              // messages/s of all series together
  readonly start: number             // event time of every series' reading 0, us since 1970
}

/** One reading of one series: `n` counts them by event time. */
export interface Reading { readonly series: number, readonly n: number }

const METRICS = 4                    // of a device
/** How far apart readings are that a series sends in swapped order: some series next to each other, a few so far that one of them is late. */
const swap = (series: number): number => series % 8 === 3 ? 1 : series % 16 === 9 ? 32 : 0

export const readingOf = (plan: Plan, message: number): Reading => {
  const series = message % plan.series, i = Math.floor(message / plan.series)
  return { series, n: i ^ swap(series) }
}
export const messageOf = (plan: Plan, { series, n }: Reading): number => (n ^ swap(series)) * plan.series + series

/** us of event time from one reading of a series to the next: as far apart as they are sent. */
export const stepOf = (plan: Plan): number => Math.round(plan.series / plan.rate * 1e6)
export const microsOf = (plan: Plan, n: number): number => plan.start + n * stepOf(plan)

export const deviceOf = (series: number): number => Math.floor(series / METRICS)
export const nameOf = (series: number): string => `d${deviceOf(series)}/m${series % METRICS}`
/** The series of a name; -1 for any other name. */
export function seriesOf (name: string): number {
  const [, device, metric] = /^d(\d+)\/m([0-3])$/.exec(name) ?? []
  return device === undefined ? -1 : Number(device) * METRICS + Number(metric)
}

/** Above this a reading belongs to a spell, which the alert is for. */
export const HIGH = 45
const SPELL = 6                      // readings that are high, or not, together

/** A wave with noise, and now and then a spell 40 higher. Three decimals. */
export function valueOf ({ seed }: Plan, { series, n }: Reading): number {
  const spell = uniform(seed, series, Math.floor(n / SPELL), 1) < 0.08 ? 40 : 0
  return Math.round((20 + series % 7 + 5 * Math.sin(n / 17 + series) + 2 * uniform(seed, series, n, 2) + spell) * 1000) / 1000
}

export const payloadOf = (plan: Plan, reading: Reading): string => `{"ts":${microsOf(plan, reading.n)},"value":${valueOf(plan, reading)}}`

/** A number in [0, 1) that depends on all of these (murmur3's mixing). */
export function uniform (...of: readonly number[]): number {
  let h = 0x9747b28c
  for (const x of of) {
    h = Math.imul(h ^ Math.imul(x, 0xcc9e2d51), 0x1b873593)
    h = Math.imul(h ^ h >>> 16, 0x85ebca6b)
    h = Math.imul(h ^ h >>> 13, 0xc2b2ae35)
    h ^= h >>> 16
  }
  return (h >>> 0) / 2 ** 32
}
