export type Severity = 'info' | 'warning' | 'critical'

/** One transition of one incident, as it is stored and sent. */
export interface AlertEvent {
  readonly id: string                // incident id + '.' + state: the same whenever the same data is processed again
  readonly incident: string          // base32 of sha256(tenant, pipeline, alert, device, metric, since, ordinal)
  readonly state: 'firing' | 'resolved'
  readonly tenant: string
  readonly pipeline: string
  readonly alert: string
  readonly severity: Severity
  readonly device: string
  readonly metric: string
  readonly since: number             // event time at which the condition began to hold (pending), ms
  readonly time: number              // event time of this transition, ms
  readonly value: number | null      // the reading that made it
  readonly evidence: Readonly<Record<string, number | null>>   // the columns that the condition reads, at that reading
  readonly message: string           // one sentence for a person: what, where, how much, compared with what
  readonly position: number
}
