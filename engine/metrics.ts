/** What Prometheus sees. Everything is read from the runs when it is scraped; the hot path knows nothing of it. The only file that imports prom-client. */
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'
import type { Attempts } from './attempts.ts'
import type { Run } from './run.ts'
import { version } from './version.ts'

export interface Metrics { readonly contentType: string, text (): Promise<string> }

/** `attempts`: those of the whole process. */
export function openMetrics (runs: () => readonly Run[], attempts: Attempts): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })

  type Set = (labels: Record<string, string>, value: number) => void
  const counter = (name: string, help: string, labels: readonly string[], read: (run: Run, set: Set) => void) => new Counter({
    name, help, labelNames: ['pipeline', ...labels], registers: [registry],
    collect () {
      this.reset()
      for (const run of runs()) read(run, (labels, value) => this.inc({ pipeline: run.pipeline.name, ...labels }, value))
    }
  })
  const gauge = (name: string, help: string, labels: readonly string[], read: (run: Run, set: Set) => void) => new Gauge({
    name, help, labelNames: ['pipeline', ...labels], registers: [registry],
    collect () {
      this.reset()
      for (const run of runs()) read(run, (labels, value) => this.set({ pipeline: run.pipeline.name, ...labels }, value))
    }
  })

  counter('millrace_readings_total', 'Readings by branch and fate, as committed. received + derived = all the others + millrace_in_flight_readings.', ['branch', 'fate'], (run, set) => {
    for (const [branch, { rows: _, ...fates }] of Object.entries(run.counts)) for (const [fate, n] of Object.entries(fates) as [string, number][]) set({ branch, fate }, fate === 'received' && branch === '' ? run.received : n)
  })
  counter('millrace_feature_rows_total', 'Rows of windows written, by branch.', ['branch'], (run, set) => {
    for (const [branch, { rows }] of Object.entries(run.counts)) set({ branch }, rows)
  })
  counter('millrace_dead_letters_total', 'Dead letters of this process, by reason.', ['reason'], (run, set) => {
    for (const [reason, n] of Object.entries(run.observed.reasons)) set({ reason }, n)
  })
  gauge('millrace_in_flight_readings', 'Readings received but not yet committed.', [], (run, set) => set({}, run.inFlight))
  gauge('millrace_accounting_imbalance_readings', 'By how much the accounting identity is off. Anything but 0 is a bug.', [], (run, set) => set({}, run.imbalance))
  counter('millrace_step_rows_total', 'Rows into and out of a step.', ['branch', 'step', 'direction'], (run, set) => {
    for (const { branch, id, in: rowsIn, out } of run.flow?.steps ?? []) {
      set({ branch, step: id, direction: 'in' }, rowsIn)
      set({ branch, step: id, direction: 'out' }, out)
    }
  })
  counter('millrace_step_busy_seconds_total', 'Time spent inside a step.', ['branch', 'step'], (run, set) => {
    for (const { branch, id, ns } of run.flow?.steps ?? []) set({ branch, step: id }, ns / 1e9)
  })
  counter('millrace_step_slow_batches_total', 'Batches of which a row took longer than 5 ms in a step.', ['branch', 'step'], (run, set) => {
    for (const { branch, id, slow } of run.flow?.steps ?? []) set({ branch, step: id }, slow)
  })
  gauge('millrace_buffer_bytes', 'Bytes read but not yet committed.', [], (run, set) => set({}, run.credits.used))
  gauge('millrace_buffer_capacity_bytes', 'Bytes at which the source stops reading.', [], (run, set) => set({}, run.credits.limit))
  counter('millrace_source_events_total', 'What has happened at the source that should be known: redelivery_suppressed (sent again, and stored already), record_lost (read too late), session_lost (by the broker), redelivery_forgotten (would not be recognised any more if it were sent again), request_repeated (came again under its Idempotency-Key), request_put_off (no room), publish_held (of a tenant beyond its quota), key_forgotten (would not be recognised any more), key_refused (the other instances could not be asked for a key), key_alone (taken without asking them), key_twice (stands in the log of another instance too).', ['event'], (run, set) => {
    for (const [event, n] of Object.entries(run.source?.events?.() ?? {})) set({ event }, n)
  })
  counter('millrace_store_events_total', 'What has happened at the store that should be known: retention_put_off (what is too old could not be removed, as others use the table).', ['event'], (run, set) => {
    for (const [event, n] of Object.entries(run.store?.events ?? {})) set({ event }, n)
  })
  gauge('millrace_log_bytes', 'Bytes of the write-ahead log of the source that a pipeline still needs.', [], (run, set) => { if (run.journal !== undefined) set({}, run.journal.needed) })
  gauge('millrace_log_capacity_bytes', 'Bytes at which the source is not read any more.', [], (run, set) => { if (run.journal !== undefined) set({}, run.journal.budget) })
  gauge('millrace_log_waiting_records', 'Records of the log that wait to be processed.', [], (run, set) => { if (run.source?.behind !== undefined) set({}, run.source.behind()) })
  counter('millrace_snapshots_total', 'Snapshots completed by this process.', [], (run, set) => set({}, run.checkpoints?.complete ?? 0))
  gauge('millrace_series', 'Series known.', [], (run, set) => set({}, run.series.size))
  gauge('millrace_devices', 'Devices known.', [], (run, set) => set({}, run.series.devices))
  gauge('millrace_position', 'Last committed position.', [], (run, set) => set({}, run.position))
  gauge('millrace_ready', '1 when nothing is in trouble.', [], (run, set) => set({}, Object.keys(run.trouble()).length === 0 ? 1 : 0))
  counter('millrace_alerts_sent_total', 'Deliveries of alerts to receivers, by outcome.', ['outcome'], (run, set) => {
    for (const [outcome, n] of Object.entries(run.dispatcher?.counts ?? {})) set({ outcome }, n)
  })
  counter('millrace_alerts_total', 'Transitions of alerts, by state: firing, resolved, and stale for those that fire on a backlog, or end without that anybody was told.', ['state'], (run, set) => {
    for (const [state, n] of Object.entries(run.observed.alerts)) set({ state }, n)
  })
  for (const [name, help, pick] of [
    ['millrace_commit_duration_seconds', 'Duration of commits, of the last one to two minutes; 0 when there were none.', (run: Run) => run.observed.commits],
    ['millrace_event_to_row_seconds', 'From the event time of a reading to its committed row, of the last one to two minutes; 0 when there were none.', (run: Run) => run.observed.latency]
  ] as const) {
    gauge(name, help, ['quantile'], (run, set) => { for (const q of [0.5, 0.9, 0.99]) set({ quantile: String(q) }, pick(run).percentile(q * 100) / 1e6) })
  }
  new Counter({
    name: 'millrace_attempts_total', help: 'Attempts to come in over HTTP or to the embedded broker that came to nothing: failed (a wrong or unknown key, token or password), put_off (not tried, as too many had failed).', labelNames: ['outcome'], registers: [registry],
    collect () {
      this.reset()
      for (const [outcome, n] of Object.entries(attempts.counts)) this.inc({ outcome }, n)
    }
  })
  const info = new Gauge({ name: 'millrace_build_info', help: 'Always 1.', labelNames: ['version', 'node'], registers: [registry] })
  info.set({ version, node: process.versions.node }, 1)

  return { contentType: registry.contentType, text: () => registry.metrics() }
}
