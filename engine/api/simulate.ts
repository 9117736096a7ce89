import type { FastifyInstance, FastifyRequest } from 'fastify'
import { MillraceError } from '../errors.ts'
import { LONGEST_NAME, tenantName } from '../names.ts'
import { duration, Type } from '../options.ts'
import { randomText } from '../random-text.ts'
import { plantedKinds, SIMULATED, type PlantedKind } from '../simulated.ts'
import { STALE } from '../stale.ts'
import { DEFAULT_TENANT } from '../trial/given.ts'
import { failures } from './problem.ts'
import { ReadingQuota } from '../quota.ts'
import { later } from './quota.ts'
import { runOf } from './pipelines.ts'
import { tenantText } from './query.ts'
import type { Plane } from './server.ts'

const MOST = 10_000                  // readings
const NAME = 8                       // signs

interface Body { readonly pipeline: string, readonly tenant?: string, readonly metric: string, readonly device?: string, readonly every: string, readonly healthy: number, readonly faulty: number, readonly after: number, readonly level: number, readonly noise: number, readonly size?: number, readonly seed: number, readonly values?: number[] }
const Moment = Type.String({ format: 'date-time' }), count = (description: string, least: number, given: number) => Type.Optional(Type.Integer({ description, minimum: least, maximum: MOST, default: given }))

/** Faults of devices that there are not, sent the way of all readings: log, pipeline, rows, alerts. */
export async function simulate (app: FastifyInstance, plane: Plane): Promise<void> {
  const quota = new ReadingQuota(plane.limits)       // apart from what devices send
  app.post<{ Params: { kind: string }, Body: Body }>('/api/v1/simulate/:kind', {
    config: { scope: 'ingest:write' },
    schema: {
      summary: 'Send readings of a device that there is not, with a fault in them.', tags: ['ingest'],
      description: `They go into the log of the pipeline's source, and so to every pipeline that reads it. The name of the device begins with ${SIMULATED}: its tags and its alerts say \`simulated\`, and only receivers with the option \`simulated\` are told of these; no other device learns from it. The newest reading is of now, the oldest at most ${STALE / 60_000} minutes older, as alerts of older ones are told to nobody.`,
      params: Type.Object({ kind: Type.Union([...plantedKinds, 'drift-event' as const].map(kind => Type.Literal(kind)), { description: 'What goes wrong; drift-event is drift.' }) }),
      body: Type.Object({
        pipeline: Type.String({ description: 'Whose source gets them.', minLength: 1, maxLength: 200 }), ...tenantText, metric: Type.Optional(Type.String({ minLength: 1, maxLength: LONGEST_NAME, default: 'value' })),
        device: Type.Optional(Type.String({ description: `Without it a new one. Whatever it is called, ${SIMULATED} stands before it.`, pattern: '^[A-Za-z0-9_.-]{1,100}$' })),
        every: Type.Optional(Type.String({ description: 'From one reading to the next.', default: '1s', maxLength: 20 })),
        healthy: count('Readings before the fault.', 1, 600), faulty: count('Readings that it lasts; a spike is one.', 1, 60), after: count('Readings after it.', 0, 30),
        level: Type.Optional(Type.Number({ description: 'What is usual: normal noise around this.', default: 20 })), noise: Type.Optional(Type.Number({ description: 'Its standard deviation.', minimum: 0, default: 1 })),
        values: Type.Optional(Type.Array(Type.Number(), { description: 'What is usual instead: these, over and over, such as rows of a real series.', minItems: 2, maxItems: MOST })),
        size: Type.Optional(Type.Number({ description: 'Of the fault, in the unit of the metric; without it one that is easy to see.' })), seed: Type.Optional(Type.Integer({ description: 'The same seed gives the same values.', minimum: 0, maximum: 2 ** 31, default: 1 }))
      }, { additionalProperties: false }),
      response: {
        202: {
          description: 'Durable in the log.', ...Type.Object({
            simulated: Type.Literal(true), tenant: Type.String(), device: Type.String(), metric: Type.String(), readings: Type.Integer(), positions: Type.Object({ from: Type.Integer(), to: Type.Integer() }, { description: 'Places in the log.' }),
            label: Type.Object({ kind: Type.String(), from: Moment, to: Moment, size: Type.Number() }, { description: 'The truth: what is wrong, from when on, and from when on no more.' })
          })
        },
        ...failures(404, 409, 413, 415)
      }
    }
  }, async (request, reply) => {
    const { params: { kind }, body: { pipeline, metric, device = randomText(NAME), ...asked } } = request, tenant = tenantFor(request), run = runOf(plane, pipeline), { journal } = run
    if (journal === undefined || plane.plant === undefined) throw new MillraceError('api/conflict', `the source of "${pipeline}" has no log of its own that readings could be put into`, { help: 'a pipeline that reads mqtt, broker, nats or http' })
    const every = spanOf(asked.every), lasts = every * (asked.healthy + (kind === 'spike' ? 1 : asked.faulty) + asked.after - 1)
    if (asked.healthy + asked.faulty + asked.after > MOST) throw new MillraceError('api/invalid', `more than ${MOST} readings are asked for`)
    if (lasts > STALE) throw new MillraceError('api/invalid', `they would go back ${Math.round(lasts / 1000)} s, at most ${STALE / 1000} s are possible: alerts of what is older are told to nobody`, { help: 'a shorter every, or fewer readings' })
    const wait = quota.wait(tenant, Date.now() / 1000)
    if (wait > 0) throw later(reply, wait, `the tenant "${tenant}" has sent more readings than it may a second`)
    const { readings, label } = plane.plant({ ...asked, kind: kind === 'drift-event' ? 'drift' : kind as PlantedKind, every, end: Date.now() }), name = SIMULATED + device
    const positions: number[] = []
    for (const { time, value } of readings) {
      const position = journal.append({ topic: `${tenant}/${name}/${metric}`, payload: NOTHING, reading: { tenant, device: name, metric, time, value }, request: { id: request.id, key: request.actor!.id, tenant } })
      if (position === undefined) throw new MillraceError('api/busy', `the log has no room: ${positions.length} of ${readings.length} readings are in it`)
      positions.push(position)
    }
    quota.take(tenant, readings.length, Date.now() / 1000)
    await journal.wal.flush()
    return await reply.code(202).send({
      simulated: true, tenant, device: name, metric, readings: readings.length, positions: { from: positions[0], to: positions.at(-1) },
      label: { ...label, from: new Date(label.from).toISOString(), to: new Date(label.to).toISOString() }
    })
  })
}

const NOTHING = new Uint8Array(0)

/** A key of one tenant sends as that one. */
function tenantFor ({ actor, body: { tenant } }: FastifyRequest<{ Body: Body }>): string {
  const own = actor!.tenant
  if (own !== null && tenant !== undefined && tenant !== own) throw new MillraceError('api/not-found', `there is no tenant "${tenant}"`)
  return tenantName(own ?? tenant ?? DEFAULT_TENANT)
}

function spanOf (text: string): number {
  const ms = duration(text)
  if (!(ms > 0)) throw new MillraceError('api/invalid', `every "${text}" is no span`, { help: 'such as 1s or 100ms' })
  return ms
}
