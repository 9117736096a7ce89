import { join, resolve } from 'node:path'
import { key } from '../models/random.ts'
import { devicesIn, readDevice, readLabelled, writeDevice, writeLabelled, type DeviceReadings, type Labelled } from './device-files.ts'
import { atLeast, cpuOf, missed, mustEqual, round, type Benchmark } from './measure.ts'
import { files, wrong } from './series-files.ts'
import { END, kinds, verdicts, type Cause, type Verdict } from './verdict/causes.ts'
import { plants, type Plant } from './verdict/plants.ts'
import { LEARN as WEEKS, outcomeOf, outcomes, plantOutcomes, readingsOf, told, toldOf, type Outcome, type Told } from './verdict/told.ts'
import { DAY, EVERY, names, START } from './verdict/world.ts'

const CAUSES = 104, WEEK = 7 * DAY, HEALTHY = 10 * DAY, LEARN = 3 * DAY

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

/** Writes a device with a cause, and gives the label of that. */
export function writeCause (folder: string, readings: DeviceReadings, { verdict, kind, metric, from, to }: Cause): Labelled {
  writeDevice(folder, readings)
  return { device: readings.name, metric: metric < 0 ? '' : names[metric], kind, verdict, from, to: Math.min(to, END) }
}

/** The causes that labels of a folder name, a device each. */
function given (folder: string): Outcome[] {
  return readLabelled(folder, 'verdict').map(({ device, metric, kind, verdict, from, to }) => {
    if (!verdicts.includes(verdict as Verdict)) throw wrong(`${folder}: a label with the verdict "${verdict}"; there are: ${verdicts.join(', ')}`)
    const readings = readDevice(join(folder, `${device}.csv`))
    return outcomeOf({ verdict: verdict as Verdict, kind, from, metric: readings.metrics.indexOf(metric) }, toldOf(readings, from, to))
  })
}

const share = (of: readonly unknown[], n: number): number => of.length === 0 ? NaN : round(n / of.length)
const median = (of: readonly number[]): number => of.length === 0 ? NaN : [...of].sort((a, b) => a - b)[of.length >> 1]

export const verdictBench: Benchmark = {
  summary: 'device, model or sensor: what is said last of simulated causes, and of healthy devices',
  unit: 'all causes',
  options: {
    seed: { type: 'string', default: '2026' },
    causes: { type: 'string', default: `${CAUSES}` },       // of each verdict
    weeks: { type: 'string', default: '20' },         // of a device to which nothing happens
    ...files,                                         // folders causes, with labels.csv, and healthy; a file a device
    plant: { type: 'string', default: '' }            // causes in a plant that stops, or in one that does not, behind three weeks; none: behind three days
  },
  check ({ plant, data, write, ...options }) {
    if (plant !== '' && (data !== '' || write !== '')) throw new Error('--plant has no --data and no --write')
    if (plant !== '' && !plants.includes(plant as Plant)) throw new Error(`--plant ${plant}: must be one of ${plants.join(', ')}`)
    if (plant !== '' && Number(options.causes) % KINDS !== 0) throw new Error(`--causes ${options.causes}: in a plant it must be a multiple of ${KINDS}`)
    for (const [name, text] of Object.entries(options)) if (!/^[1-9]\d*$/.test(text)) throw new Error(`--${name} ${text}: must be a whole number, at least 1`)
  },
  async run (say, options) {
    const [seed, count, weeks] = [options.seed, options.causes, options.weeks].map(Number)
    const plant = options.plant === '' ? undefined : options.plant as Plant
    const { data, write } = options, folder = (of: string, name: string) => join(resolve(of), name), labels: Labelled[] = []
    const keep = (readings: DeviceReadings, cause: Cause) => { labels.push(writeCause(folder(write, 'causes'), readings, cause)) }
    const all = data !== '' ? given(folder(data, 'causes')) : plant === undefined ? verdicts.flatMap(verdict => heard(say, outcomes(key(seed, 1), count, [verdict], write === '' ? undefined : keep), verdict)) : causesIn(plant, key(seed, 3, plants.indexOf(plant)), count / KINDS, say)
    const wrong: Told[] = [], learn = plant === undefined ? LEARN : 14 * DAY, until = plant === undefined ? HEALTHY : 42 * DAY
    if (write !== '') writeLabelled(folder(write, 'causes'), labels)
    const span = until - learn
    let ns = 0, watched = 0, readings = 0
    const hear = (time: number, count: number, what: () => Told[]) => {
      ns += cpuOf(() => { wrong.push(...what()) })
      watched += time / WEEK
      readings += count
    }
    if (data !== '') for (const one of devicesIn(folder(data, 'healthy')).map(readDevice)) {
      const [first] = one.arrival, last = one.arrival[one.arrival.length - 1]
      hear(Math.max(0, last - first - learn), one.arrival.length, () => toldOf(one, first + learn, Infinity))
    } else for (let n = 0; n < Math.max(1, Math.round(weeks * WEEK / span)); n++) {
      if (write !== '') writeDevice(folder(write, 'healthy'), readingsOf(key(seed, 2, n), `${n}`, undefined, START + until))
      hear(span, names.length * until / EVERY, () => told(key(seed, 2, n), undefined, START + learn, START + until, plant))
    }
    const of = (verdict: Verdict) => all.filter(o => o.cause.verdict === verdict)
    const confusion = Object.fromEntries(verdicts.map(verdict => [verdict, Object.fromEntries([...verdicts, 'none'].map(said => [said, of(verdict).filter(o => o.said === said).length]))]))
    for (const verdict of verdicts) mustEqual(`the number of causes of ${verdict}`, Object.values(confusion[verdict]).reduce((a, b) => a + b), data === '' ? count : of(verdict).length)
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
      causes_of_each: data === '' ? count : all.length / verdicts.length, device_weeks: round(watched, 4), ...plant === undefined ? {} : { plant, learned_days: WEEKS }, ns_per_reading_all_steps: round(ns / readings)
    }]
  },
  fault: (figures, { data, plant, causes } = {}) => data === '' && plant === '' && Number(causes) >= CAUSES ? missed(figures, { diagonal_min: atLeast(0.9) }) : undefined
}
