import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Batch } from '../batch.ts'
import { MillraceError } from '../errors.ts'
import { Limits } from '../limits.ts'
import type { Operator } from '../operator.ts'
import { Type } from '../options.ts'
import { SeriesTable } from '../series.ts'
import { failures } from './problem.ts'
import type { Plane } from './server.ts'

const MOST = 5000                    // readings of a request: some ten milliseconds of work, in which nothing else is done
const Data = Type.Object({
  time: Type.Optional(Type.Array(Type.String({ format: 'date-time' }), { description: 'Event times, in order; without them the readings are a second apart.', maxItems: MOST })),
  value: Type.Array({ type: ['number', 'null'] } as never, { description: 'Readings; null: one without a value.', minItems: 1, maxItems: MOST })
}, { description: 'One series.' })
const Last = Type.Optional(Type.Integer({ description: 'How many of the last rows come back.', minimum: 1, maximum: MOST, default: 1 }))
const Row = { type: 'object', properties: { time: { type: 'string', format: 'date-time' }, value: { type: ['number', 'null'] } }, additionalProperties: { type: ['number', 'null'] } }

interface Body { readonly data: { readonly time?: readonly string[], readonly value: readonly (number | null)[] }, readonly options?: Readonly<Record<string, unknown>>, readonly last: number }

/** Operators on demand: on readings that are sent, from nothing, and nothing is kept. What comes out are their columns. */
export async function analyse (app: FastifyInstance, { components: { operators }, limits = new Limits() }: Plane): Promise<void> {
  const route = (url: string, name: string, summary: string, config: object = {}): void => {
    const { options } = operators[name].definition
    app.post<{ Body: Body }>(`/api/v1/${url}`, {
      config: { scope: 'query:read', ...config },
      schema: {
        summary, tags: ['analyse'], description: `The operator \`${name}\`: its options, its columns.`,
        body: Type.Object({ data: Data, options: Type.Optional(Type.Object(options.properties, { description: `Options of \`${name}\`.`, additionalProperties: false })), last: Last }, { additionalProperties: false }),
        response: { 200: Type.Object({ readings: Type.Integer(), rows: Type.Array(Row as never) }), ...failures(413, 415) }
      }
    }, async ({ body }) => ({ readings: body.data.value.length, rows: rowsOf(operators[name](body.options), body) }))
  }
  route('detect_anomaly', 'anomaly', 'How unusual each reading is, as a p-value, with the expected range and the signal that spoke.')
  route('predict', 'forecast', 'What comes next, with intervals.')
  route('check_drift', 'drift', 'Whether readings are still distributed as the first of them, and what moved.', { rateLimit: { max: (request: FastifyRequest) => limits.ofKey(request.actor!.id).drifts, timeWindow: '1 minute' } })
}

function rowsOf (operator: Operator, { data: { time: moments, value }, last }: Body): object[] {
  if (moments !== undefined && moments.length !== value.length) throw new MillraceError('api/invalid', `data has ${moments.length} times and ${value.length} values`)
  const series = new SeriesTable(1), id = series.id('default', 'posted', 'value')
  const time = Float64Array.from(value, (_, i) => moments === undefined ? 1000 * i : Date.parse(moments[i]))
  const back = time.findIndex((t, i) => i > 0 && t < time[i - 1])
  if (back > 0) throw new MillraceError('api/invalid', `data.time: number ${back} is older than the one before it`)
  const batch = new Batch({ time, series: new Int32Array(value.length).fill(id), value: Float64Array.from(value, x => x ?? NaN) })
  const out = operator.open({ series, late () {}, aggregated () {} }).process(batch)
  const from = Math.max(0, out.length - last), finite = (x: number) => Number.isFinite(x) ? x : null
  return Array.from({ length: out.length - from }, (_, k) => ({
    time: new Date(out.time[from + k]).toISOString(), value: finite(out.value[from + k]),
    ...Object.fromEntries(Object.entries<any>(out.columns).map(([name, column]) => [name, finite(column[from + k])]))
  }))
}
