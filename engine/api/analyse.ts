import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Batch } from '../batch.ts'
import { clock as real, type Clock } from '../clock.ts'
import { MillraceError } from '../errors.ts'
import { without } from '../fingerprint.ts'
import type { Operator } from '../operator.ts'
import { Type } from '../options.ts'
import { SeriesTable } from '../series.ts'
import { DEFAULT_TENANT } from '../trial/given.ts'
import { failures } from './problem.ts'
import { databaseOf, Moment, Named, nothing, rangeOf, tableOf, tenantFor } from './query.ts'
import type { Plane } from './server.ts'

const MOST = 5000                    // readings of a request
const FIRST = 16, PIECE = 5          // readings of the first piece of work; ms that a piece is to take
const CELLS = 100_000                // numbers of an answer
const TOGETHER = 4, WAITING = 60     // requests that are worked on at once, and that wait for one of these to be answered
const Data = Type.Object({
  time: Type.Optional(Type.Array(Type.String({ format: 'date-time' }), { description: 'Event times, in order; without them the readings are a second apart.', maxItems: MOST })),
  value: Type.Array({ type: ['number', 'null'] } as never, { description: 'Readings; null: one without a value.', minItems: 1, maxItems: MOST })
}, { description: 'One series.' })
const Stored = Type.Object({
  table: Named('A table of readings of a pipeline that runs here.'), tenant: Type.Optional(Named(`Without it, of keys for every tenant: \`${DEFAULT_TENANT}\`.`)), device: Named('The device.'), metric: Named('The metric.'),
  column: Type.Optional(Named('Without it the value.')), from: Moment('From this event time on; without it an hour before `to`.'), to: Moment('Before this event time; without it now.')
}, { description: `One series as it is stored, instead of \`data\`: up to ${MOST} readings.`, additionalProperties: false })
const Last = Type.Optional(Type.Integer({ description: 'How many of the last rows come back.', minimum: 1, maximum: MOST, default: 1 }))
const Numbers = { type: 'object', additionalProperties: { type: ['number', 'null'] } }
const Row = { ...Numbers, properties: { time: { type: 'string', format: 'date-time' }, value: { type: ['number', 'null'] }, contributions: { ...Numbers, description: 'Of `detect_anomaly`: what each signal alone says, as -log10 of how rarely it is as large; 0 for the usual.' } } }

interface Readings { readonly time?: readonly string[], readonly value: readonly (number | null)[] }
interface Body { readonly data?: Readings, readonly stored?: { readonly table: string, readonly tenant?: string, readonly device: string, readonly metric: string, readonly column?: string, readonly from?: string, readonly to?: string }, readonly options?: Readonly<Record<string, unknown>>, readonly last: number }

/** Operators on demand: on readings that are sent or stored, from nothing, and nothing is kept. What comes out are their columns. */
export async function analyse (app: FastifyInstance, plane: Plane): Promise<void> {
  const { components: { operators }, limits, clock = real } = plane, { table } = tableOf(plane)
  const readingsOf = async (request: FastifyRequest<{ Body: Body }>): Promise<Readings> => {
    const { data, stored } = request.body
    if ((data === undefined) === (stored === undefined)) throw new MillraceError('api/invalid', data === undefined ? 'there is neither data nor stored' : 'data and stored cannot be together', { help: 'data: { value: [...] }, or stored: { table, device, metric, from, to }' })
    if (stored === undefined) return data!
    const { tenant, device, metric, column = 'value', ...range } = stored, asked = table(stored.table, { column })
    if (asked.kind !== 'readings') throw new MillraceError('api/invalid', `the table "${stored.table}" has no readings`)
    const series = { tenant: tenantFor(request, tenant) ?? DEFAULT_TENANT, device, metric }
    const found = await databaseOf(plane, request).rows(asked, series, rangeOf(range), { limit: MOST })
    if (found === undefined) throw nothing(series)
    if (found.rows.length === 0) throw new MillraceError('api/invalid', 'there are no readings in this range')
    if (found.next !== undefined) throw new MillraceError('api/invalid', `there are more than ${MOST} readings in this range`, { help: 'a shorter one' })
    return { time: found.rows.map(row => row.time as string), value: found.rows.map(row => row[column] as number | null) }
  }
  const waiting: (() => void)[] = []
  let working = 0
  const begin = async (): Promise<void> => {
    if (working < TOGETHER) return void working++
    if (waiting.length >= WAITING) throw new MillraceError('api/busy', `${TOGETHER} such questions are being worked on, and ${WAITING} wait`)
    await new Promise<void>(go => { waiting.push(go) })
  }
  const end = (): void => {            // who waits takes the place
    const next = waiting.shift()
    if (next === undefined) working--
    else next()
  }
  const route = (url: string, name: string, summary: string, { always = {}, ...config }: { readonly always?: object, readonly rateLimit?: object } = {}): void => {
    const properties = without(Object.keys(always), operators[name].definition.options.properties)
    app.post<{ Body: Body }>(`/api/v1/${url}`, {
      config: { scope: 'query:read', ...config },
      schema: {
        summary, tags: ['analyse'], description: `The operator \`${name}\`: its options, its columns.`,
        body: Type.Object({ data: Type.Optional(Data), stored: Type.Optional(Stored), options: Type.Optional(Type.Object(properties as never, { description: `Options of \`${name}\`.`, additionalProperties: false })), last: Last }, { additionalProperties: false }),
        response: { 200: Type.Object({ readings: Type.Integer(), rows: Type.Array(Row as never) }), ...failures(404, 413, 415, 504) }
      }
    }, async request => {
      const { options, last } = request.body, data = await readingsOf(request)
      await begin()
      try { return { readings: data.value.length, rows: await rowsOf(() => operators[name]({ ...options, ...always }), data, last, clock) } } finally { end() }
    })
  }
  route('detect_anomaly', 'anomaly', 'How unusual each reading is, as a p-value, with the expected range, the signal that spoke, and what each contributes.', { always: { contributions: true } })
  route('predict', 'forecast', 'What comes next, with intervals.')
  route('check_drift', 'drift', 'Whether readings are still distributed as the first of them, and what moved.', { rateLimit: { max: (request: FastifyRequest) => limits.ofKey(request.actor!.id).drifts, timeWindow: '1 minute' } })
}

/**
 * In pieces of some milliseconds, with whatever else is to be done between them: where a stream is cut makes no difference to an
 * operator. The rows that come back are the last ones; as JSON they are made at once, so they have a limit.
 */
async function rowsOf (make: () => Operator, { time: moments, value }: Readings, last: number, clock: Clock): Promise<object[]> {
  if (moments !== undefined && moments.length !== value.length) throw new MillraceError('api/invalid', `data has ${moments.length} times and ${value.length} values`)
  const series = new SeriesTable(1), id = series.id('default', 'posted', 'value')
  const time = Float64Array.from(value, (_, i) => moments === undefined ? 1000 * i : Date.parse(moments[i]))
  const back = time.findIndex((t, i) => i > 0 && t < time[i - 1])
  if (back > 0) throw new MillraceError('api/invalid', `data.time: number ${back} is older than the one before it`)
  const batch = new Batch({ time, series: new Int32Array(value.length).fill(id), value: Float64Array.from(value, x => x ?? NaN) })
  const turn = turns(clock), operator = make()        // with many horizons this takes as long as a few pieces, and so does its memory
  await turn()
  const stage = operator.open({ series, late () {}, aggregated () {} }), rows: object[] = [], signals = Object.entries(operator.definition.explains?.(operator.options as never)?.signals ?? {}), parts = signals.map(([, column]) => column)
  await turn()
  for (let from = 0, size = FIRST; from < batch.length;) {
    const began = clock.monotonic(), to = Math.min(batch.length, from + size)
    const out = stage.process(batch.take(Int32Array.from({ length: to - from }, (_, k) => from + k))), names = Object.keys(out.columns), own = names.filter(name => !parts.includes(name))
    if (Math.min(last, batch.length) * (names.length + 2) > CELLS) throw new MillraceError('api/invalid', `last: ${last} rows of ${names.length + 2} columns are more than the ${CELLS} numbers that come back at once`, { help: 'fewer rows, or fewer columns by other options' })
    for (let k = Math.max(0, out.length - (last - Math.max(0, batch.length - to))); k < out.length; k++) rows.push(rowOf(out, own, signals, k))
    from = to
    const took = clock.monotonic() - began
    size = took > PIECE ? Math.max(1, size >> 1) : Math.min(MOST, size * 2)
    if (from < batch.length) await turn(took * 2)
  }
  return rows
}

/** Lets all else have its turn when ours has lasted `PIECE` ms, or would with `next` ms more. A pause costs as much as others take meanwhile, so what is short has none. */
function turns (clock: Clock): (next?: number) => Promise<void> {
  let began = clock.monotonic()
  return async (next = 0) => {
    if (clock.monotonic() - began + next < PIECE) return
    await new Promise<void>(resolve => { clock.soon(resolve) })
    began = clock.monotonic()
  }
}
const finite = (x: number): number | null => Number.isFinite(x) ? x : null
const rowOf = (out: Batch<any>, names: readonly string[], signals: readonly (readonly [string, string])[], k: number): object => {
  const numbers = (columns: readonly (readonly [string, string])[]) => Object.fromEntries(columns.map(([name, column]) => [name, finite(out.columns[column][k])]))
  return { time: new Date(out.time[k]).toISOString(), value: finite(out.value[k]), ...numbers(names.map(name => [name, name])), ...signals.length === 0 ? {} : { contributions: numbers(signals) } }
}
