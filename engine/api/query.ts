import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { sheetLine } from '../csv.ts'
import { MillraceError } from '../errors.ts'
import { contentOf, exportFormats, mediaTypes, type ExportFormat } from '../export-format.ts'
import { LONGEST_NAME } from '../names.ts'
import { suggest, Type } from '../options.ts'
import { columnKinds, columnsOf, planTables, type ColumnKind } from '../plan.ts'
import { POSITION, type OneSeries, type Query, type Range, type TableColumns } from '../query.ts'
import { DEFAULT_TENANT } from '../trial/given.ts'
import { failures } from './problem.ts'
import type { Plane } from './server.ts'

const HOUR = 36e5
/** A name of what readings say, as long as they may say it. */
export const Named = (description?: string) => Type.String({ ...description === undefined ? {} : { description }, minLength: 1, maxLength: LONGEST_NAME })
export const Text = (description: string) => Type.Optional(Named(description))
export const limit = Type.Optional(Type.Integer({ description: 'Rows at the most.', minimum: 1, maximum: 10_000, default: 1000 }))
export const cursor = Type.Optional(Type.String({ description: '`next` of the answer before: goes on behind it.', maxLength: 300 }))
export const Moment = (description: string) => Type.Optional(Type.String({ description, format: 'date-time' }))
export const filterText = Text('Equal name.')
export const tenantText = { tenant: Text(`The tenant; a key of one tenant has no other. Without it, of keys for every tenant: all where series are listed, \`${DEFAULT_TENANT}\` where one is named.`) }
export const filter = { ...tenantText, device: filterText, metric: filterText }
const ofDevice = { site: filterText, type: filterText, tags: Type.Optional(Type.String({ description: 'Of devices with all of these tags: `line=4,hall=B`.', minLength: 1, maxLength: 2000 })) }
const one = { ...tenantText, device: Named(), metric: Named() }
export const range = { from: Moment('From this event time on; without it an hour before `to`.'), to: Moment('Before this event time; without it now.') }
const Value = Type.Union([Type.Number(), Type.Null()])
const Rows = (row: object) => Type.Object({ rows: Type.Array(row as never), next: Type.Optional(Type.String({ description: 'There are more: `cursor` of the next request.' })) })
type Form = 'json' | 'ndjson' | 'csv'
/** In which form rows are asked for, and how a route declares that it has them. */
export const format = Type.Optional(Type.Union([Type.Literal('json'), Type.Literal('ndjson'), Type.Literal('csv')], { default: 'json', description: 'ndjson and csv have the cursor in the header x-next-cursor.' }))
export const forms = (row: object) => ({ description: 'Rows.', content: { 'application/json': { schema: Rows(row) }, 'application/x-ndjson': { schema: { type: 'string' } }, 'text/csv': { schema: { type: 'string' } } } })
const Series = Type.Object({ tenant: Type.String(), device: Type.String(), metric: Type.String(), unit: Type.Union([Type.String(), Type.Null()]), type: Type.Union([Type.String(), Type.Null()]), site: Type.Union([Type.String(), Type.Null()]), tags: Type.Record(Type.String(), Type.String()) })
const Part = Type.Object({ time: Type.String({ format: 'date-time', description: 'Begin of the part.' }), count: Type.Integer(), min: Value, max: Value, mean: Value })
const AnyRow = { type: 'object', properties: { time: { type: 'string', format: 'date-time' } }, additionalProperties: { type: ['number', 'string', 'null'] } }

const columns = Text('Columns, with commas between; without it all but `position`, the number of the message that made the row.')
const kind = Type.Optional(Type.Union(columnKinds.map(kind => Type.Literal(kind)), { description: 'Instead of their names, the columns that say this. scores: of what steps that learn say of a reading, all; forecast: what is expected, with its intervals; drift: whether it is still as it was.' }))

interface Given { readonly kind?: ColumnKind, readonly tenant?: string, readonly device?: string, readonly metric?: string, readonly site?: string, readonly type?: string, readonly tags?: string, readonly columns?: string, readonly column?: string, readonly from?: string, readonly to?: string, readonly limit: number, readonly cursor?: string, readonly buckets: number, readonly since?: string, readonly format: Form }
type Asked = FastifyRequest<{ Params: { table: string }, Querystring: Given }>

/** What pipelines have written: series, newest values, rows by range, and ranges thinned out by the database. */
export async function query (app: FastifyInstance, plane: Plane): Promise<void> {
  const { all: tables, table } = tableOf(plane)
  const read = { config: { scope: 'query:read' as const } }, tags = ['query'], Params = Type.Object({ table: Type.String({ description: 'A table of a pipeline that runs here.', maxLength: 200 }) })

  app.get('/api/v1/tables', { ...read, schema: { summary: 'Tables of the pipelines that run here, and their columns; or those that have columns of a kind, and these.', tags, querystring: Type.Object({ kind }), response: { 200: Type.Object({ tables: Type.Array(Type.Object({ table: Type.String(), kind: Type.String({ description: 'readings or windows.' }), columns: Type.Array(Type.String()) })) }), ...failures() } } },
    async ({ query: { kind } }: FastifyRequest<{ Querystring: { kind?: ColumnKind } }>) => ({ tables: tables(kind) }))

  app.get('/api/v1/series', {
    ...read,
    schema: {
      summary: 'Series, in the order in which they appeared.', tags, querystring: Type.Object({ ...filter, ...ofDevice, limit, cursor, format }), response: { 200: forms(Series), ...failures(404, 504) }
    }
  }, async (request: Asked, reply) => {
    const { device, metric, site, type, tags, limit, cursor, format } = request.query
    return rowsAs(reply, format, Object.keys(Series.properties), await databaseOf(plane, request).series({ tenant: tenantOf(request), device, metric, site, type, tags: tagsOf(tags) }, { limit, after: placeOf(cursor, /^\d{1,10}$/) }))
  })

  app.get('/api/v1/tables/:table/latest', {
    ...read,
    schema: { summary: 'The newest row of each series.', tags, params: Params, querystring: Type.Object({ ...filter, ...ofDevice, columns, kind, limit, cursor, format }), response: { 200: forms(AnyRow), ...failures(404, 504) } }
  }, async (request: Asked, reply) => {
    const { device, metric, site, type, tags, limit, cursor, format } = request.query, asked = table(request.params.table, request.query)
    return rowsAs(reply, format, ['time', 'tenant', 'device', 'metric', ...asked.columns], await databaseOf(plane, request).latest(asked, { tenant: tenantOf(request), device, metric, site, type, tags: tagsOf(tags) }, { limit, after: placeOf(cursor, /^\d{1,10}$/) }))
  })

  app.get('/api/v1/tables/:table/rows', {
    ...read,
    schema: {
      summary: 'Rows of one series by event time.', tags, params: Params,
      querystring: Type.Object({ ...one, ...range, columns, kind, limit, cursor, format }),
      response: { 200: forms(AnyRow), ...failures(404, 504) }
    }
  }, async (request: Asked, reply) => {
    const { limit, cursor, format } = request.query, asked = table(request.params.table, request.query), series = oneOf(request)
    const found = await databaseOf(plane, request).rows(asked, series, rangeOf(request.query), { limit, after: placeOf(cursor, /^-?\d{1,17}_\d{1,5}$/) })
    if (found === undefined) throw nothing(series)
    return rowsAs(reply, format, ['time', ...asked.columns], found)
  })

  app.get('/api/v1/tables/:table/export', {
    ...read, exposeHeadRoute: false,       // it would read all and say nothing
    schema: {
      summary: 'All rows of a table, or those that were committed since another export, as they come from the database.', tags, params: Params,
      description: 'In one snapshot, by series and time, without end of its own: a connection that breaks off has not brought all. The header `x-export-place` is `since` of the next export: together they have each row once. Windows that are still open are not among them.',
      querystring: Type.Object({ ...filter, from: Moment('From this event time on; without it all.'), to: Moment('Before this event time; without it all.'), columns, kind, format: Type.Optional(Type.Union(exportFormats.map(format => Type.Literal(format)), { default: 'csv', description: 'parquet: time as a timestamp in microseconds, numbers as doubles, null where there is none.' })), since: Type.Optional(Type.String({ description: '`x-export-place` of the export before.', maxLength: 5000 })) }),
      response: { 200: { description: 'Rows.', headers: { 'x-export-place': { schema: { type: 'string' }, description: '`since` of the next export.' } }, content: { 'text/csv': { schema: { type: 'string' } }, 'application/x-ndjson': { schema: { type: 'string' } }, [mediaTypes.parquet]: { schema: { type: 'string' } } } }, ...failures(404, 504) }
    }
  }, async (request: Asked, reply) => {
    const { device, metric, format, since, from, to } = request.query, asked = table(request.params.table, request.query)
    const range = rangeOf({ from: from ?? new Date(0).toISOString(), to: to ?? '9999-12-31T23:59:59.999Z' })
    const { place, pages, close } = await databaseOf(plane, request).export({ table: asked, series: { tenant: tenantOf(request), device, metric }, range, since })
    void reply.header('x-export-place', place).type(mediaTypes[format as ExportFormat])
    return await reply.send(Readable.from(contentOf(format as ExportFormat, asked.columns, pages)).on('close', () => { void close() }))       // a generator that was never begun ends nothing
  })

  app.get('/api/v1/tables/:table/buckets', {
    ...read,
    schema: {
      summary: 'A range of one series, thinned out: count, least, largest and mean of each of some parts of equal length.', tags, params: Params,
      querystring: Type.Object({ ...one, ...range, column: Type.Optional(Type.String({ description: 'Without it the first of the table.', maxLength: 200 })), buckets: Type.Optional(Type.Integer({ minimum: 1, maximum: 5000, default: 500 })), format }), response: { 200: forms(Part), ...failures(404, 504) }
    }
  }, async (request: Asked, reply) => {
    const { column, buckets, format } = request.query, all = table(request.params.table), series = oneOf(request)
    const rows = await databaseOf(plane, request).buckets(table(request.params.table, { column: column ?? all.columns[0] }), series, rangeOf(request.query), buckets)
    if (rows === undefined) throw nothing(series)
    return rowsAs(reply, format, Object.keys(Part.properties), { rows })
  })
}

/** Which columns of a table: one, or by name with commas between, or those of a kind; or all. */
interface Wanted { readonly column?: string | undefined, readonly columns?: string | undefined, readonly kind?: ColumnKind | undefined }

/** Tables of the pipelines that run here; `kind`: only those with such columns, and these. */
export function tableOf (plane: Plane): { readonly all: (kind?: ColumnKind) => readonly TableColumns[], readonly table: (name: string, wanted?: Wanted) => TableColumns } {
  const pipelines = plane.pipelines ?? (() => plane.runs().map(run => run.pipeline))
  /** Several pipelines may write one table: it has the columns of all. */
  const tables = (of?: ColumnKind): readonly TableColumns[] => {
    const all = new Map<string, TableColumns>()
    for (const pipeline of pipelines()) {
      const such = of === undefined ? undefined : columnsOf(pipeline, of)
      for (const { name, kind, columns } of planTables(pipeline).tables) {
        all.set(name, { table: name, kind, columns: [...new Set([...all.get(name)?.columns ?? (kind === 'readings' && such === undefined ? ['value'] : []), ...columns.filter(c => such?.has(c) ?? true)])] })
      }
    }
    return [...all.values()].filter(({ columns }) => of === undefined || columns.length > 0)
  }
  const table = (name: string, { column, columns: asked, kind }: Wanted = {}): TableColumns => {
    const found = tables().find(t => t.table === name)
    if (found === undefined) throw new MillraceError('api/not-found', `there is no table "${name}"`, { help: suggest(name, tables().map(t => t.table)) })
    if (kind !== undefined) {
      if (asked !== undefined) throw new MillraceError('api/invalid', 'columns are asked for by their names, or by their kind', { help: 'give either columns or kind' })
      const such = tables(kind), those = such.find(t => t.table === name)
      if (those === undefined) throw new MillraceError('api/invalid', `the table "${name}" has no columns of the kind "${kind}"`, { help: such.length === 0 ? 'no table here has' : `these have: ${such.map(t => t.table).join(', ')}` })
      return those
    }
    const columns = column !== undefined ? [column] : asked?.split(',') ?? found.columns
    const odd = columns.find(c => c !== POSITION && !found.columns.includes(c))
    if (odd !== undefined) throw new MillraceError('api/invalid', `the table "${name}" has no column "${odd}"`, { help: suggest(odd, found.columns) })
    return { ...found, columns }
  }
  return { all: tables, table }
}

/** The database, asked for whoever has sent the request. */
export function databaseOf ({ query }: Plane, { actor, id: request }: FastifyRequest<any>): Query {
  if (query === undefined) throw new MillraceError('api/not-found', 'there is no database to ask', { help: 'start with --database, or set MILLRACE_DATABASE' })
  return query.as({ tenant: actor!.tenant ?? undefined, request })
}

/** Of a key of one tenant nothing else exists, whatever is asked for. */
export const tenantOf = (request: FastifyRequest<{ Querystring: { readonly tenant?: string } }>): string | undefined => tenantFor(request, request.query.tenant)
/** The tenant that is asked for, or that of the key; undefined: all. @throws api/not-found for another one than that of the key */
export function tenantFor ({ actor }: Pick<FastifyRequest, 'actor'>, tenant: string | undefined): string | undefined {
  const own = actor!.tenant
  if (own !== null && tenant !== undefined && tenant !== own) throw new MillraceError('api/not-found', `there is no tenant "${tenant}"`)
  return own ?? tenant
}
function oneOf (request: Asked): OneSeries {
  const { device, metric } = request.query
  return { tenant: tenantOf(request) ?? DEFAULT_TENANT, device: device!, metric: metric! }
}
export const nothing = ({ tenant, device, metric }: OneSeries) => new MillraceError('api/not-found', `there is no series "${tenant}/${device}/${metric}"`)

function tagsOf (text: string | undefined): Readonly<Record<string, string>> | undefined {
  return text === undefined ? undefined : Object.fromEntries(text.split(',').map(pair => {
    const at = pair.indexOf('=')
    if (at < 1) throw new MillraceError('api/invalid', `tags: "${pair}" is no name=value`, { help: 'tags=line=4,hall=B' })
    return [pair.slice(0, at), pair.slice(at + 1)]
  }))
}

export function rangeOf ({ from, to }: { readonly from?: string, readonly to?: string }): Range {
  const end = to === undefined ? Date.now() : Date.parse(to), begin = from === undefined ? end - HOUR : Date.parse(from)
  if (!(begin < end)) throw new MillraceError('api/invalid', `the range is empty: from ${new Date(begin).toISOString()} to ${new Date(end).toISOString()}`)
  return { from: begin, to: end }
}

export function placeOf (cursor: string | undefined, form: RegExp): string | undefined {
  if (cursor !== undefined && !form.test(cursor)) throw new MillraceError('api/invalid', 'this is no cursor of this route', { help: '`next` of the answer before, as it came' })
  return cursor
}

/** Rows in the form that is asked for. In CSV what is no text and no number is JSON. */
export function rowsAs (reply: FastifyReply, format: Form, columns: readonly string[], found: { readonly rows: readonly object[], readonly next?: string | undefined }): string | typeof found {
  if (format === 'json') return found
  void reply.type(mediaTypes[format])
  if (found.next !== undefined) void reply.header('x-next-cursor', found.next)
  const rows = found.rows as readonly Record<string, unknown>[]
  return format === 'ndjson' ? rows.map(row => `${JSON.stringify(row)}\n`).join('') : [columns, ...rows.map(row => columns.map(c => cellOf(row[c])))].map(sheetLine).join('')
}
const cellOf = (value: unknown): string | number | null => value === null || value === undefined ? null : typeof value === 'string' || typeof value === 'number' ? value : JSON.stringify(value)
