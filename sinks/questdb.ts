import type { createBuffer } from '@questdb/nodejs-client'
import { defineSink, Duration, isLoopback, MillraceError, Type, type Batch, type SeriesTable } from '#engine'
import { Server } from './questdb/server.ts'
import { columnFault, own, Table, type Kind } from './questdb/table.ts'

const text = (description: string) => Type.Optional(Type.String({ description, minLength: 1 }))
const LOOK_EVERY = 30_000              // ms between two looks at the table: dropped, altered or suspended by others
const MOST = 2 ** 30                   // bytes of one request

/**
 * Rows in a table of QuestDB, sent in its line protocol over HTTP. Effectively once: the table deduplicates by (ts, tenant,
 * device, metric, seq), windows by (ts, tenant, device, metric), and the last one written stays. So rows that are written again
 * come once however they are cut, and a later revision replaces a window that was provisional.
 *
 * Resolved = in the write-ahead log of the table, which survives a crash of the server; queries see it when the server has
 * applied it, usually within milliseconds. Times are exact to the microsecond (until the year 2248). A number that is none or
 * not finite is null. About 10 us per row.
 */
export const questdb = defineSink({
  name: 'questdb',
  summary: 'Rows in a table of QuestDB, each of them once.',
  options: Type.Object({
    url: Type.String({ description: 'Where QuestDB listens for HTTP, without user and password.', pattern: '^https?://', default: 'http://localhost:9000' }),
    table: Type.String({ description: 'Table that the rows go to; made if it is not there, and widened by new columns. One for each route of a pipeline.', pattern: '^[A-Za-z_][A-Za-z0-9_]{0,99}$' }),
    user: text('User name.'),
    password: text('Password of the user.'),
    token: text('Token, instead of a user.'),
    rows: Type.Integer({ description: 'Most rows in one request, which is one transaction.', minimum: 1, maximum: 100_000, default: 10_000 }),
    timeout: Duration({ description: 'How long a request may take, at most 1m.', default: '10s' })
  }),
  check ({ url, user, password, token, timeout }) {
    const parsed = URL.canParse(url) ? new URL(url) : undefined
    if (parsed === undefined) return 'url is not a URL'
    if (parsed.username !== '' || parsed.password !== '') return 'url has a user or password in it, which would show in logs; use the options user and password'
    if (parsed.pathname !== '/' || parsed.search !== '' || parsed.hash !== '') return 'url must end after the port'
    if ((user === undefined) !== (password === undefined)) return 'user and password belong together'
    if (user !== undefined && token !== undefined) return 'there must be a user or a token, not both'
    if (user?.includes(':')) return 'user must be without ":", which HTTP puts after it'
    if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) return 'token has a character that HTTP forbids in it'
    if (!(timeout >= 100 && timeout <= 60_000)) return 'timeout must be from 100ms to 1m'
    return undefined
  },
  reaches: ({ url }) => [url],

  follow ({ url, table: name, user, password, token, rows, timeout }, host) {
    const { origin, protocol, hostname } = new URL(url)
    if (protocol === 'http:' && !isLoopback(hostname)) host.log.warn({ origin }, 'questdb: sends over plain http, which others on the way can read')
    const server = new Server(origin, token !== undefined ? `Bearer ${token}` : user !== undefined ? `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` : undefined, timeout, [password, token])
    const table = new Table(server, name, host.log)
    let lines: Lines | undefined
    let known = new Set<string>()          // columns that the table is known to have
    let looked = -Infinity
    let warned = false
    let turn: Promise<void> = Promise.resolve()
    let trouble: string | undefined

    const prepare = async (kind: Kind, columns: readonly string[]) => {
      if (performance.now() - looked < LOOK_EVERY && columns.every(column => known.has(column))) return
      const fault = columnFault(kind, columns)
      if (fault !== undefined) throw new MillraceError('sink/failed', `questdb: ${fault}`, { help: 'give the column another name' })
      if (looked === -Infinity) await server.check()
      await table.prepare(kind, columns)
      known = new Set([...known, ...columns])
      looked = performance.now()
    }
    const put = async (batch: Batch<any> | undefined, provisional: boolean) => {
      if (batch === undefined || batch.length === 0) return
      const kind = batch.columns.revision === undefined ? 'readings' : 'windows'
      if (batch.columns[own(kind)] === undefined && !warned) {
        warned = true
        host.log.warn({ table: name }, 'questdb: readings come without seq (dedupe is off): of those of one series and time only the last one stays')
      }
      await prepare(kind, Object.keys(batch.columns))
      lines ??= new Lines(name, host.series, await makeBuffer())
      for (let from = 0; from < batch.length; from += rows) await server.write(lines.of(kind, batch, from, Math.min(from + rows, batch.length), provisional))
    }
    const write = async (batch: Batch<any>) => {
      try {
        await put(batch.provisional, true)
        await put(batch, false)
        trouble = undefined
      } catch (error) {
        trouble = (error as Error).message
        looked = -Infinity               // it may come back without the table, or be another one
        throw error
      }
    }
    return {
      // one after the other: what is written last stays
      write: batch => turn = turn.then(() => write(batch), () => write(batch)),
      close: async () => { server.close() },
      trouble: () => trouble ?? table.suspended
    }
  }
})

type LineBuffer = ReturnType<typeof createBuffer>

/** Loaded when it is needed: it takes 150 ms and 20 MB, which every start of the program would pay. */
async function makeBuffer (): Promise<LineBuffer> {
  const { createBuffer, SenderOptions } = await import('@questdb/nodejs-client')
  return createBuffer(new SenderOptions(`http::addr=unused;protocol_version=2;max_buf_size=${MOST}`))
}

/**
 * Rows of a batch in the line protocol, as the client of QuestDB writes it. Only that part of the client is used: sent by it,
 * rows are given up at the first failure, and a server that is not there is tried without end, whatever `retry_timeout` says.
 */
class Lines {
  private readonly table: string
  private readonly series: SeriesTable
  private readonly buffer: LineBuffer

  constructor (table: string, series: SeriesTable, buffer: LineBuffer) {
    this.table = table
    this.series = series
    this.buffer = buffer
  }

  of (kind: Kind, { time, series, value, columns }: Batch<any>, from: number, end: number, provisional: boolean): Uint8Array {
    const buffer = this.buffer.reset()
    const whole: ArrayLike<number> | undefined = columns[own(kind)]
    const added = (Object.entries(columns) as [string, ArrayLike<number>][]).filter(([name]) => name !== own(kind))
    for (let i = from; i < end; i++) {
      const { tenant, device, metric } = this.series.name(series[i])
      buffer.table(this.table).symbol('tenant', fit(tenant)).symbol('device', fit(device)).symbol('metric', fit(metric)).intColumn(own(kind), whole === undefined ? 0 : whole[i])
      if (kind === 'windows') buffer.booleanColumn('provisional', provisional)
      if (Number.isFinite(value[i])) buffer.floatColumn('value', value[i])
      for (const [name, column] of added) if (Number.isFinite(column[i])) buffer.floatColumn(name, column[i])
      buffer.at(BigInt(Math.round(time[i] * 1000)), 'us')
    }
    return buffer.toBufferNew()!
  }
}

/** A name as it is. NUL is the one character that the line protocol cannot carry. */
function fit (name: string): string {
  if (name.includes('\0')) throw new MillraceError('sink/failed', `questdb: the name ${JSON.stringify(name)} has a NUL in it, which QuestDB cannot store`)
  return name
}
