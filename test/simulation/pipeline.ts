import { defineSink, defineSource, pipeline, Type, type Listener, type ListenerHost, type Pipeline, type Receiver, type SeriesTable, type Sink, type Store } from '#engine'
import { dedupe } from '../../operators/dedupe.ts'
import { ewma } from '../../operators/ewma.ts'
import { tumbling } from '../../operators/tumbling.ts'
import { validate } from '../../operators/validate.ts'
import { FEATURES } from './database.ts'

/** Times in ms of event time. */
export const TIME = { lateness: 3000, ahead: 30_000, idle: 8000, forget: 24_000 } as const
export const EVERY = 10_000, ALPHA = 0.25, MAX = 100, HIGH = 70, FOR = 2000
export const NAME = 'simulated'

/** What the world gives a pipeline. */
export interface Parts {
  listen (host: ListenerHost): Listener
  store (series: SeriesTable): Store
  follow (series: SeriesTable): Sink
  receive (): Receiver
}

/** A payload: readings as `metric,time,value` with `;` between them. Anything else cannot be parsed. */
export const payloadOf = (readings: readonly (readonly [metric: string, time: number, value: number])[]): string => readings.map(r => r.join(',')).join(';')
export function readingsOf (payload: string): (readonly [metric: string, time: number, value: number])[] | undefined {
  if (payload.startsWith('?')) return undefined
  return payload.split(';').map(text => {
    const [metric, time, value] = text.split(',')
    return [metric, Number(time), Number(value)]
  })
}

const NONE = Type.Object({}), TABLE = Type.Object({ table: Type.String() })       // once: a check is compiled for each declaration

/** A small pipeline of everything that remembers: duplicates, averages, windows with provisional rows, an alert that waits. */
export function pipelineOf (parts: Parts, dedupes: boolean): Pipeline {
  const source = defineSource({
    name: 'devices',
    summary: 'Simulated devices.',
    options: NONE,
    listen: (_, host) => parts.listen(host),
    decode: (_, series, intake) => (topic, payload, ingest, __, position) => {
      const at = intake.message(topic, payload, ingest, position)
      const readings = readingsOf(Buffer.from(payload).toString())
      if (readings === undefined) intake.reject('unparseable', 'not readings')
      else for (const [metric, time, value] of readings) intake.reading(series.id('default', topic, metric), time, value)
      return at
    }
  })
  const rows = defineSink({ name: 'rows', summary: 'The store.', options: TABLE, store: (_, __, host) => parts.store(host.series) })
  const follower = defineSink({ name: 'follower', summary: 'A follower.', options: NONE, follow: (_, host) => parts.follow(host.series) })
  const people = defineSink({ name: 'people', summary: 'A receiver.', options: NONE, receive: () => parts.receive() })
  const begun = pipeline(NAME)
    .from(source(), { lateness: `${TIME.lateness}ms`, ahead: `${TIME.ahead}ms`, idle: `${TIME.idle}ms`, forget: `${TIME.forget}ms`, dedupe: dedupes })
  const checked = begun.pipe(validate({ max: MAX }))
  const single: typeof checked = dedupes ? checked.pipe(dedupe({ within: '10m' })) as any : checked
  return single.pipe(ewma({ alpha: ALPHA }))
    .branch('windows', p => p.pipe(tumbling({ every: `${EVERY}ms`, features: FEATURES })).to(rows({ table: 'windows' })))
    .alert('high', { when: { value: { above: HIGH } }, for: `${FOR}ms` }, people())
    .to(rows({ table: 'readings' }), follower())
}
