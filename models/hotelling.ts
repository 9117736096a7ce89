/**
 * Whether the metrics of a device go together as they always did: multivariate statistical process control on a running,
 * robust mean and covariance (principal.ts). Three signals, of which each has a tail (fusion.ts), so that neither a normal
 * distribution nor independence in time is needed:
 *
 *   t2      distance from the mean within the plane of the principal components: unusual, but as ever in how metrics go together
 *   spe     squared distance from that plane: they do not go together as ever
 *   shift   distance of the mean of the last 10 vectors from the mean of the last 100: small and lasting (Lowry et al. 1992)
 *
 * Each is taken as -ln of the chance that normal, independent vectors had: of chi-square for t2 and shift, of Box's approximation
 * for spe. So tails begin where they would be right for those. While vectors are few, T2 is corrected for a covariance that is but an
 * estimate (Tracy, Young and Mason 1992); shift is taken in units of its mean so far, as it hangs on how slowly things move. Scored
 * first, then learned; a vector beyond the usual 98 % is drawn to the mean, the more the rarer it is, and no number of it pulls with
 * more than first-rows.ts says.
 * A number that does not come is what it was last, for a while; then what is most likely beside the others, and such a vector
 * teaches nothing.
 */
import { numbered } from './fields.ts'
import { KEPT } from './first-rows.ts'
import { Fusion, fusion } from './fusion.ts'
import { LARGEST } from './largest.ts'
import { Principal } from './principal.ts'
import { ofChiSquare } from './surprisal.ts'

export const signals = ['t2', 'spe', 'shift'] as const
const T2 = 0, SPE = 1, SHIFT = 2
const FAST = 10, MIDDLE = 100, SLOW = 1000
const REACH = 5                      // means of shift that teach its mean, at most

/** Vectors that have to be learned before the first distance. */
const first = (d: number) => 2 * d + 16
/** Vectors of d numbers that have to be learned before the first p-value, at least. */
export const least = (d: number) => first(d) + 2 * d + 48

export class Hotelling {
  evidence = 0                       // see Fusion
  signal = -1
  t2 = NaN
  spe = NaN
  readonly shares: Float64Array      // of each number in the signal that spoke; 0 when none did
  readonly shape: Readonly<Record<string, number>>     // memory of one stream
  private readonly d: number
  private readonly fusion = new Fusion(signals.length)
  private readonly principal: Principal
  private readonly principalAt: number       // offsets
  private readonly fast: number
  private readonly middle: number
  private readonly usual: number     // mean of shift
  private readonly held: number
  private readonly heldAt: number
  private shift = 0
  private readonly x: Float64Array
  private readonly missing: Uint8Array

  /** `d` numbers, at least 2; of `memory` vectors the oldest counts 1/e. */
  constructor (d: number, memory: number) {
    const fused = fusion(signals), principal = new Principal(d, memory)
    this.d = d
    this.principal = principal
    this.principalAt = Object.keys(fused).length
    this.fast = this.principalAt + Object.keys(principal.shape).length
    this.middle = this.fast + d
    this.usual = this.middle + d
    this.held = this.usual + 1
    this.heldAt = this.held + d
    this.shape = { ...fused, ...principal.shape, ...numbered('fast', d), ...numbered('middle', d), shift: 0, ...numbered('held', d, NaN), ...numbered('heldAt', d, -Infinity) }
    this.x = new Float64Array(d)
    this.missing = new Uint8Array(d)
    this.shares = new Float64Array(d)
  }

  /** Vectors learned. */
  learned (m: Float64Array, at: number): number { return m[at + this.principalAt] }

  get news (): boolean { return this.fusion.news }
  alarm (m: Float64Array, at: number, alarms: number, per: number): boolean { return this.fusion.alarm(m, at, alarms, per) }

  /** Number j of the next vector, NaN when there is none, or one beyond LARGEST: then the last one, when it is at most `hold` ms old. */
  put (m: Float64Array, at: number, j: number, value: number, time: number, hold: number): void {
    const held = at + this.held + j, heldAt = at + this.heldAt + j, known = Math.abs(value) < LARGEST
    if (known && time >= m[heldAt]) {
      m[held] = value
      m[heldAt] = time
    }
    this.missing[j] = known || time - m[heldAt] <= hold ? 0 : 1
    this.x[j] = known ? value : m[held]
  }

  /** Judges the vector that was put. False when there is nothing to say yet, or no number at all. */
  score (m: Float64Array, at: number): boolean {
    const { d, fusion, principal, x, missing, shares } = this, p = at + this.principalAt, n = m[p]
    let gone = 0
    for (let j = 0; j < d; j++) gone += missing[j]
    this.evidence = 0
    this.signal = -1
    this.t2 = this.spe = NaN
    shares.fill(0)
    if (n < first(d) || gone === d) return false
    const { z } = principal, size = Math.min(n, 2 * principal.memory), fair = size * (size - d) / (size * size - 1)
    fusion.x[SHIFT] = 0
    if (gone === 0) {
      this.scoreShift(m, at)
      this.shift = principal.whole(m, p)
      const usual = m[at + this.usual]
      if (usual > 0) fusion.x[SHIFT] = ofChiSquare(d * this.shift / usual, d)
    }
    for (let j = 0; j < d; j++) z[j] = principal.standard(m, p, j, x[j])
    if (gone > 0) principal.complete(m, p, missing)
    principal.score(m, p)
    this.t2 = fair * principal.t2
    this.spe = principal.spe
    fusion.x[T2] = principal.components(m, p) > 0 ? ofChiSquare(this.t2, principal.components(m, p)) : 0
    fusion.x[SPE] = principal.unit(m, p) > 0 ? ofChiSquare(this.spe / principal.unit(m, p), principal.freedom(m, p)) : 0
    fusion.score(m, at)
    this.evidence = fusion.evidence
    this.signal = fusion.signal
    if (fusion.signal === SHIFT) this.scoreShift(m, at)
    if (fusion.signal >= 0) principal.shares(m, p, fusion.signal !== SPE, fusion.signal !== T2, shares)
    return true
  }

  /** Works out the distance of the mean of the last vectors, with the one that was put, from that of more. */
  private scoreShift (m: Float64Array, at: number): void {
    const { d, principal, principal: { z }, x } = this, p = at + this.principalAt, fast = at + this.fast, middle = at + this.middle, by = 1 / FAST
    for (let j = 0; j < d; j++) z[j] = principal.difference(m, p, j, m[fast + j] + by * (x[j] - m[fast + j]) - m[middle + j])
    principal.score(m, p)
  }

  /** Takes in the vector that was scored last, unless a number is missing. */
  learn (m: Float64Array, at: number, time: number): void {
    const { d, fusion, principal, x, missing } = this, p = at + this.principalAt, n = m[p], scored = n >= first(d)
    if (missing.includes(1)) {
      if (scored && missing.includes(0)) fusion.pass(m, at, time)
      return
    }
    const weight = scored ? Math.sqrt(fusion.weight(m, at)) : 1
    if (scored) {
      fusion.learn(m, at)
      fusion.pass(m, at, time)
      const usual = m[at + this.usual], most = usual > 0 ? REACH * usual : this.shift
      m[at + this.usual] += (Math.min(this.shift, most) - usual) / Math.min(n - first(d) + 1, SLOW)
    }
    if (n >= KEPT) {
      const byMiddle = 1 / Math.min(n + 1, MIDDLE)
      for (let j = 0; j < d; j++) {
        const tamed = principal.tamed(m, p, j, x[j])
        m[at + this.fast + j] += (tamed - m[at + this.fast + j]) / FAST
        m[at + this.middle + j] += (tamed - m[at + this.middle + j]) * byMiddle
      }
    }
    principal.learn(m, p, x, weight)
    if (n < KEPT) for (let j = 0; j < d; j++) m[at + this.fast + j] = m[at + this.middle + j] = principal.meanOf(m, p, j)
  }
}
