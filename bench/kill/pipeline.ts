import { HIGH, stepOf, type Plan } from './readings.ts'

export const NAME = 'kill'
export const TENANT = 'default'
export const TABLES = { readings: 'readings', windows: 'features' } as const
export const ALERT = 'high'

/** What the pipeline does, in numbers: the oracle works by the same ones. Times in us of event time unless said otherwise. */
export interface Settings {
  readonly lateness: number
  readonly every: number             // length of a window
  readonly within: number            // of dedupe
  readonly alpha: number             // of ewma
  readonly zscore: { readonly over: number, readonly samples: number, readonly floor: number }       // over in ms
  readonly alert: { readonly above: number, readonly for: number }
}
export const features = ['count', 'mean', 'std', 'min', 'max', 'range', 'slope', 'first', 'last'] as const

const SECOND = 1_000_000

/** Windows of at least 1 s and 8 readings, and an alert after 3 or more, so that kills find them half-way. */
export function settingsOf (plan: Plan): Settings {
  const step = stepOf(plan)
  const seconds = (steps: number) => Math.ceil(Math.max(1, steps * step / SECOND)) * SECOND
  return {
    lateness: 2 * seconds(4), every: seconds(8), within: Math.max(60 * SECOND, seconds(40)), alpha: 0.1,
    zscore: { over: 60_000, samples: 12, floor: 0.01 },
    alert: { above: HIGH, for: Math.round(2.5 * step / 1000) * 1000 }
  }
}

/** A pipeline of everything that remembers: duplicates, scores, windows, an alert that waits. */
export function pipelineOf (from: unknown, settings: Settings, followers: readonly unknown[]): unknown {
  const { lateness, every, within, alpha, zscore, alert } = settings
  const ms = (us: number) => `${us / 1000}ms`
  return {
    name: NAME,
    from,
    time: { lateness: ms(lateness), idle: '10m' },
    pipe: [{ dedupe: { within: ms(within) } }, { ewma: { alpha } }, { zscore: { ...zscore, over: `${zscore.over}ms` } }],
    branches: { windows: { pipe: [{ tumbling: { every: ms(every), features } }], to: [{ postgres: { table: TABLES.windows } }] } },
    alerts: { [ALERT]: { when: { value: { above: alert.above } }, for: ms(alert.for) } },
    to: [{ postgres: { table: TABLES.readings } }, ...followers]
  }
}
