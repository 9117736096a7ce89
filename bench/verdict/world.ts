import { key, normal, Random } from '../../models/random.ts'

/**
 * A pump with its motor, as physics and not as statistics: nothing here is shared with the simulator on which the detectors were
 * developed. Hidden are the load L (0 to about 1.2), the ambient temperature, and four conditions that are 0 when all is well:
 *
 *   flow Q       = 60 L (1 - 0.5 filter)
 *   pressure     = (7 - 2.2 (Q / 60)^2) (1 - leak) + 1.5 filter L
 *   power        = 2.5 + 9 (Q / 60) (1 + friction) + 4 leak + 1.5 friction
 *   current      = 1.8 power^0.9 (1 + 0.004 (T - 60))
 *   T            -> ambient + 1.5 power^1.5 (1 + fan), lagging 12 minutes
 *   vibration    = 0.8 + 1.6 (Q / 60)^1.5 + 3 friction + 1.2 filter L
 *
 * so friction shows in current, vibration and temperature; a leak in pressure, current and temperature; a blocked filter in all; a
 * failed fan in temperature and, through the resistance of the winding, a little in current. Sensors add normal noise. Constants differ
 * by 8 % from device to device. Where the plant stands still there is no power, flow, pressure nor vibration, and it cools down.
 */
export const names = ['current', 'pressure', 'temperature', 'vibration'] as const
export const sensors = [0.12, 0.04, 0.3, 0.08] as const      // standard deviations of their noise
export const conditions = ['friction', 'leak', 'filter', 'fan'] as const
export type Condition = typeof conditions[number]
type Conditions = Readonly<Partial<Record<Condition, number>>>

export const EVERY = 10_000, START = Date.UTC(2026, 0, 5), HOUR = 3_600_000, DAY = 24 * HOUR

/** How the load behaves: its mean, how much the programme of the day counts, when it begins, and the standard deviation of its noise. */
export interface Regime { readonly mean: number, readonly daily: number, readonly phase: number, readonly noise: number, readonly steady: boolean }

const MEMORY = 15 * 60_000, LAG = 12 * 60_000
const TURN = 2 * Math.PI

/** One device. `at` is called for instants in order, `EVERY` apart. */
export class Pump {
  readonly usual: Regime
  readonly values = new Float64Array(names.length)
  private readonly seed: number
  private readonly factor: Float64Array
  private tick = 0
  private wander = 0
  private ambient = 0
  private temperature = NaN
  constructor (seed: number) {
    const random = new Random(key(seed, 1))
    this.seed = seed
    this.usual = { mean: random.between(0.45, 0.6), daily: random.between(0.12, 0.22), phase: random.next(), noise: random.between(0.05, 0.08), steady: false }
    this.factor = Float64Array.from({ length: 8 }, (_, i) => 1 + 0.08 * normal(key(seed, 2), i))
  }

  /** The same device at the same instant, to be taken on by itself. */
  copy (): Pump {
    const other = new Pump(this.seed)
    other.values.set(this.values)
    Object.assign(other, { tick: this.tick, wander: this.wander, ambient: this.ambient, temperature: this.temperature })
    return other
  }

  /** True values, then sensors' noise, at instant t in a regime and in a condition, while it runs or stands still. */
  at (t: number, regime: Regime, condition: Conditions, runs = true): Float64Array {
    const { values, seed } = this, n = this.tick++
    const keep = Math.exp(-EVERY / MEMORY), slow = Math.exp(-EVERY / (6 * HOUR)), fresh = Math.sqrt(1 - keep * keep)
    this.wander = keep * this.wander + fresh * normal(key(seed, 3), n)
    this.ambient = slow * this.ambient + Math.sqrt(1 - slow * slow) * normal(key(seed, 4), n)
    const a = TURN * (t / DAY - regime.phase)
    const programme = regime.steady ? 0 : regime.daily * Math.tanh(2 * (Math.sin(a) + 0.3 * Math.sin(2 * a)))
    const load = Math.max(0.05, regime.mean + programme + regime.noise * this.wander)
    const ambient = 22 + 4 * Math.sin(TURN * (t / DAY - 0.4)) + 1.5 * this.ambient
    const follow = Number.isNaN(this.temperature) ? 1 : 1 - Math.exp(-EVERY / LAG)
    this.temperature = runs ? this.physics(load, ambient, this.temperature, follow, condition) : this.rest(ambient, follow)
    for (let m = 0; m < names.length; m++) values[m] += sensors[m] * normal(key(seed, 5, m), n)
    return values
  }

  /** True values when all has settled, at a load and 22 degrees. */
  settled (load: number, condition: Conditions): Float64Array {
    let temperature = NaN
    for (let round = 0; round < 50; round++) temperature = this.physics(load, 22, temperature, 1, condition)
    return this.values.slice()
  }

  /** True values while it stands still; returns the temperature. */
  private rest (ambient: number, follow: number): number {
    const temperature = Number.isNaN(this.temperature) ? ambient : this.temperature + follow * (ambient - this.temperature)
    this.values.fill(0)
    return this.values[names.indexOf('temperature')] = temperature
  }

  /** Works out the true values; returns the temperature. */
  private physics (load: number, ambient: number, before: number, follow: number, { friction = 0, leak = 0, filter = 0, fan = 0 }: Conditions): number {
    const { factor: f, values } = this, q = load * (1 - 0.5 * filter)
    const power = f[0] * (2.5 + 9 * f[1] * q * (1 + friction) + 4 * leak + 1.5 * friction)
    const aim = ambient + 1.5 * f[2] * power ** 1.5 * (1 + fan)
    const temperature = Number.isNaN(before) ? aim : before + follow * (aim - before)
    values[0] = 1.8 * f[3] * power ** 0.9 * (1 + 0.004 * (temperature - 60))
    values[1] = (7 * f[4] - 2.2 * f[5] * q * q) * (1 - leak) + 1.5 * filter * load
    values[2] = temperature
    values[3] = 0.8 * f[6] + 1.6 * f[7] * q ** 1.5 + 3 * friction + 1.2 * filter * load
    return temperature
  }
}
