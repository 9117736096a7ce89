import { key } from '../models/random.ts'
import { causes } from '../models/verdict.ts'
import { anomaly, hygiene, peers, verdict } from '../operators/index.ts'
import { cpuOf, mustEqual, round, type Benchmark } from './measure.ts'
import { causeOf, END, kinds, verdicts, type Cause, type Verdict } from './verdict/causes.ts'
import { run } from './verdict/run.ts'
import { DAY, names, START } from './verdict/world.ts'

/** The budgets of faults-found, fixed there. */
const BUDGET = { alarms: 0.1, per: '1w' } as const
const steps = () => [hygiene(), anomaly(BUDGET), peers(BUDGET), verdict()]
const WEEK = 7 * DAY, HEALTHY = 10 * DAY, LEARN = 3 * DAY

/** What was said of a device from a time on: by event what came last and of which metrics, and when anything was said first. */
export interface Told { readonly verdict: Verdict, readonly metrics: ReadonlySet<number>, readonly at: number }

/** One device to `end`: what it was told from `from` on, event by event. */
export function told (seed: number, cause: Cause | undefined, from: number, end: number): Told[] {
  const open = new Map<number, number>(), all: Told[] = []
  run(seed, cause, end, steps(), batch => {
    const { verdict: codes } = batch.columns as Record<string, Float64Array>
    for (let i = 0; i < batch.length; i++) {
      const code = codes[i], metric = batch.series[i], before = open.size
      if (code > 0) open.set(metric, code)
      else open.delete(metric)
      if (batch.time[i] < from || !(code > 0)) continue
      const verdict = causes[code - 1], last = all.at(-1)
      if (before === 0 || last === undefined) all.push({ verdict, metrics: new Set([metric]), at: batch.time[i] })
      else if (last.verdict !== verdict) all[all.length - 1] = { verdict, metrics: new Set([metric]), at: last.at }
      else (last.metrics as Set<number>).add(metric)
    }
  })
  return all
}

export interface Outcome { readonly cause: Cause, readonly said: Verdict | 'none', readonly metric: boolean, readonly delay: number }

/** What became of `count` causes of each verdict, of all kinds in turn: what was said last in their time, whether of a sensor the right one, and how many ms it took until anything was said. */
export function outcomes (seed: number, count: number, only: readonly Verdict[] = verdicts): Outcome[] {
  return only.flatMap(verdict => Array.from({ length: count }, (_, n): Outcome => {
    const device = key(seed, verdicts.indexOf(verdict), n), cause = causeOf(device, verdict, kinds[verdict][n % kinds[verdict].length])
    const all = told(device, cause, cause.from, Math.min(cause.to, END)), last = all.at(-1)
    return { cause, said: last?.verdict ?? 'none', metric: last !== undefined && last.metrics.has(cause.metric) && last.metrics.size === 1, delay: (all[0]?.at ?? NaN) - cause.from }
  }))
}

const share = (of: readonly unknown[], n: number): number => of.length === 0 ? NaN : round(n / of.length)
const median = (of: readonly number[]): number => of.length === 0 ? NaN : [...of].sort((a, b) => a - b)[of.length >> 1]

export const verdictBench: Benchmark = {
  summary: 'device, model or sensor: what is said last of simulated causes, and of healthy devices',
  unit: 'all causes',
  options: {
    seed: { type: 'string', default: '2026' },
    causes: { type: 'string', default: '104' },       // of each verdict
    weeks: { type: 'string', default: '20' }          // of a device to which nothing happens
  },
  check (options) { for (const [name, text] of Object.entries(options)) if (!/^[1-9]\d*$/.test(text)) throw new Error(`--${name} ${text}: must be a whole number, at least 1`) },
  async run (say, options) {
    const [seed, count, weeks] = [options.seed, options.causes, options.weeks].map(Number)
    const all = verdicts.flatMap(verdict => {
      const some = outcomes(key(seed, 1), count, [verdict])
      say(`${count} of ${verdict}: ${some.filter(o => o.said === verdict).length} right`)
      return some
    })
    const wrong: Told[] = []
    const span = HEALTHY - LEARN, devices = Math.round(weeks * WEEK / span)
    let ns = 0
    for (let n = 0; n < devices; n++) ns += cpuOf(() => { wrong.push(...told(key(seed, 2, n), undefined, START + LEARN, START + HEALTHY)) })
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
      false_verdicts_per_device_week: round(wrong.length / weeks),
      false_by_name_per_device_week: Object.fromEntries(verdicts.map(verdict => [verdict, round(wrong.filter(w => w.verdict === verdict).length / weeks)])),
      causes_of_each: count, device_weeks: weeks, ns_per_reading_all_steps: round(ns / (devices * names.length * HEALTHY / 10_000))
    }]
  }
}
