import type { Scale } from './faults.ts'

/**
 * One metric of a device, as a function of the device's hidden load L (about 0.5 on average, 1 is full):
 *
 *   y(t)     = y(t - dt) + (1 - exp(-dt / lag)) * (L(t) - y(t - dt))      first-order lag; lag 0: y = L
 *   value(t) = base + gain * y(t) + bend * y(t)^2 + noise * normal
 *
 * `base` differs between devices by 2 % (one standard deviation), `gain` by 10 %.
 */
export interface MetricModel {
  readonly base: number
  readonly gain: number
  readonly bend: number
  readonly lag: number               // ms
  readonly noise: number             // standard deviation of the sensor
  readonly stride: number            // read at every stride-th interval
  readonly factor: number            // of a fault `unit`
  readonly unit: string
}

/** The metrics there are. Values are those of a medium-sized electric motor with a pump. */
export const metricModels = {
  temperature: { base: 35, gain: 40, bend: 0, lag: 15 * 60_000, noise: 0.25, stride: 2, factor: 1.8, unit: '°C' },
  vibration: { base: 0.8, gain: 0.6, bend: 3, lag: 0, noise: 0.12, stride: 1, factor: 1000, unit: 'mm/s' },
  current: { base: 2, gain: 14, bend: 0, lag: 0, noise: 0.15, stride: 1, factor: 1000, unit: 'A' },
  pressure: { base: 6.5, gain: -1.8, bend: 0, lag: 20_000, noise: 0.04, stride: 1, factor: 1000, unit: 'bar' },
  flow: { base: 4, gain: 60, bend: -12, lag: 5_000, noise: 0.6, stride: 1, factor: 1000, unit: 'l/min' },
  speed: { base: 1490, gain: -35, bend: 0, lag: 0, noise: 1.5, stride: 1, factor: 0.016666666666666666, unit: '1/min' },
  voltage: { base: 401, gain: -6, bend: 0, lag: 0, noise: 0.8, stride: 2, factor: 0.001, unit: 'V' },
  power: { base: 0.9, gain: 6.5, bend: 1.5, lag: 0, noise: 0.08, stride: 1, factor: 1000, unit: 'kW' },
  oil: { base: 30, gain: 28, bend: 0, lag: 45 * 60_000, noise: 0.15, stride: 4, factor: 1.8, unit: '°C' },
  sound: { base: 62, gain: 14, bend: 4, lag: 0, noise: 0.7, stride: 2, factor: 0.1, unit: 'dB' }
} as const satisfies Record<string, MetricModel>
export type MetricName = keyof typeof metricModels

const LOAD_SPREAD = 0.2              // of the load, about

/** The healthy mean and standard deviation of a metric, about: the load is 0.5 on average and spreads by 0.2. */
export const scaleOf = ({ base, gain, bend, noise, factor }: MetricModel): Scale =>
  ({ centre: base + gain / 2 + bend / 4, spread: Math.hypot((gain + bend) * LOAD_SPREAD, noise), factor })
