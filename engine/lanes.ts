export type Lane = <T>(act: () => Promise<T>) => Promise<T>

/** Runs at most `width` at a time, the others in their order. */
export function lanes (width: number): Lane {
  const waiting: (() => void)[] = []
  let running = 0
  return async act => {
    if (running === width) await new Promise<void>(resolve => waiting.push(resolve))
    else running++
    try {
      return await act()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running--
      else next()
    }
  }
}
