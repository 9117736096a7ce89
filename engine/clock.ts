/** The ingest clock: wall time at the start plus monotonic time, ms. Never goes back, whatever happens to the wall clock. */
export function ingestClock (): () => number {
  const start = Date.now() - performance.now()
  return () => start + performance.now()
}

/** Resolves after `ms`, or at once when aborted. */
export const sleep = (ms: number, signal?: AbortSignal): Promise<void> => new Promise(resolve => {
  if (signal?.aborted) return resolve()
  const done = () => { clearTimeout(timer); signal?.removeEventListener('abort', done); resolve() }
  const timer = setTimeout(done, ms)
  signal?.addEventListener('abort', done, { once: true })
})

/** Waiting times between tries: doubles from `first` to `most` ms, each shortened at random by up to half. */
export function* backoff (first = 100, most = 30_000): Generator<number, never> {
  for (let ms = first; ; ms = Math.min(most, ms * 2)) yield ms * (0.5 + Math.random() / 2)
}
