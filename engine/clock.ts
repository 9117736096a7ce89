/**
 * Time and chance as the log, the run loop and the dispatcher meet them: their only door to both, so that a simulation can stand in
 * for them and play the same hour again. All times are ms. What a timer returns stops it.
 */
export interface Clock {
  /** Since 1970, by the clock on the wall: it may be set back or forth. */
  now (): number
  /** Since some moment. Never goes back. */
  monotonic (): number
  timeout (act: () => void, after: number): () => void
  /** `aside`: does not keep the process alive. */
  interval (act: () => void, every: number, aside?: boolean): () => void
  /** When what is ready has had its turn. */
  soon (act: () => void): void
  /** Uniform in [0, 1). */
  random (): number
  /** No other is the same. */
  id (): string
}

/** The clock of the machine. */
export const clock: Clock = {
  now: Date.now,
  monotonic: () => performance.now(),
  timeout (act, after) { const timer = setTimeout(act, after); return () => clearTimeout(timer) },
  interval (act, every, aside = false) { const timer = setInterval(act, every); if (aside) timer.unref(); return () => clearInterval(timer) },
  soon: setImmediate,
  random: Math.random,
  id: () => crypto.randomUUID()
}

/** The ingest clock: wall time at the start plus monotonic time, ms. Never goes back, whatever happens to the wall clock. */
export function ingestClock (by = clock): () => number {
  const start = by.now() - by.monotonic()
  return () => start + by.monotonic()
}

/** Resolves after `ms`, or at once when aborted. */
export const sleep = (ms: number, signal?: AbortSignal, by = clock): Promise<void> => new Promise(resolve => {
  if (signal?.aborted) return resolve()
  const done = () => { stop(); signal?.removeEventListener('abort', done); resolve() }
  const stop = by.timeout(done, ms)
  signal?.addEventListener('abort', done, { once: true })
})

/** Waiting times between tries: doubles from `first` to `most` ms, each shortened at random by up to half. */
export function* backoff (first = 100, most = 30_000, random = Math.random): Generator<number, never> {
  for (let ms = first; ; ms = Math.min(most, ms * 2)) yield ms * (0.5 + random() / 2)
}
