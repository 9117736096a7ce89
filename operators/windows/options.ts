/** The options that all operators have that make windows of features. */
import { Type } from '#engine'
import { features as running, type Feature as Running } from '../../models/features.ts'
import { isFrequency, isSequence, LONGEST, sampleFeatures, type SampleFeature } from '../../models/samples.ts'
import { FEWEST } from '../../models/spectrum.ts'
import { gridOptionsOf } from '../shared/zone.ts'

export type Feature = Running | SampleFeature
export const features: readonly Feature[] = [...running, ...sampleFeatures]
export const usual = ['mean', 'min', 'max', 'count'] as const satisfies readonly Feature[]

/** The columns of a feature: for each band one, numbered from 1, or one of its name. */
export type ColumnOf<F extends string> = F extends 'band_energy' | 'envelope_energy' ? `${F}_${number}` : F

const band = Type.Array(Type.Number({ minimum: 0 }), { minItems: 2, maxItems: 2 })
const bands = (description: string) => Type.Array(band, { description, default: [] })

export const featureOptions = {
  features: Type.Array(Type.Union(features.map(f => Type.Literal(f))), { description: 'What to work out; the first one becomes the value.', minItems: 1, uniqueItems: true, default: [...usual] }),
  above: Type.Optional(Type.Number({ description: 'Level of `time_above` and `duty_cycle`.' })),
  lag: Type.Integer({ description: 'Lag of `autocorrelation`, in readings.', minimum: 1, maximum: LONGEST - 1, default: 1 }),
  order: Type.Integer({ description: 'Length of the patterns of `permutation_entropy`.', minimum: 2, maximum: 6, default: 3 }),
  bands: bands('Bands [from, to] of `band_energy`, in Hz: a column each.'),
  carrier: Type.Array(Type.Number({ minimum: 0 }), { description: 'Band [from, to] of which the envelope is taken, in Hz.', minItems: 2, maxItems: 2, default: [0, 1e300] }),
  envelope: bands('Bands [from, to] of `envelope_energy`, in Hz of the envelope: a column each.')
}

export const gridOptions = gridOptionsOf('windows')

/** As written. */
export interface FeatureOptions<F extends string> {
  readonly features?: readonly F[]
  readonly above?: number
  readonly lag?: number
  readonly order?: number
  readonly bands?: readonly (readonly [from: number, to: number])[]
  readonly carrier?: readonly [from: number, to: number]
  readonly envelope?: readonly (readonly [from: number, to: number])[]
  readonly id?: string
}
/** As checked. */
export interface FeatureValues { readonly features: readonly Feature[], readonly above?: number, readonly lag?: number, readonly order?: number, readonly bands?: readonly number[][], readonly carrier?: number[], readonly envelope?: readonly number[][] }

/** What is missing or cannot be meant. `readings`: those of every window. */
export function checkFeatures ({ features, above, bands = [], carrier = [0, 1], envelope = [], lag = 1, order = 3, readings }: FeatureValues & { readonly readings?: number }): string | undefined {
  const has = (feature: Feature) => features.includes(feature)
  if ((has('time_above') || has('duty_cycle')) && above === undefined) return '"time_above" and "duty_cycle" need `above`'
  if (has('band_energy') && bands.length === 0) return '"band_energy" needs `bands`'
  if (has('envelope_energy') && envelope.length === 0) return '"envelope_energy" needs bands in `envelope`'
  const empty = [...bands, carrier, ...envelope].find(([from, to]) => !(from < to))
  if (empty !== undefined) return `the band [${empty.join(', ')}] is empty`
  if (readings === undefined) return undefined
  const held = features.find(isSequence), frequency = features.find(isFrequency), none = `has no value in windows of ${readings} reading${readings === 1 ? '' : 's'}`
  if (held !== undefined && readings > LONGEST) return `"${held}" ${none}: \`readings\` must be at most ${LONGEST}`
  if (frequency !== undefined && readings < FEWEST) return `"${frequency}" ${none}: \`readings\` must be at least ${FEWEST}`
  if (has('autocorrelation') && readings <= lag) return `"autocorrelation" ${none} at a lag of ${lag}: \`readings\` must be more than \`lag\``
  return has('permutation_entropy') && readings < order ? `"permutation_entropy" ${none} with patterns of ${order}: \`readings\` must be at least \`order\`` : undefined
}
