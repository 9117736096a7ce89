import { defineOperator, Type, type Held, type Shapes } from '#engine'
import { Adwin } from '../models/adwin.ts'
import { Cusum } from '../models/cusum.ts'
import { limitsOf } from '../models/cusum-limits.ts'
import type { Detector } from '../models/detector.ts'
import { Kswin } from '../models/kswin.ts'
import { LARGEST } from '../models/largest.ts'
import { PageHinkley } from '../models/page-hinkley.ts'
import { levelOf, residual, residuals } from '../models/recursive-residuals.ts'
import { dithered, rounding } from '../models/rounding.ts'
import { CLOCK, confidenceOf, distanceOf } from '../models/run-length.ts'
import { once } from './shared/once.ts'

type Memory = { readonly level: typeof residuals, readonly test: Detector['state'], readonly rounded: typeof rounding }
interface Options { readonly method: Method, readonly runLength: number, readonly shift: number }
/** A test, and the standard deviations that a reading counts as at most, so that a wild one is no change. */
interface Plan { readonly detector: Detector, readonly clip: number }
const CLIP = 3
const methods = {
  cusum ({ runLength, shift }: Options): Plan {
    const allowance = shift / 2, { threshold, clip } = limitsOf(allowance, runLength)
    return { detector: new Cusum(allowance, threshold), clip }
  },
  page_hinkley ({ runLength, shift }: Options): Plan {
    const allowance = shift / 2, { threshold, clip } = limitsOf(allowance, runLength)
    return { detector: new PageHinkley(allowance, threshold, { samples: 1, clip }), clip: Math.max(clip, CLIP) }      // it limits what is off its mean
  },
  adwin: ({ runLength }: Options): Plan => ({ detector: new Adwin(confidenceOf(runLength), CLOCK), clip: CLIP }),
  kswin: ({ runLength }: Options): Plan => ({ detector: new Kswin(distanceOf(runLength)), clip: CLIP })
}
type Method = keyof typeof methods
const planOf = once((options: Options): Plan => methods[options.method](options))
const method = <M extends Method>(name: M) => Type.Literal(name)

/**
 * The moment at which a series changes, by a sequential test with a stated average run length: so many readings, on average,
 * until a false change, not counting those that are learned from. Readings are first made independent standard normal numbers,
 * as far as an autoregression of order 1 can (models/recursive-residuals.ts); on these runs the method:
 *
 *   cusum          cumulative sums, best for lasting shifts of the mean of about `shift`
 *   page_hinkley   the same idea against a running mean
 *   adwin          windows of every length, for shifts of any size; looks at every 8th reading
 *   kswin          the last 30 readings against the 70 before, for large changes of spread and shape too; to rounded ones it
 *                  adds chance in what was rounded off (models/rounding.ts)
 *
 *   change           1 at the reading with which a change is found, else 0
 *   change_size      by how many standard deviations of the series its mean has moved, as far as can be told (`adwin` and
 *                    `kswin`: at most 3 of what it does not predict); 0 when there is no change
 *   change_after     how many readings ago it began, as far as can be told; 0 when there is no change
 *   change_learned   readings learned so far, up to `samples`
 *
 * Until `samples` readings are learned all but change_learned have no value. After a change everything is forgotten and
 * learned anew. A reading without a value (or with one beyond 1e100) has no change and teaches nothing. Readings count in the
 * order they arrive. Bytes per series: 184 and those of the method: 48 for cusum, 80, 1,704, 1,648.
 */
export const change = defineOperator({
  name: 'change',
  summary: 'The moment at which a series changes, by CUSUM, Page-Hinkley, ADWIN or KSWIN with a stated average run length.',
  options: Type.Object({
    method: Type.Union([method('cusum'), method('page_hinkley'), method('adwin'), method('kswin')], { description: 'The test.', default: 'cusum' }),
    runLength: Type.Integer({ description: 'Average run length: readings, on average, until a false change, not counting those that are learned from.', minimum: 100, maximum: 1_000_000, default: 10_000 }),
    shift: Type.Number({ description: 'Shift of the mean that is to be found soonest, in standard deviations: of `cusum` and `page_hinkley`.', minimum: 0.1, maximum: 4, default: 1 }),
    samples: Type.Integer({ description: 'Readings to learn from before the first change.', minimum: 5, default: 100 })
  }),
  adds: ['change', 'change_size', 'change_after', 'change_learned'],
  explains: ({ samples }) => ({ learning: { learned: 'change_learned', of: samples } }),
  version: 2,                            // kswin knows how its readings are rounded
  learns: true,
  says: 'drift',
  perSeries: (options): Shapes => ({ level: residuals, test: planOf(options).detector.state, ...options.method === 'kswin' ? { rounded: rounding } : {} }),
  tuning: ['runLength', 'shift', 'samples'],

  process (batch, options, memory) {
    const { level, test, rounded } = memory as unknown as Pick<Held<Memory>, 'level' | 'test'> & Partial<Held<Memory>>, { samples } = options, { detector, clip } = planOf(options)
    const column = () => new Float64Array(batch.length)
    const change = column(), size = column(), after = column(), learned = column()
    for (let i = 0; i < batch.length; i++) {
      const s = batch.series[i], l = s * level.width, t = s * test.width, x = batch.value[i]
      const n = Number.isNaN(level.data[l + level.field.last]) ? 0 : level.data[l + level.field.n] + 1
      learned[i] = Math.min(n, samples)
      const z = Math.abs(x) < LARGEST ? residual(level.data, l, rounded === undefined ? x : dithered(rounded.data, s * rounded.width, x)) : NaN
      if (n < samples) change[i] = size[i] = after[i] = NaN
      if (n < samples || Number.isNaN(z) || !detector.update(test.data, t, z > clip ? clip : z < -clip ? -clip : z, z)) continue
      change[i] = 1
      size[i] = levelOf(level.data, l, detector.size)
      after[i] = detector.after
      level.data.set(level.initial, l)
      test.data.set(test.initial, t)
      rounded?.data.set(rounded.initial, s * rounded.width)
    }
    return batch.with({ change, change_size: size, change_after: after, change_learned: learned })
  }
})
