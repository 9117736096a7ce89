import type { Clock } from './clock.ts'

const APART = 2                      // ms from the beginning of one group to that of the next, unless MANY records have gathered
const GATHER = 20                    // the same, as long as more of them come
const TRY = 10                       // the same, by when it shows whether they do
const MANY = 256
const AGAIN = 64                     // groups after one that waited in vain

/**
 * When the log writes its next group. A sync costs the same for one record as for hundreds, so records that come all the time gather for
 * 20 ms; one that comes alone waits for nothing. Where waiting brings little, as senders wait for what is to be acknowledged, it is not
 * tried again for a while.
 */
export class Pace {
  private readonly clock: Clock
  private gathered = 0               // records since the newest group began
  private began = -Infinity          // it, on the monotonic clock
  private vain = 0                   // groups that are not to wait for more than APART
  private enough = () => {}          // MANY records have gathered

  constructor (clock: Clock) { this.clock = clock }

  /** A record has been appended. */
  add (): void { if (++this.gathered >= MANY) this.enough() }

  /** Resolves when the next group is to begin, with all that has been appended by then. */
  async ready (): Promise<void> {
    await this.until(this.began + APART)
    const there = this.gathered, tried = this.began + TRY
    if (this.vain > 0) this.vain--
    else if (there < MANY && tried > this.clock.monotonic()) {
      await this.until(tried)
      if ((this.gathered - there) * 2 < there) this.vain = AGAIN
      else await this.until(this.began + GATHER)
    }
    this.gathered = 0
    this.began = this.clock.monotonic()
  }

  private async until (time: number): Promise<void> {
    const ms = time - this.clock.monotonic()
    if (ms <= 0 || this.gathered >= MANY) return
    await new Promise<void>(resolve => {
      const stop = this.clock.timeout(resolve, ms)
      this.enough = () => { stop(); resolve() }
    })
    this.enough = () => {}
  }
}
