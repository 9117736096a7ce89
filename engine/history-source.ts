import type { History } from './history.ts'
import { Intake } from './intake.ts'
import type { Source, SourceHost } from './source.ts'
import { gather } from './stream.ts'

const ROWS = 5000                    // of a delivery, about: others want their turn between two

/**
 * The past as a source. The ingest clock is the arrival of its records, which never goes back. It comes to an end after the last of them,
 * or where it is cut off, but never before what is committed already: that has to be worked out again.
 */
export function historySource (history: History, host: SourceHost): Source {
  let clock = 0                      // arrival of the newest record, ms
  return {
    now: () => clock,
    past: true,
    origin: () => history.origin,
    trouble: () => undefined,
    commit: async () => {},
    open (from = 0, credits, signal) {
      const intake = new Intake(host.series, credits, { ahead: host.ahead, after: from })
      return gather(intake, credits, signal, () => clock, gathering => {
        let stopped = false, wake = () => {}
        const room = () => new Promise<void>(resolve => { wake = resolve; credits.next(resolve) })
        const read = async () => {
          let n = Math.max(0, from - 1)
          for await (const some of history.records(n)) {
            for (const { at, readings = [], topic = '', payload = '', rejected = [] } of some) {
              if (n >= Math.max(history.end, host.committed ?? 0)) return gathering.end()
              clock = at
              if (n++ < from) continue           // the one before says what time it is
              while (!stopped && (!credits.open || intake.readings >= ROWS)) await room()
              if (stopped) return
              intake.message(topic, payload === '' ? NOTHING : Buffer.from(payload, 'base64'), at)
              for (const [reason, detail] of rejected) intake.reject(reason, detail)
              for (const { tenant, device, metric, time, value } of readings) intake.reading(host.series.id(tenant, device, metric), time, value ?? NaN)
              gathering.pushed()
            }
          }
          gathering.end()
        }
        read().catch(error => { gathering.fail(error) })
        return () => { stopped = true; wake() }
      })
    }
  }
}

const NOTHING = new Uint8Array(0)
