const AFTER = 5, FIRST = 10_000, LONGEST = 300_000, MOST = 3_600_000      // failures in a row; ms

/**
 * Keeps work from an endpoint that is down. After 5 failures in a row, or when the other side asks for a pause, it is open: nothing
 * goes through for 10 s (doubling up to 5 min), or for as long as was asked, at most an hour. Then one try goes through; if that succeeds it is closed,
 * else open again. By the clock that is given; costs nothing while all is well.
 */
export class Breaker {
  private failures = 0
  private until = -Infinity          // no try before

  /** How many may go through at `now`, of `most`. */
  room (now: number, most: number): number { return now < this.until ? 0 : this.failures >= AFTER ? 1 : most }

  get state (): 'closed' | 'open' { return this.failures >= AFTER || this.until > -Infinity ? 'open' : 'closed' }

  succeeded (): void {
    this.failures = 0
    this.until = -Infinity
  }

  /** `pause`: ms that the other side asks for. A failure of what had gone through before it opened changes nothing. */
  failed (now: number, pause = 0): void {
    if (now < this.until && pause === 0) return
    this.failures++
    const wait = this.failures < AFTER ? 0 : Math.min(LONGEST, FIRST * 2 ** Math.min(20, this.failures - AFTER))
    if (Math.max(wait, pause) > 0) this.until = Math.max(this.until, now + Math.min(MOST, Math.max(wait, pause)))
  }
}
