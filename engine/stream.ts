/** RxJS at the joints: the only file that imports it. */
import { Observable, concatMap, endWith, filter, lastValueFrom, map, merge, takeWhile, tap, type OperatorFunction } from 'rxjs'
import type { Batch } from './batch.ts'
import { clock as real, type Clock } from './clock.ts'
import type { Credits } from './credits.ts'
import type { Intake } from './intake.ts'
import type { Host, Operator } from './operator.ts'
import { SeriesTable } from './series.ts'
import type { Delivery } from './source.ts'
export { Observable }

export interface Gathering {
  /** Call after each message that was put into the intake. */
  pushed (): void
  /** The source has come to its end: what is left is delivered, then the stream completes. */
  end (): void
  fail (error: unknown): void
}

/**
 * Deliveries from an intake that fills message by message: one as soon as `rows` readings or `linger` ms have gathered
 * and the engine has a slot free. While it has none, deliveries grow instead of queueing: that is the group commit.
 * `start` begins reading and returns how to stop; it must read only while `credits.open`. An abort delivers what is left.
 */
export function gather (intake: Intake, credits: Credits, signal: AbortSignal, now: () => number, start: (g: Gathering) => () => void, { rows = 5000, linger = 20, clock = real } = {}): Observable<Delivery> {
  return new Observable(subscriber => {
    let timer: (() => void) | undefined      // stops it
    let waiting = false, ending = false, over = false
    const flush = () => {
      timer?.()
      timer = undefined
      if (over || (intake.waiting === 0 && !ending)) return
      if (!credits.slot) {
        if (!waiting) { waiting = true; credits.next(() => { waiting = false; flush() }) }
        return
      }
      credits.deliver()
      subscriber.next(intake.take(now(), ending))
      if (ending) { over = true; subscriber.complete() }
    }
    const stop = start({
      pushed () {
        if (intake.readings >= rows) flush()
        else timer ??= clock.timeout(flush, linger)
      },
      end () { ending = true; flush() },
      fail (error) { over = true; subscriber.error(error) }
    })
    const abort = () => {            // what has been read already goes the whole way, whatever slots there are; nothing is read after it
      if (over) return
      over = true
      timer?.()
      if (intake.waiting > 0) {
        credits.deliver()
        subscriber.next(intake.take(now()))
      }
      subscriber.complete()
    }
    signal.addEventListener('abort', abort, { once: true })
    return () => { over = true; timer?.(); signal.removeEventListener('abort', abort); stop() }
  })
}

const TICK = Symbol('tick'), END = Symbol('end')

/**
 * Runs deliveries, and a tick every `every` ms, one after the other until the source completes; a tick that finds
 * something under way is skipped. Resolves with whether the source came to its end, rejects with the first error.
 */
export async function loop<D extends { readonly ended: boolean }> (deliveries: Observable<D>, { every, delivery, tick, clock = real }: {
  readonly every: number, readonly clock?: Clock, readonly delivery: (d: D) => Promise<void>, readonly tick: () => Promise<void>
}): Promise<boolean> {
  let underWay = 0, ended = false
  const ticks = new Observable<typeof TICK>(to => clock.interval(() => to.next(TICK), every))
  const steps = merge(deliveries.pipe(endWith(END)), ticks).pipe(
    takeWhile(item => item !== END),
    filter(item => item !== TICK || underWay === 0),
    tap(() => { underWay++ }),
    concatMap(async item => {
      if (typeof item === 'symbol') await tick()
      else {
        await delivery(item)
        ended = item.ended
      }
      underWay--
    }))
  await lastValueFrom(steps, { defaultValue: undefined })
  return ended
}

/** An operator of Millrace as an operator of RxJS: `batches$.pipe(toRx(ewma()))`. Each subscription has its own memory. Late rows go to `late`. */
export function toRx<A extends string> (operator: Operator<any, A>, series = new SeriesTable(), late: Host['late'] = () => {}): OperatorFunction<Batch<any>, Batch<any>> {
  return batches => new Observable(subscriber => {
    const stage = operator.open({ series, late, aggregated () {} })
    return batches.pipe(map(batch => stage.process(batch))).subscribe(subscriber)
  })
}
