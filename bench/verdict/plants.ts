import { key, Random } from '../../models/random.ts'
import { DAY, HOUR, START } from './world.ts'

/** When plants run: always; from 6 to 18; that from Monday to Friday; day and night from Monday to Friday. */
export const plants = ['always', 'nights', 'nights and weekends', 'weekends'] as const
export type Plant = typeof plants[number]

const JITTER = HOUR / 2              // a switch is early or late by at most so much

/** Whether the plant of this device runs at an instant. */
export function runs (plant: Plant, seed: number, t: number): boolean {
  if (plant === 'always') return true
  const day = Math.floor((t - START) / DAY), hour = t - START - day * DAY
  const late = (day: number, which: number) => new Random(key(seed, 10, day, which)).between(-JITTER, JITTER)
  const weekdays = plant !== 'nights', off = weekdays && day % 7 > 4
  if (off) return false
  if (plant !== 'weekends') return hour >= 6 * HOUR + late(day, 0) && hour < 18 * HOUR + late(day, 1)
  return !(day % 7 === 0 && hour < JITTER + late(day, 0)) && !(day % 7 === 4 && hour >= DAY - JITTER + late(day, 1))
}
