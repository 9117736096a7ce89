import type { PastRecords } from './history.ts'

/** For whom it is asked: for one tenant nothing of another one can come or change, whatever a statement says; undefined: every tenant. `request`: its id. */
export interface Asker { readonly tenant: string | undefined, readonly request?: string | undefined }

/** What the query plane asks of a database. `tenant` undefined: every tenant; times are ms since 1970. Answers come in the order said, at most `limit` rows, with where to go on. */
export interface Page { readonly limit: number, readonly after?: string | undefined }
export interface Found<T> { readonly rows: readonly T[], readonly next: string | undefined }

/** Which series: equal names, or all; `tags`: devices that have all of these. */
export interface SeriesFilter { readonly tenant: string | undefined, readonly device?: string | undefined, readonly metric?: string | undefined, readonly site?: string | undefined, readonly type?: string | undefined, readonly tags?: Readonly<Record<string, string>> | undefined }
export interface SeriesRow { readonly tenant: string, readonly device: string, readonly metric: string, readonly unit: string | null, readonly type: string | null, readonly site: string | null, readonly tags: Readonly<Record<string, string>> }
/** One series by its whole name. */
export interface OneSeries { readonly tenant: string, readonly device: string, readonly metric: string }
/** The column that every table has: which message made the row, as a number in its log. */
export const POSITION = 'position'
/** A table of a running pipeline and the columns that are asked of it: neither comes from outside unchecked. */
export interface TableColumns { readonly table: string, readonly kind: 'readings' | 'windows', readonly columns: readonly string[] }
export interface Range { readonly from: number, readonly to: number }      // [from, to)

/** `time` is ISO 8601 with microseconds; numbers are null where there is no value. */
export type Row = Readonly<Record<string, string | number | null>>
export interface Bucket { readonly time: string, readonly count: number, readonly min: number | null, readonly max: number | null, readonly mean: number | null }

/** Which alerts: equal names, or all; `open`: beginnings that have no end yet, or all else; `acknowledged`: those that somebody looks after, or all else. */
export interface AlertFilter { readonly tenant: string | undefined, readonly pipeline?: string | undefined, readonly alert?: string | undefined, readonly device?: string | undefined, readonly state?: string | undefined, readonly severity?: string | undefined, readonly open?: boolean | undefined, readonly acknowledged?: boolean | undefined }
/** A transition of an incident, and what has become of it with each receiver. Times are ISO 8601. */
export interface AlertRow {
  readonly id: string, readonly incident: string, readonly state: string, readonly tenant: string, readonly pipeline: string, readonly alert: string, readonly severity: string, readonly device: string, readonly metric: string
  readonly since: string, readonly time: string, readonly value: number | null, readonly evidence: Readonly<Record<string, unknown>>, readonly message: string, readonly details: Readonly<Record<string, unknown>>, readonly stale: boolean, readonly position: number, readonly origin: string
  readonly deliveries: readonly { readonly receiver: string, readonly state: string, readonly attempts: number, readonly error: string | null }[]
}

/** What is to be exported: rows of any series that fit, final ones; `since`: only those committed since the place of another export. */
export interface ExportAsked { readonly table: TableColumns, readonly series: SeriesFilter, readonly range: Range, readonly since?: string | undefined }
/** `place` stands for all rows that were committed when it began; `pages`: those, by series and time, a few at a time. Whoever does not read to the end closes it. */
export interface Exported { readonly place: string, readonly pages: AsyncIterable<readonly Row[]>, readonly close: () => Promise<void> }

/** Readings of a table in [from, to) of event time, ms, of one tenant or all, in the order in which they arrived; `writer`: the pipeline that writes it. */
export interface PastAsked { readonly table: string, readonly writer: string, readonly from?: number | undefined, readonly to?: number | undefined, readonly tenant?: string | undefined }
/** `place`: how far the writer had come when these were all its rows. Whoever does not read to the end closes it. */
export interface PastFound { readonly place: { readonly origin: string | undefined, readonly position: number | undefined }, readonly records: PastRecords, readonly close: () => Promise<void> }
/** Which devices, in which range, in parts of `every` ms. */
export interface ReportAsked { readonly table: TableColumns, readonly devices: Omit<SeriesFilter, 'metric'>, readonly range: Range, readonly every: number, readonly limit: number }
/** Alerts of one name of one pipeline, of one device. `seconds` that they fired in the range; the rest counts incidents: `real` and `falseAlarm` as people have said, `verdicts` as the pipeline did. */
export interface AlertSummary { readonly pipeline: string, readonly alert: string, readonly severity: string, readonly fired: number, readonly open: number, readonly seconds: number, readonly real: number, readonly falseAlarm: number, readonly notJudged: number, readonly verdicts: Readonly<Record<string, number>> }
/** `late` counts each reading once, in however many windows it was late; `availability`: share of parts in which it was heard, 0 to 1; `longestGap` in s; `anomalies` and `suspect` count readings, by column. */
export interface DeviceReport {
  readonly tenant: string, readonly device: string, readonly site: string | null, readonly type: string | null, readonly series: number, readonly readings: number, readonly missing: number, readonly late: number
  readonly availability: number | null, readonly longestGap: number, readonly anomalies: Readonly<Record<string, number>>, readonly suspect: Readonly<Record<string, number>>, readonly alerts: readonly AlertSummary[]
}
/** Devices by tenant and name; `every` in s. */
export interface Report { readonly from: string, readonly to: string, readonly every: number, readonly table: string, readonly devices: readonly DeviceReport[], readonly truncated: boolean }

/** Reads what pipelines have written. Never sees what is not committed. */
export interface Query {
  /** The same, asked for somebody. */
  as (asker: Asker): Query
  /** By id: the order in which they appeared. */
  series (filter: SeriesFilter, page: Page): Promise<Found<SeriesRow>>
  /** The newest row of each series that has one, by id. */
  latest (table: TableColumns, filter: SeriesFilter, page: Page): Promise<Found<Row>>
  /** By time. undefined: there is no such series. */
  rows (table: TableColumns, series: OneSeries, range: Range, page: Page): Promise<Found<Row> | undefined>
  /** The range in so many parts of equal length; those without a value are left out. The mean is of values up to 1e290 in size, so that their sum is a number. undefined: there is no such series. */
  buckets (table: TableColumns, series: OneSeries, range: Range, count: number): Promise<readonly Bucket[] | undefined>
  /** Rejects with api/busy while others of the same tenant, or many of all, are under way. */
  export (asked: ExportAsked): Promise<Exported>
  /** Transitions by event time, the newest first. */
  alerts (filter: AlertFilter, range: Range, page: Page): Promise<Found<AlertRow>>
  past (asked: PastAsked): Promise<PastFound>
  report (asked: ReportAsked): Promise<Report>
  close (): Promise<void>
}
