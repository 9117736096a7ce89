import { defineSource, File, gather, Intake, Type, type Position, type Source, type SourceHost } from '#engine'
import { findFiles } from './csv/files.ts'
import { readLines } from './csv/lines.ts'
import { Table, tableFault, tableOptions, type Row, type TableValues } from './csv/table.ts'

/**
 * CSV files through the same pipeline. Each row is a record; rows of several files come in the order of their times, so that the
 * files run side by side, and are numbered in that order, blank lines and headers left out: a restart goes on after the last
 * committed row. What cannot be read becomes a dead letter with its row. After the last row the source ends, which closes all windows.
 *
 * The ingest clock is virtual: the newest event time so far; it never goes back. So silence (`idle`) is judged by the time in the
 * files at any speed, and no row is ahead of its arrival; a wrong clock in a file makes other devices seem silent, nothing worse.
 */
export const replay = defineSource({
  name: 'replay',
  summary: 'CSV files through the same pipeline, as fast as possible or at a multiple of real time.',
  options: Type.Object({
    files: Type.Union([File({ minLength: 1 }), Type.Array(File({ minLength: 1 }), { minItems: 1 })], { description: 'A file, a folder, or a pattern such as logs/*.csv; or several of them. Relative to the working directory.' }),
    speed: Type.Union([Type.Literal('max'), Type.Number({ exclusiveMinimum: 0 })], { description: 'Multiple of real time, or max.', default: 'max' }),
    ...tableOptions
  }),
  check: tableFault,

  open (options, host): Source {
    let newest = 0                   // event time, ms
    let skip = 0
    return {
      now: () => newest,
      past: true,
      trouble: () => skip > 0 ? `replay is looking for the row after the last committed one, ${skip} to go` : undefined,
      commit: async () => {},
      open (from: Position | undefined, credits, signal) {
        const intake = new Intake(host.series, credits, { ahead: host.ahead, after: from ?? 0 })
        skip = from ?? 0
        return gather(intake, credits, signal, () => newest, gathering => {
          let stopped = false
          let wake = () => {}
          const pause = (ms: number) => new Promise<void>(resolve => {
            const timer = setTimeout(resolve, Math.min(ms, 2 ** 31 - 1))
            wake = () => { clearTimeout(timer); resolve() }
          })
          const room = () => new Promise<void>(resolve => { wake = resolve; credits.next(resolve) })
          let first = NaN, began = 0
          /** Waits until it is the row's turn and there is room for it. */
          const turn = async (time: number) => {
            if (options.speed !== 'max' && !Number.isNaN(time)) {
              if (Number.isNaN(first)) [first, began] = [time, host.now()]
              for (let ms; !stopped && (ms = (time - first) / options.speed - (host.now() - began)) > 1;) await pause(ms)
            }
            while (!stopped && !credits.open) await room()
          }

          const read = async () => {
            const files: Cursor[] = []
            try {
              await openAll(findFiles([options.files].flat()), files, options, host)
              while (files.length > 0) {
                const file = earliest(files)
                const { row, table } = file
                const known = skip > 0
                if (known) skip--
                else if (options.speed !== 'max' || !credits.open) await turn(row.time)
                if (stopped) return
                if (row.time > newest && row.time < YEAR_10000) newest = row.time
                if (!known) {
                  table.decode(row, intake, newest)
                  gathering.pushed()
                }
                if (!file.step() && !await file.more()) files.splice(files.indexOf(file), 1)
              }
              if (skip > 0) host.log.warn(`replay: the files end ${skip} rows before the last committed one: they have changed`)
              skip = 0
              gathering.end()
            } finally {
              for (const file of files) await file.close()
            }
          }
          read().catch(error => gathering.fail(error))
          return () => { stopped = true; wake() }
        })
      }
    }
  }
})

const YEAR_10000 = 253_402_300_800_000

/** A place in a file: the row that is next. */
class Cursor {
  readonly table: Table
  row!: Row
  private readonly lines: AsyncGenerator<string[]>
  private lot: readonly string[] = []
  private at = 0
  private count = 0                  // rows so far

  constructor (table: Table, lines: AsyncGenerator<string[]>) {
    this.table = table
    this.lines = lines
  }

  /** To the next row that has been read from the file already; false when there is none. */
  step (): boolean {
    if (this.at === this.lot.length) return false
    this.row = this.table.row(this.lot[this.at++], this.count++)
    return true
  }

  /** To the next row, reading on; false at the end of the file. */
  async more (lot?: readonly string[]): Promise<boolean> {
    for (;;) {
      this.lot = lot ?? []
      this.at = 0
      if (this.step()) return true
      const next = await this.lines.next()
      if (next.done) return false
      lot = next.value
    }
  }

  async close (): Promise<void> { await this.lines.return(undefined) }
}

async function openAll (paths: readonly string[], cursors: Cursor[], options: TableValues, host: SourceHost): Promise<void> {
  for (const path of paths) {
    const lines = readLines(path)
    let lot: readonly string[] = []
    for (let next = await lines.next(); !next.done && (lot = next.value).length === 0;) next = await lines.next()
    if (lot.length === 0) {
      host.log.warn(`replay: ${path} is empty`)
      continue
    }
    const table = new Table(path, lot[0], options, host.series)
    const cursor = new Cursor(table, lines)
    if (await cursor.more(table.headed ? lot.slice(1) : lot)) cursors.push(cursor)
  }
}

/** The file whose next row is the oldest; a row without a time goes at once. */
function earliest (files: readonly Cursor[]): Cursor {
  let first = files[0]
  for (const file of files) {
    if (Number.isNaN(first.row.time)) return first
    if (!(file.row.time >= first.row.time)) first = file
  }
  return first
}
