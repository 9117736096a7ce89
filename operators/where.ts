import { defineOperator, matcher, note, Type, type SeriesTable } from '#engine'

const names = (description: string) => Type.Optional(Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })], { description }))

interface Wanted {
  readonly tenant?: string | readonly string[]
  readonly device?: string | readonly string[]
  readonly metric?: string | readonly string[]
  readonly tag?: Readonly<Record<string, string | readonly string[]>>
}

/**
 * Keeps the readings whose names match; several options: all of them. Names are looked at once per series, and again
 * when its device's tags have changed, from the next batch on: a row costs two array reads.
 */
export const where = defineOperator({
  name: 'where',
  summary: 'Keeps the readings of some tenants, devices, metrics or tags; * stands for any characters.',
  options: Type.Object({
    tenant: names('Tenant, or several.'),
    device: names('Device, or several.'),
    metric: names('Metric, or several.'),
    tag: Type.Optional(Type.Record(Type.String(), Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })]), { description: 'Tags of the device, each a value or several. A device without the tag does not match.' }))
  }),
  perSeries: { verdict: note },          // 0: not looked at; else 2 * (how often the tags had changed + 1) + keep
  drops: 'filtered',
  check: wanted => Object.keys(wanted).length === 0 ? 'say what to keep: tenant, device, metric or tag' : undefined,

  process (batch, wanted, { verdict }, { series: table }) {
    const { deviceOf, tagged } = table
    let matches: ((series: number) => boolean) | undefined
    return batch.filter(i => {
      const s = batch.series[i]
      const now = 2 * (tagged[deviceOf[s]] + 1)
      if (verdict[s] < now) {
        matches ??= matching(wanted, table)
        verdict[s] = now + (matches(s) ? 1 : 0)
      }
      return (verdict[s] & 1) === 1
    })
  }
})

function matching (wanted: Wanted, table: SeriesTable): (series: number) => boolean {
  const any = () => true
  const tenant = wanted.tenant === undefined ? any : matcher(wanted.tenant)
  const device = wanted.device === undefined ? any : matcher(wanted.device)
  const metric = wanted.metric === undefined ? any : matcher(wanted.metric)
  const tags = Object.entries(wanted.tag ?? {}).map(([key, values]) => [key, matcher(values)] as const)
  return series => {
    const name = table.name(series), has = table.tags(table.deviceOf[series])
    return tenant(name.tenant) && device(name.device) && metric(name.metric) && tags.every(([key, matches]) => Object.hasOwn(has, key) && matches(has[key]))
  }
}
