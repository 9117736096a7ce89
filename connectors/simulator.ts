import { defineSource, Duration, gather, Intake, Type, type Position, type Source } from '#engine'
import { roomFor, type FleetReadings } from '../models/fleet.ts'
import { checkFleet, fleetOptions, planFleet } from './fleet/plan.ts'

const CHUNK = 2048                   // readings written at once
const NOTHING = new Uint8Array(0)
const ORIGIN = /^simulator:(\d+)$/

/**
 * A seeded fleet of devices whose metrics are coupled through a hidden load, with faults: see models/fleet.ts for the equations.
 * Each reading is a record of its own. Without `start` and at speed 1 the fleet lives now, on the clock of the engine; otherwise in
 * its own time, which is then also the ingest clock. A restart goes on with the reading after the last committed one, found by
 * running through those before it (about 0.1 us each); when the fleet was first started is kept with the position.
 */
export const simulator = defineSource({
  name: 'simulator',
  summary: 'A simulated fleet of devices with coupled metrics, daily seasons and faults.',
  options: Type.Object({
    ...fleetOptions,
    speed: Type.Union([Type.Literal('max'), Type.Number({ exclusiveMinimum: 0 })], { description: 'Multiple of real time, or max.', default: 1 }),
    for: Type.Optional(Duration({ description: 'Event time after which the fleet ends; absent: never.' })),
    start: Type.Optional(Type.String({ description: 'Event time of the first reading, ISO 8601; absent: now.' }))
  }),
  check (options) {
    if (options.start !== undefined && !(Date.parse(options.start) >= 0)) return `start "${options.start}" is not a time; write it as 2026-01-05T00:00:00Z`
    return checkFleet(options)
  },

  open (options, host): Source {
    const live = options.start === undefined && options.speed === 1
    const before = ORIGIN.exec(host.origin ?? '')?.[1]
    const start = options.start === undefined ? Number(before ?? Math.round(host.now())) : Date.parse(options.start)
    let own = 0                      // true time of the newest reading, ms
    const now = live ? host.now : () => own
    return {
      now,
      past: !live,
      origin: () => `simulator:${start}`,
      trouble: () => undefined,
      commit: async () => {},
      open (from: Position | undefined, credits, signal) {
        const end = options.for === undefined ? Infinity : start + options.for - 0.001
        const { fleet, names } = planFleet('simulator', options, start)
        const ids = names.map(({ tenant, device, metric }) => host.series.id(tenant, device, metric))
        const intake = new Intake(host.series, credits, { ahead: host.ahead, after: from ?? 0 })
        const out = roomFor(Math.max(CHUNK, fleet.width))
        let skip = from ?? 0
        own = start

        return gather(intake, credits, signal, now, gathering => {
          let timer: NodeJS.Timeout | undefined, soon: NodeJS.Immediate | undefined, stopped = false
          const opened = host.now()
          let origin = start           // event time at `opened`
          const wait = () => {
            if (stopped) return
            if (!credits.open) return credits.next(wait)
            const ms = options.speed === 'max' || skip > 0 ? 0 : (fleet.due - origin) / options.speed - (host.now() - opened)
            if (ms <= 0) soon = setImmediate(read)
            else timer = setTimeout(read, Math.min(Math.max(ms, 5), 1000))
          }
          const read = () => {
            if (stopped) return
            const due = options.speed === 'max' || skip > 0 ? end : Math.min(end, origin + (host.now() - opened) * options.speed)
            const n = fleet.fill(skip > 0 ? firstOf(out, Math.max(fleet.width, Math.min(CHUNK, skip))) : out, due)
            const first = Math.min(skip, n)
            skip -= first
            if (first > 0) origin = fleet.due - (host.now() - opened) * (options.speed === 'max' ? 0 : options.speed)
            for (let i = first; i < n; i++) {
              own = out.truth[i]
              intake.message('simulator', NOTHING, own)
              intake.reading(ids[out.series[i]], out.time[i], out.value[i])
            }
            if (n > first) gathering.pushed()
            if (fleet.due > end) return gathering.end()
            wait()
          }
          wait()
          return () => { stopped = true; clearTimeout(timer); clearImmediate(soon) }
        })
      }
    }
  }
})

/** The same arrays, cut to a length. */
const firstOf = ({ time, series, value, truth }: FleetReadings, length: number): FleetReadings =>
  ({ time: time.subarray(0, length), series: series.subarray(0, length), value: value.subarray(0, length), truth: truth.subarray(0, length) })
