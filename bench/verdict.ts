import { key } from '../models/random.ts'
import { cpuOf, mustEqual, round, type Benchmark } from './measure.ts'
import { kinds, verdicts, type Verdict } from './verdict/causes.ts'
import { plants, type Plant } from './verdict/plants.ts'
import { LEARN as WEEKS, outcomes, plantOutcomes, told, type Outcome, type Told } from './verdict/told.ts'
import { DAY, names, START } from './verdict/world.ts'

const WEEK = 7 * DAY, HEALTHY = 10 * DAY, LEARN = 3 * DAY

/** As many causes of each verdict in a plant: one device has each kind of a sensor once. */
const KINDS = Math.max(...verdicts.map(verdict => kinds[verdict].length))

function heard (say: (line: string) => void, some: Outcome[], verdict: Verdict): Outcome[] {
  say(`${some.length} of ${verdict}: ${some.filter(o => o.said === verdict).length} right`)
  return some
}

function causesIn (plant: Plant, seed: number, devices: number, say: (line: string) => void): Outcome[] {
  const all = Array.from({ length: devices }, (_, n) => plantOutcomes(key(seed, n), plant)).flat()
  return verdicts.flatMap(verdict => heard(say, all.filter(o => o.cause.verdict === verdict), verdict))
}

const share = (of: readonly unknown[], n: number): number => of.length === 0 ? NaN : round(n / of.length)
const median = (of: readonly number[]): number => of.length === 0 ? NaN : [...of].sort((a, b) => a - b)[of.length >> 1]

export const verdictBench: Benchmark = {
  summary: 'device, model or sensor: what is said last of simulated causes, and of healthy devices',
  unit: 'all causes',
  options: {
    seed: { type: 'string', default: '2026' },
    causes: { type: 'string', default: '104' },       // of each verdict
    weeks: { type: 'string', default: '20' },         // of a device to which nothing happens
    plant: { type: 'string', default: '' }            // causes in a plant that stops, or in one that does not, behind three weeks; none: behind three days
  },
  check ({ plant, ...options }) {
    if (plant !== '' && !plants.includes(plant as Plant)) throw new Error(`--plant ${plant}: must be one of ${plants.join(', ')}`)
    if (plant !== '' && Number(options.causes) % KINDS !== 0) throw new Error(`--causes ${options.causes}: in a plant it must be a multiple of ${KINDS}`)
    for (const [name, text] of Object.entries(options)) if (!/^[1-9]\d*$/.test(text)) throw new Error(`--${name} ${text}: must be a whole number, at least 1`)
  },
  async run (say, options) {
    const [seed, count, weeks] = [options.seed, options.causes, options.weeks].map(Number)
    const plant = options.plant === '' ? undefined : options.plant as Plant
    const all = plant === undefined ? verdicts.flatMap(verdict => heard(say, outcomes(key(seed, 1), count, [verdict]), verdict)) : causesIn(plant, key(seed, 3, plants.indexOf(plant)), count / KINDS, say)
    const wrong: Told[] = [], learn = plant === undefined ? LEARN : 14 * DAY, until = plant === undefined ? HEALTHY : 42 * DAY
    const span = until - learn, devices = Math.max(1, Math.round(weeks * WEEK / span)), watched = plant === undefined ? weeks : devices * span / WEEK
    let ns = 0
    for (let n = 0; n < devices; n++) ns += cpuOf(() => { wrong.push(...told(key(seed, 2, n), undefined, START + learn, START + until, plant)) })
    const of = (verdict: Verdict) => all.filter(o => o.cause.verdict === verdict)
    const confusion = Object.fromEntries(verdicts.map(verdict => [verdict, Object.fromEntries([...verdicts, 'none'].map(said => [said, of(verdict).filter(o => o.said === said).length]))]))
    for (const verdict of verdicts) mustEqual(`the number of causes of ${verdict}`, Object.values(confusion[verdict]).reduce((a, b) => a + b), count)
    const sensors = of('sensor').filter(o => o.said === 'sensor')
    return [{
      diagonal_min: Math.min(...verdicts.map(verdict => share(of(verdict), confusion[verdict][verdict]))), confusion,
      diagonal: Object.fromEntries(verdicts.map(verdict => [verdict, share(of(verdict), confusion[verdict][verdict])])),
      by_kind: Object.fromEntries(verdicts.flatMap(verdict => kinds[verdict].map(kind => {
        const mine = of(verdict).filter(o => o.cause.kind === kind)
        return [kind, share(mine, mine.filter(o => o.said === verdict).length)]
      }))),
      right_metric_of_sensors: share(sensors, sensors.filter(o => o.metric).length),
      median_minutes_to_first: round(median(all.map(o => o.delay).filter(x => !Number.isNaN(x))) / 60_000),
      false_verdicts_per_device_week: round(wrong.length / watched),
      false_by_name_per_device_week: Object.fromEntries(verdicts.map(verdict => [verdict, round(wrong.filter(w => w.verdict === verdict).length / watched)])),
      causes_of_each: count, device_weeks: watched, ...plant === undefined ? {} : { plant, learned_days: WEEKS }, ns_per_reading_all_steps: round(ns / (devices * names.length * until / 10_000))
    }]
  }
}
