import { backoff, sleep, type Clock } from './clock.ts'
import { Transient } from './errors.ts'
import type { Logger } from './log.ts'

const STOP_WITHIN = 10_000           // ms that what is under way may take after a stop was asked for

/** `stop`: what is under way may still succeed, for 10 s; `failed`: nothing is tried again. */
export interface Patience { readonly stop: AbortSignal, readonly failed: AbortSignal, readonly clock: Clock, readonly log: Logger }

/** Tries again while the failure is transient, with waits that grow. Gives up at once on anything else and when all has failed, and 10 s after a stop was asked for, also in the middle of a try. */
export async function insist<T> (what: string, { stop, failed, clock, log }: Patience, act: () => Promise<T>): Promise<T> {
  const waits = backoff(undefined, undefined, () => clock.random())
  let stopTimer = () => {}
  let over = false
  let late!: () => void
  const tooLate = new Promise<never>((_, reject) => { late = () => { stopTimer = clock.timeout(() => { over = true; reject(new Transient(`${what} did not succeed within ${STOP_WITHIN / 1000} s of the stop`)) }, STOP_WITHIN) } })
  if (stop.aborted) late()
  else stop.addEventListener('abort', late, { once: true })
  try {
    for (;;) {
      try {
        return await Promise.race([act(), tooLate])
      } catch (error) {
        if (!(error instanceof Transient) || over || failed.aborted) throw error
        log.warn({ err: error.message }, `${what} failed, trying again`)
        await Promise.race([sleep(waits.next().value, failed, clock), tooLate])
      }
    }
  } finally {
    stopTimer()
    stop.removeEventListener('abort', late)
  }
}
