import { SeriesTable, Watermarks, type Batch, type Host, type Numbers, type Operator } from '#engine'

/** A reading as tests write it: second, device/metric, value. */
export type Given = readonly [second: number, series: string, value: number]
export interface Got { readonly at: number, readonly series: string, readonly value: number, readonly [column: string]: number | string }

export function rowsOf (batch: Batch<any>, table: SeriesTable): Got[] {
  const columns = Object.entries(batch.columns as Record<string, Numbers>), names = new Map<number, string>()
  const rows: Got[] = []
  for (let i = 0; i < batch.length; i++) {
    const id = batch.series[i]
    if (!names.has(id)) names.set(id, `${table.name(id).device}/${table.name(id).metric}`)
    const row: { at: number, series: string, value: number, [column: string]: number | string } = { at: batch.time[i] / 1000, series: names.get(id)!, value: batch.value[i] }
    for (const [name, column] of columns) row[name] = column[i]
    rows.push(row)
  }
  return rows
}

/** A source, a clock and one operator: readings go in, rows come out. */
export function bench (operator: Operator, { lateness = 0, idle = 30, forget = 3600, capacity = 100, table = new SeriesTable(capacity) } = {}) {
  const watermarks = new Watermarks(table, { lateness: lateness * 1000, idle: idle * 1000, forget: forget * 1000 })
  const late: Got[] = []
  let position = 0, clock = 0
  const host: Host = { series: table, late: rows => { late.push(...rowsOf(rows, table)) }, aggregated () {} }
  let stage = operator.open(host)
  const out = (batch: Batch<any> | undefined) => {
    if (batch === undefined) return { rows: [], provisional: [] }
    const done = stage.process(batch)
    return { rows: rowsOf(done, table), provisional: done.provisional === undefined ? [] : rowsOf(done.provisional, table) }
  }
  return {
    table, late, get stage () { return stage },
    /** Goes on from a snapshot of what the operator remembers. */
    restart () {
      const saved = structuredClone(stage.save())
      stage = operator.open(host)
      stage.load(saved)
    },
    batch: (readings: readonly Given[]): Batch => watermarks.arrive({
      time: Float64Array.from(readings, r => r[0] * 1000),
      series: Int32Array.from(readings, r => table.id('t', ...r[1].split('/') as [string, string])),
      value: Float64Array.from(readings, r => r[2]),
      position: Float64Array.from(readings, () => ++position),
      ingest: new Float64Array(readings.length).fill(clock)
    }),
    give (readings: readonly Given[]) { return out(this.batch(readings)).rows },
    /** So many seconds pass on the ingest clock. */
    wait (seconds: number) { return out(watermarks.tick(watermarks.gone(clock += seconds * 1000), position)) },
    /** The engine was down for so many seconds, and listens again. */
    down (seconds: number) { return out(watermarks.listen(clock += seconds * 1000)) },
    end: () => out(watermarks.end(position)).rows
  }
}

/** All of it at once, to the end. */
export function through (operator: Operator, readings: readonly Given[], options: Parameters<typeof bench>[1] = {}): Got[] {
  const b = bench(operator, options)
  return [...b.give(readings), ...b.end()]
}

/** The same in pieces of 1, 3, 9, ... readings, each by a new step from the snapshot of the one before. */
export function inPieces (make: () => Operator, readings: readonly Given[]): Got[] {
  let b = bench(make())
  const got: Got[] = []
  for (let i = 0, size = 1; i < readings.length; i += size, size = size * 3 % 101) {
    got.push(...b.give(readings.slice(i, i + size)))
    const saved = structuredClone(b.stage.save())
    b = bench(make(), { table: b.table })
    b.stage.load(saved)
  }
  return got
}

/** One series sampled every second from 0 s on. */
export const each = (values: readonly number[], series = 'pump/temp'): Given[] => values.map((value, i) => [i, series, value])
