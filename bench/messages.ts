/** What benchmarks of ingestion publish: both ends work it out from the number of a message. */
export interface Order {
  readonly prefix: string            // of the topic: <prefix>/device-17/metric-3
  readonly qos: 0 | 1
  readonly from: number              // number of the first message
  readonly count: number
  readonly rate: number              // messages/s; 0: as fast as the broker takes them
  readonly readings: number          // of a message
}
export const SERIES = 200, METRICS = 10
export const STEP = 200              // microseconds of event time from one reading to the next
export const HIGH = 500              // a value above it is an incident
const SHIFT = 10_000_000 / (SERIES / METRICS)      // microseconds between the clocks of two devices: windows of 10 s close all the time, and not all at once
const RARE = 2503                    // every so many readings one is an incident; with SERIES it has no factor

export const deviceOf = (n: number): number => Math.floor(n % SERIES / METRICS)
export const topicOf = (prefix: string, n: number): string => `${prefix}/device-${deviceOf(n)}/metric-${n % METRICS}`
/** Reading `n`, of series n % SERIES: a level, noise in eighths, and now and then far too much. */
export const valueOf = (n: number): number => isHigh(n) ? 900 : 50 + n % SERIES % 17 + n * 7919 % 100_003 % 64 / 8
export const isHigh = (n: number): boolean => n % RARE === RARE - 1
/** Microseconds since 1970; `start`: the same of reading 0. */
export const timeOf = (start: number, n: number): number => start + n * STEP - deviceOf(n) * SHIFT
/** The `i`-th of `readings` in message `m`: all of one series, one after the other. */
export const readingOf = (m: number, readings: number, i: number): number => (Math.floor(m / SERIES) * readings + i) * SERIES + m % SERIES

/** One as an object, several as columns. */
export function payloadOf (start: number, m: number, readings: number): string {
  if (readings === 1) return `{"ts":${timeOf(start, m) / 1000},"value":${valueOf(m)}}`
  const all = Array.from({ length: readings }, (_, i) => readingOf(m, readings, i))
  return `{"t":[${all.map(n => timeOf(start, n) / 1000).join(',')}],"v":[${all.map(valueOf).join(',')}]}`
}
