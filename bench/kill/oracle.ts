/**
 * What must be in the database, worked out plainly from the messages in the order of their log: arrays, one pass for each
 * question, nothing of the engine's.
 */
import { createHash } from 'node:crypto'
import { windows, type Stored, type Window } from '../recompute.ts'
import type { Message } from './archive.ts'
import { ALERT, NAME, TENANT, type Settings } from './pipeline.ts'

export interface Row { readonly value: number, readonly ewma: number, readonly zscore: number }
export interface Transition { readonly id: string, readonly since: number, readonly time: number, readonly value: number }

/** One series: rows by time and windows by start (us), alerts by id. */
export interface Expected { readonly rows: Map<number, Row>, readonly windows: Map<number, Window>, readonly alerts: Map<string, Transition> }
export interface Truth { readonly series: Map<string, Expected>, readonly messages: number, readonly repeated: number, readonly late: number, readonly dead: readonly Dead[] }
export interface Dead { readonly name: string, readonly micros: number }

interface Kept extends Stored { readonly late: boolean }       // late for its window
interface Heard { readonly device: string, readonly kept: Kept[], readonly seen: Map<number, number[]>, newest: number }

/** `poison`: values on which an operator throws before anything remembers them. Topics are `kill`, device and metric, with / or . between them; payloads `{ts, value}` with ts in us. */
export async function work (messages: Iterable<Message> | AsyncIterable<Message>, settings: Settings, poison: (value: number) => boolean = () => false): Promise<Truth> {
  const heard = new Map<string, Heard>(), newest = new Map<string, number>()       // event time of a device
  const dead: Dead[] = []
  let count = 0, repeated = 0, late = 0
  for await (const { topic, payload } of messages) {
    count++
    const [, device, metric] = topic.split(/[/.]/)
    const { ts: micros, value } = JSON.parse(payload) as { ts: number, value: number }
    const name = `${device}/${metric}`
    if (poison(value)) { dead.push({ name, micros }); continue }
    let series = heard.get(name)
    if (series === undefined) heard.set(name, series = { device, kept: [], seen: new Map(), newest: -Infinity })
    const progress = (newest.get(device) ?? -Infinity) - settings.lateness
    newest.set(device, Math.max(newest.get(device) ?? -Infinity, micros))
    if (repeats(series, micros, value, settings.within)) { repeated++; continue }
    const isLate = Math.floor(micros / settings.every) * settings.every + settings.every <= progress
    if (isLate) late++
    series.kept.push({ micros, seq: 0, value, late: isLate })
  }
  const series = new Map([...heard].map(([name, { device, kept }]) => [name, expect(name, kept, newest.get(device)! - settings.lateness, settings)]))
  return { series, messages: count, repeated, late, dead }
}

/** The same time and value again, looking back `within` from the newest time of the series. What is older is not recognised. */
function repeats (series: Heard, micros: number, value: number, within: number): boolean {
  if (micros < series.newest - within) return false
  series.newest = Math.max(series.newest, micros)
  const there = series.seen.get(micros)
  if (there === undefined) series.seen.set(micros, [value])
  else if (there.includes(value)) return true
  else there.push(value)
  return false
}

function expect (name: string, kept: readonly Kept[], closed: number, settings: Settings): Expected {
  const means = ewmas(kept, settings.alpha), scores = zscores(kept, settings.zscore)
  const rows = new Map<number, Row>()
  kept.forEach(({ micros, value }, i) => { if (!rows.has(micros)) rows.set(micros, { value, ewma: means[i], zscore: scores[i] }) })
  return { rows, windows: windows(kept.filter(r => !r.late), settings.every, closed), alerts: alerts(name, kept, settings.alert) }
}

function ewmas (kept: readonly Stored[], alpha: number): number[] {
  let mean = NaN
  return kept.map(({ value }) => mean = Number.isNaN(mean) ? value : mean + alpha * (value - mean))
}

/**
 * Huber's proposal 2 with decaying weights, as models/robust.ts describes it: scored first, then learned; a reading pulls with at
 * most 3 scales; it begins at the median and MAD of the first readings, which have no score.
 */
function zscores (kept: readonly Stored[], { over, samples, floor }: Settings['zscore']): number[] {
  const first = kept.slice(0, samples), rest = kept.slice(samples)
  const learned = first.map(() => NaN)
  if (first.length < samples) return learned
  let location = median(first.map(r => r.value))
  const off = first.map(r => Math.abs(r.value - location)).sort((a, b) => a - b)
  let variance = (1.482602 * median(off) || 1.253314 * off.reduce((a, b) => a + b) / off.length) ** 2
  let weight = samples, newest = Math.max(...first.map(r => r.micros / 1000))
  return [...learned, ...rest.map(({ micros, value }) => {
    const time = micros / 1000, scale = Math.max(Math.sqrt(variance), floor)
    const score = value === location ? 0 : clamp((value - location) / scale, 1000)
    const past = time > newest ? Math.max(weight * Math.exp((newest - time) / over), samples) : weight
    newest = Math.max(newest, time)
    weight = past + 1
    const pull = scale > 0 ? clamp(value - location, 3 * scale) : value - location
    location += pull / weight
    variance = (past * variance + pull * pull / 0.9950073 * (past / weight)) / weight
    return score
  })]
}

const clamp = (x: number, most: number): number => Math.max(-most, Math.min(most, x))
function median (of: readonly number[]): number {
  const sorted = [...of].sort((a, b) => a - b)
  return (sorted[sorted.length - 1 >> 1] + sorted[sorted.length >> 1]) / 2
}

/** Fires when the value has been above for so long, resolved when it is not; readings older than the newest are not looked at. */
function alerts (name: string, kept: readonly Stored[], { above, for: span }: Settings['alert']): Map<string, Transition> {
  const found = new Map<string, Transition>()
  let newest = -Infinity, since: number | undefined, firing = false
  const transition = (state: string, time: number, value: number) => {
    const id = `${incident(name, since!)}.${state}`
    found.set(id, { id, since: since!, time, value })
  }
  for (const { micros, value } of kept) {
    if (micros < newest) continue
    newest = micros
    if (value > above) {
      since ??= micros
      if (!firing && micros - since >= span) { firing = true; transition('firing', micros, value) }
    } else {
      if (firing) transition('resolved', micros, value)
      firing = false
      since = undefined
    }
  }
  return found
}

/** 160 bits of SHA-256 in base32, as docs say of incidents. No two of one series begin at the same time here. */
function incident (name: string, since: number): string {
  const [device, metric] = name.split('/')
  const hash = createHash('sha256').update(JSON.stringify([TENANT, NAME, ALERT, device, metric, since / 1000, 0])).digest('hex').slice(0, 40)
  return BigInt(`0x${hash}`).toString(32).padStart(32, '0').replaceAll(/./g, digit => 'abcdefghijklmnopqrstuvwxyz234567'[parseInt(digit, 32)])
}
