import { defineSource, gather, Intake, Type, type Credits, type SourceSpec } from '#engine'

/** A message of readings: [event time in ms, 'device/metric', value]; or the token CRASH, at which the source fails. */
export type Message = readonly (readonly [number, string, number])[] | typeof CRASH
export const CRASH = 'CRASH'

export interface Given { readonly spec: SourceSpec, readonly committed: number[] }

/** A source that delivers the given messages, one delivery each, from the position it is opened at; then it ends, or stays open with `stay`. */
export function given (messages: readonly Message[], { stay = false } = {}): Given {
  const committed: number[] = []
  const spec = defineSource({
    name: 'given',
    summary: 'Messages of a test.',
    options: Type.Object({}),
    open: (_, host) => ({
      open (from, credits: Credits, signal) {
        const intake = new Intake(host.series, credits, { ahead: host.ahead, after: from ?? 0 })
        let stopped = false
        return gather(intake, credits, signal, host.now, g => {
          void (async () => {
            for (const message of messages.slice(from ?? 0)) {
              if (message === CRASH) return g.fail(new Error('CRASH'))
              while (!stopped && (intake.waiting > 0 || !credits.slot)) await new Promise<void>(resolve => { setTimeout(resolve, 1) })
              intake.message('test', new Uint8Array(10), host.now())
              for (const [time, name, value] of message) {
                const [device, metric] = name.split('/')
                intake.reading(host.series.id('default', device, metric), time, value)
              }
              g.pushed()
            }
            while (!stopped && intake.waiting > 0) await new Promise<void>(resolve => { setTimeout(resolve, 1) })
            if (!stay) g.end()
          })()
          return () => { stopped = true }
        }, { linger: 0 })
      },
      commit: async upTo => { committed.push(upTo) },
      trouble: () => undefined
    })
  })()
  return { spec, committed }
}
