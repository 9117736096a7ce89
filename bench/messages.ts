/** What `ingest` publishes: both ends work it out from the number of a message. */
export interface Order {
  readonly prefix: string            // of the topic: <prefix>/device-17/metric-3
  readonly qos: 0 | 1
  readonly from: number              // number of the first message
  readonly count: number
  readonly rate: number              // messages/s
}
const SERIES = 1000
export const STEP = 200              // microseconds of event time from one message to the next

export const topicOf = (prefix: string, n: number): string => `${prefix}/device-${Math.floor(n % SERIES / 10)}/metric-${n % 10}`
export const valueOf = (n: number): number => (n * 7919 % 100_003) / 8
/** `start`: event time of message 0 in microseconds since 1970. */
export const payloadOf = (start: number, n: number): string => `{"ts":${(start + n * STEP) / 1000},"value":${valueOf(n)}}`
