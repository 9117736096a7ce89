import { SeriesTable, Watermarks, type Batch } from '#engine'
import type { DeviceReadings } from '../device-files.ts'
import { WEEK, type Fault } from '../../models/faults.ts'
import { Fleet, roomFor, type FleetReadings } from '../../models/fleet.ts'
import { kinds as named, type Kind } from '../../models/naming.ts'
import { anomaly, fault, hygiene, peers } from '../../operators/index.ts'
import { EVERY, metrics, names, START } from './world.ts'

/** An event as the operator `fault` told it: of a series, from its first row on; the names that it had, and since when, by true time to the end of an interval. */
export interface Event { readonly series: number, readonly from: number, readonly names: { readonly kind: Kind, readonly at: number }[] }

/**
 * Budgets were fixed with development seeds: the device has four metrics and is to have at most one false alarm a week, so
 * anomaly and peers get a tenth of one for each metric; hygiene, which divides its own by eight, keeps its default.
 */
export const steps = () => [hygiene(), anomaly(BUDGET), peers(BUDGET), fault()]
const BUDGET = { alarms: 0.1, per: '1w' } as const
const IDLE = 30_000

/** What comes from devices with these metrics, between two times (ms): fill() writes what has come by then behind one another, and gives their number. */
export interface Input { readonly devices: number, readonly names: readonly string[], readonly from: number, readonly to: number, readonly fill: (out: FleetReadings, until: number) => number }

/** A week of a simulated fleet. */
export function fleetOf (seed: number, devices: number, faults: readonly Fault[]): Input {
  const fleet = new Fleet({ devices, metrics, every: EVERY, seed, start: START, faults })
  return { devices, names, from: START, to: START + WEEK, fill: (out, until) => fleet.fill(out, until) }
}

/** A device from a file. */
export function inputOf ({ metrics: names, arrival, time, metric, value }: DeviceReadings): Input {
  let next = 0
  return {
    devices: 1, names, from: Math.floor(arrival[0] / EVERY) * EVERY, to: arrival[arrival.length - 1] + EVERY,
    fill (out, until) {
      let n = 0
      for (; next < arrival.length && arrival[next] <= until && n < out.time.length; next++, n++) {
        out.time[n] = time[next]
        out.truth[n] = arrival[next]
        out.series[n] = metric[next]
        out.value[n] = value[next]
      }
      return n
    }
  }
}

export const week = (seed: number, devices: number, faults: readonly Fault[], take: (event: Event) => void): number => listen(fleetOf(seed, devices, faults), take)

/** Devices through hygiene, anomaly, peers and fault, with a tick every ten seconds. Calls `take` with what comes out and the true time. */
export function listen ({ devices, names, from, to, fill }: Input, take: (event: Event) => void): number {
  const width = names.length, table = new SeriesTable(devices * width)
  for (let d = 0; d < devices; d++) for (const name of names) table.id('bench', `${d}`, name)
  const time = new Watermarks(table, { lateness: 0, idle: IDLE, forget: Infinity })
  const stages = steps().map(step => step.open({ series: table, late () {}, aggregated () {} }))
  const open = new Map<number, Event>(), out = roomFor((devices + 1) * width)
  let position = 0, readings = 0
  const process = (first: Batch<any>, now: number) => {
    const batch = stages.reduce((batch, stage) => stage.process(batch), first)
    const { fault: code, fault_readings: count } = batch.columns as Record<string, Float64Array>
    for (let i = 0; i < batch.length; i++) {
      const series = batch.series[i]
      if (code[i] === 0) continue
      const kind = named[code[i] - 1]
      if (count[i] === 1) {
        const event: Event = { series, from: now, names: [{ kind, at: now }] }
        open.set(series, event)
        take(event)
      } else if (open.get(series)!.names.at(-1)!.kind !== kind) open.get(series)!.names.push({ kind, at: now })
    }
  }
  for (let now = from; now < to; now += EVERY) {
    for (let n; (n = fill(out, now + EVERY - 1)) > 0; readings += n) process(time.arrive({ time: out.time.slice(0, n), series: out.series.slice(0, n), value: out.value.slice(0, n), position: new Float64Array(n).map(() => ++position), ingest: out.truth.slice(0, n) }), now + EVERY)
    const tick = time.tick(time.gone(now + EVERY), position)
    if (tick !== undefined) process(tick, now + EVERY)
  }
  return readings
}
