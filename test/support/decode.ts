import { Credits, Intake, options as checked, SeriesTable, Type, type Reason } from '#engine'
import { codecOptions, makeDecoder, type CodecOptions } from '../../connectors/codec/json.ts'
import { Topics } from '../../connectors/codec/topic.ts'

export const NOW = Date.UTC(2024, 4, 6, 12)
export interface Decoded { readonly readings: (readonly [string, number, number])[], readonly dead: (readonly [Reason, string])[] }

/** A codec on its own: messages in, readings as [tenant/device/metric, time, value] and dead letters as [reason, detail] out. */
export function codec (given: Record<string, unknown> = {}, templates: readonly string[] = ['{tenant}/{device}/{metric}', '{tenant}/{device}', 'plant/{site}/line/{type}'], { maxSeries = 1000 } = {}) {
  const series = new SeriesTable(maxSeries)
  const intake = new Intake(series, new Credits({ bytes: 1e12 }), { ahead: 60_000, after: 0 })
  const options = checked('codec', Type.Object(codecOptions), given) as CodecOptions
  const topics = new Topics(templates, series, { tenant: options.tenant })
  const decode = makeDecoder(options, topics, series, intake)
  const bytes = (payload: unknown): Uint8Array => payload instanceof Uint8Array ? payload : Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload))
  const take = () => intake.take(NOW)
  return {
    series, topics, take,
    push: (topic: string, payload: unknown, stamp?: unknown) => decode(topic, bytes(payload), NOW, stamp),
    read: (topic: string, payload: unknown, stamp?: unknown): Decoded => {
      decode(topic, bytes(payload), NOW, stamp)
      const { rows, dead } = take()
      const name = (id: number) => { const { tenant, device, metric } = series.name(id); return `${tenant}/${device}/${metric}` }
      return { readings: Array.from(rows.time, (time, i) => [name(rows.series[i]), time, rows.value[i]] as const), dead: dead.map(d => [d.reason, d.detail] as const) }
    }
  }
}
