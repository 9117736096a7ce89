import { defineSink, duration, Duration, Type, type Milliseconds } from '#engine'
import { PostgresStore } from './postgres-store.ts'

/** A time span, or that there is to be none. */
const SpanOrOff = (description: string, value: string) => Type.String({ description, pattern: '^(off|\\d+(\\.\\d+)?(ms|s|m|h|d|w))$', default: value })
const spanOrOff = (text: string): Milliseconds | undefined => text === 'off' ? undefined : duration(text)

/**
 * PostgreSQL 15 or newer, with or without TimescaleDB. A pipeline's one store: rows, alerts, late rows, dead letters,
 * counts and the position are committed in one transaction. Rows are sent as COPY BINARY.
 */
export const postgres = defineSink({
  name: 'postgres',
  summary: 'Rows, alerts, positions and dead letters in one transaction of PostgreSQL or TimescaleDB.',
  options: Type.Object({
    table: Type.String({ description: 'Table that the rows go to; made, and widened by new columns, when the pipeline starts.', pattern: '^[a-z_][a-z0-9_]{0,39}$' }),
    url: Type.Optional(Type.String({ description: 'Where the database is, such as postgres://user:password@host/name. Default: MILLRACE_DATABASE.', pattern: '^postgres(ql)?://' })),
    retention: Type.Optional(Duration({ description: 'How long rows are kept, by event time. Older ones are refused. Default: for ever.' })),
    chunk: Duration({ description: 'Event time in one partition (chunk) of a table that is made.', default: '7d' }),
    compress: SpanOrOff('Age at which chunks are compressed (TimescaleDB, community edition), or off.', '7d'),
    aggregate: SpanOrOff('Span of the continuous aggregate of a table of readings (TimescaleDB, community edition), or off.', '1m'),
    timescale: Type.Union([Type.Literal('auto'), Type.Literal('off')], { description: 'Whether to use TimescaleDB where it is installed.', default: 'auto' }),
    statementTimeout: Duration({ description: 'How long the database may take to answer a statement before the connection counts as dead.', default: '30s' })
  }),
  check: ({ chunk, retention, aggregate }) => {
    const span = aggregate === 'off' ? undefined : duration(aggregate)
    if (chunk < 36e5) return 'postgres.chunk must be at least 1h'
    if (retention !== undefined && retention < 36e5) return 'postgres.retention must be at least 1h'
    if (span !== undefined && span < 1000) return 'postgres.aggregate must be at least 1s'
    if (span !== undefined && retention !== undefined && span > retention / 3) return 'postgres.aggregate must be at most a third of postgres.retention'
    return undefined
  },
  reaches: ({ url }) => url === undefined ? [] : [url],
  storeKey: ({ url }) => url ?? '',
  store: (sinks, plan, host) => {
    const [{ url, timescale, statementTimeout }] = sinks
    return new PostgresStore({ url: url ?? host.database, timescale, statementTimeout }, plan, host, options => ({
      retention: options.retention as number | undefined, chunk: options.chunk as number, compress: spanOrOff(options.compress as string), aggregate: spanOrOff(options.aggregate as string)
    }))
  }
})
