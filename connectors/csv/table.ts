import { basename, extname } from 'node:path'
import { Duration, MillraceError, nameFault, short, Type, type Intake, type SeriesTable, type Values } from '#engine'
import { readTime, type TimeUnit } from '../codec/time.ts'
import { LONGEST, separatorOf, split } from './lines.ts'

const text = (description: string) => Type.String({ description, minLength: 1 })
const texts = (description: string) => Type.Union([text('One.'), Type.Array(text('One.'), { minItems: 1 })], { description })

/** How the rows of a file are to be read. */
export const tableOptions = {
  separator: Type.Optional(text('Between cells; " " stands for any white space. Absent: told by the first line (; tab , or white space).')),
  header: Type.Optional(Type.Boolean({ description: 'Whether the first line names the columns. Absent: told by the line.' })),
  columns: Type.Optional(Type.Array(Type.String(), { description: 'Names of the columns, instead of those in the file; "" leaves one out. Without either they are c1, c2 and so on.', minItems: 1 })),
  time: Type.Optional(texts('Column of the timestamp, or several to be read as one. Absent: date and time, or the first of time, timestamp, datetime, date, ts.')),
  timeUnit: Type.Unsafe<TimeUnit>({ type: 'string', enum: ['auto', 's', 'ms', 'us', 'ns'], description: 'Unit of timestamps that are numbers; auto tells them apart by size.', default: 'auto' }),
  dates: Type.Union([Type.Literal('ymd'), Type.Literal('dmy'), Type.Literal('mdy')], { description: 'Order of day, month and year in dates: ymd is ISO 8601, dmy reads 31/12/2026, mdy reads 12/31/2026.', default: 'ymd' }),
  interval: Type.Optional(Duration({ description: 'For files without timestamps: time from one row to the next.' })),
  start: Type.Optional(text('For files without timestamps: time of the first row, ISO 8601; absent: 2000-01-01T00:00:00Z.')),
  tenant: Type.String({ description: 'Whose readings these are.', minLength: 1, default: 'default' }),
  device: Type.Optional(text('Name of the device: text in which {file} stands for the name of the file and {column} for the cell of a column. Absent: {device} when there is such a column, else {file}.')),
  metric: Type.Optional(text('Long form: the column that names the metric. Absent: `metric` when there are columns `metric` and `value`, else every column is a metric.')),
  value: Type.String({ description: 'Long form: the column with the value.', minLength: 1, default: 'value' }),
  metrics: Type.Optional(Type.Array(text('A column.'), { description: 'Wide form: the columns to read; absent: all that are nothing else.', minItems: 1 })),
  ignore: Type.Array(text('A column.'), { description: 'Columns that are no metrics, such as labels.', default: [] }),
  decimal: Type.Union([Type.Literal('.'), Type.Literal(',')], { description: 'Decimal point or comma.', default: '.' }),
  missing: Type.Array(Type.String(), { description: 'Cells that stand for no reading, besides empty ones, NA, N/A, NaN, null and None. Numbers are compared as numbers: -200 also means -200.0.', default: [] })
}
export type TableValues = Values<typeof tableOptions>

const MISSING = ['', 'NA', 'N/A', 'NaN', 'nan', 'NAN', 'null', 'NULL', 'None', 'none']
const TIMES = ['time', 'timestamp', 'datetime', 'date', 'ts']
const YEAR_2000 = 946_684_800_000
const LIMIT = 2 ** 53
const PLACE = /\{([^{}]+)\}/g
const DAY_FIRST = /^(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})(?:[ T](\d{1,2})[:.](\d{2})(?:[:.](\d{2}(?:[.,]\d+)?))?)?$/

export interface Row { readonly line: string, readonly cells: readonly string[] | undefined, readonly time: number }

/**
 * The columns of one file, told by its options and its first line, and how a row becomes readings: in wide form every
 * other column is a metric, in long form a row says which metric it is. Throws when options and columns do not go together.
 */
export class Table {
  /** The first line is no row. */
  readonly headed: boolean
  readonly separator: string
  private readonly file: string
  private readonly options: TableValues
  private readonly series: SeriesTable
  readonly columns: readonly string[]
  private readonly times: readonly number[]
  private readonly metrics: readonly { readonly column: number, readonly name: string }[]
  private readonly metric: number    // its column in long form, else -1
  private readonly value: number
  private readonly device: string
  private readonly start: number
  private readonly missing: ReadonlySet<string>
  private readonly missingNumbers: ReadonlySet<number>
  private readonly devices = new Map<string, { readonly id: number, readonly series: Map<string, number> } | string>()

  constructor (path: string, firstLine: string, options: TableValues, series: SeriesTable) {
    this.file = basename(path)
    this.options = options
    this.series = series
    this.separator = options.separator ?? separatorOf(firstLine)
    this.missing = new Set([...MISSING, ...options.missing])
    this.missingNumbers = new Set(options.missing.map(Number).filter(x => !Number.isNaN(x)))
    const cells = split(firstLine, this.separator) ?? []
    this.headed = options.header ?? cells.some(cell => !this.isMissing(cell) && Number.isNaN(Number(cell)) && Number.isNaN(this.readTime(cell)))
    this.columns = options.columns ?? (this.headed ? cells : cells.map((_, i) => `c${i + 1}`))
    const twice = this.columns.find((name, i) => name !== '' && this.columns.indexOf(name) !== i)
    if (twice !== undefined) throw this.wrong('columns', `two columns are called "${twice}"`, 'give them names: columns')
    this.times = this.timeColumns()
    this.start = options.start === undefined ? YEAR_2000 : readTime(options.start)
    const known = (name: string) => this.columns.includes(name)
    const long = options.metric ?? (options.metrics === undefined && known('metric') && known(options.value) ? 'metric' : undefined)
    this.metric = long === undefined ? -1 : this.column('metric', long)
    this.value = long === undefined ? -1 : this.column('value', options.value)
    const file = basename(path, extname(path))
    this.device = (options.device ?? (known('device') ? '{device}' : '{file}')).replaceAll('{file}', () => file)
    const spent = new Set([...this.times, ...Array.from(this.device.matchAll(PLACE), ([, name]) => this.column('device', name)), ...options.ignore.map(name => this.columns.indexOf(name))])
    this.metrics = long !== undefined ? [] : options.metrics?.map(name => ({ name, column: this.column('metrics', name) })) ?? this.columns.flatMap((name, column) => name === '' || spent.has(column) ? [] : [{ name, column }])
    for (const { name } of this.metrics) {
      const fault = nameFault('metric', name)
      if (fault !== undefined) throw this.wrong('columns', fault.detail, 'give the columns other names: columns')
    }
  }

  /** A row says which metric it is about. */
  get long (): boolean { return this.metric >= 0 }

  /** A line with its cells and its time in ms (NaN: it has none). `number` counts the rows of the file from 0. */
  row (line: string, number: number): Row {
    const cells = line.length > LONGEST ? undefined : split(line, this.separator)
    if (cells === undefined) return { line, cells, time: NaN }
    const time = this.times.length === 0 ? this.start + number * this.options.interval!
      : this.times.length === 1 ? this.readTime(cells[this.times[0]] ?? '')
        : this.readTime(this.times.map(column => cells[column]).join(' '))
    return { line, cells, time }
  }

  /** Puts a row into the intake: one message, whatever is in it. */
  decode ({ line, cells, time }: Row, intake: Intake, ingest: number): void {
    intake.message(this.file, Buffer.from(line), ingest)
    if (line.length > LONGEST) return intake.reject('too_large', `a line longer than ${LONGEST} characters`)
    if (cells === undefined) return intake.reject('unparseable', 'the quotes of the row do not close')
    if (cells.length !== this.columns.length) return intake.reject('wrong_shape', `${cells.length} cells under ${this.columns.length} columns`)
    if (Number.isNaN(time)) return intake.reject('bad_time', `${JSON.stringify(short(this.times.map(c => cells[c]).join(' ')))} is no timestamp (dates: ${this.options.dates})`)
    const device = this.deviceOf(cells)
    if (typeof device === 'string') return intake.reject('bad_name', device)
    if (this.metric >= 0) this.reading(intake, device, cells[this.metric], cells[this.value], time)
    else for (const { column, name } of this.metrics) this.reading(intake, device, name, cells[column], time)
  }

  private reading (intake: Intake, device: { readonly id: number, readonly series: Map<string, number> }, metric: string, cell: string, time: number): void {
    if (this.isMissing(cell)) return
    let series = device.series.get(metric)
    if (series === undefined) {
      const fault = nameFault('metric', metric)
      if (fault !== undefined) return intake.reject(fault.reason, fault.detail)
      series = device.id < 0 ? -1 : this.series.of(device.id, metric)
      if (series >= 0) device.series.set(metric, series)
    }
    const number = this.options.decimal === ',' ? cell.replace(',', '.') : cell
    const x = number === 'true' || number === 'True' ? 1 : number === 'false' || number === 'False' ? 0 : /^[+-]?0[xob]/i.test(number) ? NaN : Number(number)
    if (Number.isNaN(x)) return intake.reject('not_a_number', `${metric} is ${JSON.stringify(short(cell))}`)
    if ((x >= LIMIT || x <= -LIMIT) && /^[+-]?\d+$/.test(number)) return intake.reject('unsafe_integer', `${metric} is ${short(cell)}, beyond 2^53`)
    intake.reading(series, time, x)
  }

  private deviceOf (cells: readonly string[]): { readonly id: number, readonly series: Map<string, number> } | string {
    const name = this.device.includes('{') ? this.device.replace(PLACE, (_, column: string) => cells[this.columns.indexOf(column)]) : this.device
    let device = this.devices.get(name)
    if (device === undefined) {
      device = nameFault('device', name)?.detail ?? { id: this.series.device(this.options.tenant, name), series: new Map() }
      if (typeof device === 'string' || device.id >= 0) this.devices.set(name, device)
    }
    return device
  }

  private isMissing (cell: string): boolean {
    return this.missing.has(cell) || (this.missingNumbers.size > 0 && cell !== '' && this.missingNumbers.has(Number(cell)))
  }

  private readTime (cell: string): number {
    const { dates, timeUnit } = this.options
    if (dates === 'ymd') return readTime(cell, timeUnit)
    const [, a, b, year, hour = '0', minute = '00', second = '00'] = DAY_FIRST.exec(cell) ?? []
    if (year === undefined) return NaN
    const two = (part: string) => part.padStart(2, '0')
    return readTime(`${year}-${two(dates === 'dmy' ? b : a)}-${two(dates === 'dmy' ? a : b)}T${two(hour)}:${minute}:${second}Z`)
  }

  private timeColumns (): number[] {
    const { time, interval } = this.options
    if (time !== undefined) return [time].flat().map(name => this.column('time', name))
    if (interval !== undefined) return []
    const lower = this.columns.map(name => name.toLowerCase())
    if (lower.includes('date') && lower.includes('time')) return [lower.indexOf('date'), lower.indexOf('time')]
    const found = TIMES.find(name => lower.includes(name))
    if (found === undefined) throw this.wrong('time', `none of the columns is a timestamp`, `name it (time), or say how far apart rows are (interval); there are: ${short(this.columns.join(', '), 200)}`)
    return [lower.indexOf(found)]
  }

  private column (option: string, name: string): number {
    const index = this.columns.indexOf(name)
    if (index < 0) throw this.wrong(option, `there is no column "${name}"`, `there are: ${short(this.columns.join(', '), 200)}`)
    return index
  }

  private wrong (option: string, detail: string, help: string): MillraceError {
    return new MillraceError('config/invalid', `replay.${option}: ${detail} in ${this.file}`, { help })
  }
}

/** What is wrong with options that a schema cannot say. */
export function tableFault ({ start, interval, time, tenant }: TableValues): string | undefined {
  if (start !== undefined && Number.isNaN(readTime(start))) return `start "${start}" is not a time; write it as 2026-01-05T00:00:00Z`
  if (interval !== undefined && time !== undefined) return '`time` and `interval` exclude each other: rows have timestamps or they have none'
  if (start !== undefined && interval === undefined) return '`start` is for files without timestamps: say how far apart their rows are (interval)'
  return nameFault('tenant', tenant)?.detail
}
