/** A column of numbers. NaN means "no value"; null and undefined never enter a column. */
export type Numbers = Readonly<Float64Array>
/** A column of ids. */
export type Ids = Readonly<Int32Array>

/**
 * How far event time has come, per device: the only thing that closes windows.
 *
 * Entry k says: with the record at position[k], device[k] has reached time[k]; nothing older is waited for.
 * Entries stand in the order of the log, so what they cause is the same however the stream is cut into batches.
 * Operators hand it on untouched, also when they drop the rows that moved it.
 */
export interface Progress {
  readonly device: Ids
  readonly time: Numbers            // event time, ms since 1970, lateness already taken off; Infinity at the end of a stream
  readonly position: Numbers
  readonly silent: Ids              // devices that a tick found silent for `idle`: what they have open is written provisionally
  readonly forgotten: Ids           // devices silent for `forget`: what they have open becomes final
  readonly tick: number             // position of the record that the tick followed
  readonly quiet: Ids               // devices that a tick found unheard for `silence`: told at `idle` and whenever that has doubled
  readonly silence: Numbers         // ms of the ingest clock, of each of them
  readonly resumed: boolean         // nobody has listened until now: what may be missing is nobody's silence
}

const none = new Int32Array(0)
export const noProgress: Progress = { device: none, time: new Float64Array(0), position: new Float64Array(0), silent: none, forgotten: none, tick: NaN, quiet: none, silence: new Float64Array(0), resumed: false }

export interface Rows<C extends string = never> {
  readonly time: Numbers
  readonly series: Ids
  readonly value: Numbers
  readonly columns?: { readonly [K in C]: Numbers }
  readonly arrival?: Numbers
  readonly position?: Numbers
  readonly progress?: Progress
  readonly watermark?: number
  readonly provisional?: Batch<any> | undefined
}

/**
 * A micro-batch of readings, one typed array per field. Row i is the reading (time[i], series[i], value[i])
 * plus whatever columns operators have added. About 1,000 rows are enough for full speed.
 *
 * Batches are values: an operator returns a new one and never writes to a column it was given.
 * A batch without rows is ordinary: it may still carry progress.
 */
export class Batch<C extends string = never> {
  readonly time: Numbers            // event time, ms since 1970 with a fraction, exact to the microsecond
  readonly series: Ids              // dense id of this process, see SeriesTable
  readonly value: Numbers
  readonly columns: { readonly [K in C]: Numbers }
  readonly arrival: Numbers         // progress of the row's own device just before the row arrived: decides lateness, per row
  readonly position: Numbers        // number in the log of the record that made this row, or that closed its window
  readonly progress: Progress
  readonly watermark: number        // the least progress of any device; for metrics, closes nothing
  readonly provisional: Batch<any> | undefined   // rows of windows still open on silent devices: written, seen by no operator

  constructor (rows: Rows<C>) {
    this.time = rows.time
    this.series = rows.series
    this.value = rows.value
    this.columns = rows.columns ?? {} as { readonly [K in C]: Numbers }
    this.arrival = rows.arrival ?? new Float64Array(rows.time.length).fill(-Infinity)
    this.position = rows.position ?? new Float64Array(rows.time.length)
    this.progress = rows.progress ?? noProgress
    this.watermark = rows.watermark ?? -Infinity
    this.provisional = rows.provisional
  }

  get length (): number { return this.time.length }

  /** A column by its name: `value` or one that an operator has added. */
  column (name: C | 'value'): Numbers { return name === 'value' ? this.value : this.columns[name as C] }

  /** The same rows with columns added or replaced. Nothing is copied. */
  with<A extends string> (added: { readonly [K in A]: Numbers }): Batch<C | A> {
    return new Batch<C | A>({ ...(this as Batch<any>), columns: { ...this.columns, ...added } as { readonly [K in C | A]: Numbers } })
  }

  /** The same rows with other values; columns stay. */
  withValue (value: Numbers): Batch<C> { return new Batch<C>({ ...(this as Batch<C>), value }) }

  /** The rows for which keep(i) holds, packed. The same batch when all are kept. */
  filter (keep: (row: number) => boolean): Batch<C> {
    const rows = new Int32Array(this.length)
    let n = 0
    for (let i = 0; i < this.length; i++) if (keep(i)) rows[n++] = i
    return n === this.length ? this : this.take(rows.subarray(0, n))
  }

  /** The given rows, in the given order. Progress, watermark and provisional rows stay. */
  take (rows: Ids): Batch<C> {
    const columns: Record<string, Numbers> = {}
    for (const name in this.columns) columns[name] = pick(this.columns[name], rows)
    const series = new Int32Array(rows.length)
    for (let i = 0; i < rows.length; i++) series[i] = this.series[rows[i]]
    return new Batch<C>({
      time: pick(this.time, rows),
      series,
      value: pick(this.value, rows),
      columns: columns as { readonly [K in C]: Numbers },
      arrival: pick(this.arrival, rows),
      position: pick(this.position, rows),
      progress: this.progress,
      watermark: this.watermark,
      provisional: this.provisional
    })
  }
}

function pick (from: Numbers, rows: Ids): Numbers {
  const to = new Float64Array(rows.length)
  for (let i = 0; i < rows.length; i++) to[i] = from[rows[i]]
  return to
}
