import type { FastifyInstance } from 'fastify'
import { readDefinition } from '../definition.ts'
import { MillraceError } from '../errors.ts'
import { Type } from '../options.ts'
import { playWithin } from '../trial.ts'
import { parseGiven } from '../trial/given.ts'
import type { Entry } from '../trial/compare.ts'
import { failures } from './problem.ts'
import type { Plane } from './server.ts'

const LINES = 5000, WORK = 2000      // ms
const ROWS = 10_000                  // that come back, of each branch

interface Body { readonly pipeline: string, readonly given: string }
const Found = Type.Array({ type: 'object', additionalProperties: true } as never)

/** Pipelines tried out on some readings, as `millrace test` does: in virtual time, with no database and no network. Nothing is kept. */
export async function trials (app: FastifyInstance, { components }: Plane): Promise<void> {
  app.post<{ Body: Body }>('/api/v1/pipelines/try', {
    config: { scope: 'pipelines:write' },
    schema: {
      summary: 'What comes out of a pipeline that is given some readings. Nothing is stored or sent.', tags: ['pipelines'],
      description: `At most ${LINES} lines and ${WORK / 1000} s of work; at most ${ROWS} rows of each branch come back.`,
      body: Type.Object({
        pipeline: Type.String({ description: 'The pipeline, YAML. Its source and sinks are not used.', minLength: 1 }),
        given: Type.String({ description: 'A reading per line, in the order of arrival, as in tests of pipelines: 00:00:00 boiler-1/temp 80.', minLength: 1 })
      }, { additionalProperties: false }),
      response: {
        200: Type.Object({
          rows: Type.Record(Type.String(), Found, { description: 'By branch; trunk is that of the pipeline itself.' }), alerts: Type.Record(Type.String(), Found), late: Found,
          counts: Type.Record(Type.String(), Type.Number()), truncated: Type.Boolean({ description: 'There were more rows.' })
        }),
        ...failures(413, 415, 504)
      }
    }
  }, async ({ body: { pipeline: text, given } }) => {
    const pipeline = readDefinition(text, components), { lines, problems } = parseGiven(given)
    if (problems.length > 0) throw new MillraceError('api/invalid', problems.map(({ row, message }) => `given, line ${row + 1}: ${message}`).slice(0, 10).join('; '), { help: problems[0].help })
    if (lines.length > LINES) throw new MillraceError('api/invalid', `given has ${lines.length} lines, at most ${LINES} are tried`)
    const { rows, alerts, late, counts } = await playWithin(pipeline, lines, WORK)
    const named = Array.from(rows, ([branch, entries]) => [branch === '' ? 'trunk' : branch, entries] as const)
    return {
      rows: Object.fromEntries(named.map(([branch, entries]) => [branch, entries.slice(0, ROWS).map(plain)])),
      alerts: Object.fromEntries(Array.from(alerts, ([alert, entries]) => [alert, entries.map(plain)])),
      late: late.slice(0, ROWS).map(plain), counts, truncated: named.some(([, entries]) => entries.length > ROWS) || late.length > ROWS
    }
  })
}

/** Times as text, and what is no number as null. */
const plain = (entry: Entry): Entry => Object.fromEntries(Object.entries(entry).map(([key, value]) =>
  [key, typeof value !== 'number' ? value : !Number.isFinite(value) ? null : key === 'time' || key === 'since' ? new Date(value).toISOString() : value]))
