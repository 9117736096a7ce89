import { defineOperator, Duration, Type } from '#engine'
import { Forecaster } from '../models/forecaster.ts'
import { LARGEST } from '../models/largest.ts'
import { once } from './shared/once.ts'
import { checkZone, gridOptionsOf, stepsAt } from './shared/zone.ts'

const MOST = 2016                    // steps of a season: a week of five minutes
const FARTHEST = 2500                // steps of all horizons together: 380 KB for a series
const columns = (horizon: number) => [`forecast_${horizon}`, `forecast_${horizon}_low`, `forecast_${horizon}_high`, `forecast_${horizon}_coverage`, `forecast_${horizon}_relative`] as const
interface Plan { readonly every: number, readonly seasons: readonly number[], readonly horizons: readonly number[], readonly level: number }

const forecasterOf = once(({ every, seasons, horizons, level }: Plan) => new Forecaster(seasons.map(s => s / every), horizons, level))

function check ({ every, seasons, horizons }: Plan): string | undefined {
  if (!(every > 0)) return 'every must be longer than nothing'
  const odd = seasons.find((season, i) => season % every !== 0 || season / every < 2 || season / every > MOST || (i > 0 && season % seasons[i - 1] !== 0) || season === seasons[i - 1])
  if (odd !== undefined) return `seasons: each must be 2 to ${MOST} steps of \`every\` long and a multiple of the one before; ${odd / every} steps are not (aggregate to longer steps, or leave it out)`
  const sum = horizons.reduce((a, b) => a + b)
  return sum > FARTHEST ? `horizons: together at most ${FARTHEST} steps, as every forecast waits for its step; these are ${sum}` : undefined
}

/**
 * Where each series will be: the next values of a series that comes in even steps, usually the rows of a window. See
 * models/forecaster.ts for methods, sources and limits. For each horizon H, in steps:
 *
 *   forecast_H            the value expected H steps later, in the unit of the value
 *   forecast_H_low,high   where it is expected to lie, in `level` of all cases
 *   forecast_H_coverage   the share of such intervals so far that held, 0 to 1
 *   forecast_H_relative   mean absolute error of the combined forecast over that of the best baseline, lately. Not below 1: the baseline is given
 *
 * Steps are those of windows with the same `every`, `offset` and `zone`, counted by what clocks read: one that they skip is bridged,
 * and of one that they repeat the second row is a step that has been.
 *
 * What is not known yet has no value. Nor has a row without a value (or with one beyond 1e100), or one whose step has been before; it teaches nothing.
 */
export const forecast = defineOperator({
  name: 'forecast',
  summary: 'Forecasts of each series some steps ahead, with prediction intervals that keep their promise.',
  options: Type.Object({
    every: Duration({ description: 'Length of a step: as often as the series comes, such as `every` of the window before.' }),
    ...gridOptionsOf('steps'),
    seasons: Type.Array(Duration({ description: 'A season.' }), { description: 'Seasons, the shortest first, each a multiple of the one before.', default: ['1d', '1w'] }),
    horizons: Type.Array(Type.Integer({ minimum: 1 }), { description: 'How many steps ahead: columns each.', minItems: 1, uniqueItems: true, default: [1] }),
    level: Type.Number({ description: 'The share of cases that lie in the interval.', minimum: 0.5, maximum: 0.99, default: 0.95 })
  }),
  adds: ({ horizons }): string[] => horizons.flatMap(columns),
  learns: true,
  says: 'forecast',
  perSeries: options => ({ memory: forecasterOf(options).shape }),
  tuning: ['level'],
  check: options => checkZone(options) ?? check(options),

  process (batch, options, { memory: { data, width } }) {
    const steps = stepsAt(batch.time, options.every, options.offset, options.zone), forecaster = forecasterOf(options), { point, half, coverage, relative } = forecaster
    const added: Record<string, Float64Array> = {}
    const out = options.horizons.map(h => columns(h).map(name => added[name] = new Float64Array(batch.length).fill(NaN)))
    for (let i = 0; i < batch.length; i++) {
      const x = batch.value[i]
      if (!(Math.abs(x) < LARGEST) || !forecaster.next(data, batch.series[i] * width, steps[i], x)) continue
      for (let k = 0; k < out.length; k++) {
        const [ahead, low, high, covered, compared] = out[k]
        ahead[i] = point[k]
        low[i] = point[k] - half[k]
        high[i] = point[k] + half[k]
        covered[i] = coverage[k]
        compared[i] = relative[k]
      }
    }
    return batch.with(added)
  }
})
