/** What must be in the store, worked out plainly from the records of the log in their order: nothing of the engine's, nothing clever. */
import { createHash } from 'node:crypto'
import type { AlertEvent } from '#engine'
import { kinds } from '../../engine/wal-segment.ts'
import type { Row, Window } from './database.ts'
import type { Entry } from './ledger.ts'
import { ALPHA, EVERY, FOR, HIGH, MAX, NAME, readingsOf, TIME } from './pipeline.ts'

interface Device { reached: number, heard: number, silent: 0 | 1 | 2, readonly series: Map<string, Series> }
interface Open { readonly values: { time: number, value: number }[], revision: number }
interface Series { readonly name: string, readonly seen: Map<number, number[]>, newest: number, mean: number, readonly open: Map<number, Open>, closed: number, phase: 'idle' | 'pending' | 'firing', since: number, at: number, last: number, ordinal: number }

export interface Truth {
  readonly rows: Map<string, Row>
  readonly windows: Map<string, Window>
  readonly late: string[]
  readonly dead: Map<string, string>
  readonly alerts: Map<string, string>       // id -> contentOf
  received: number, filtered: number, deduplicated: number, dead_lettered: number, aggregated: number, final: number
}

export function work (entries: readonly Entry[], dedupes: boolean): Truth {
  const truth: Truth = { rows: new Map(), windows: new Map(), late: [], dead: new Map(), alerts: new Map(), received: 0, filtered: 0, deduplicated: 0, dead_lettered: 0, aggregated: 0, final: 0 }
  const devices = new Map<string, Device>()
  const put = (series: Series, start: number, provisional: boolean) => {
    const { values, revision } = series.open.get(start)!, numbers = values.map(v => v.value)
    const byTime = values.map((v, i) => ({ ...v, i })).sort((a, b) => a.time - b.time || a.i - b.i)
    truth.windows.set(`${series.name} ${start}`, { values: [numbers.length, numbers.reduce((a, b) => a + b) / numbers.length, Math.min(...numbers), Math.max(...numbers), byTime[0].value, byTime.at(-1)!.value], revision, provisional })
    if (!provisional) { series.open.delete(start); truth.final++ }
  }
  const close = (device: Device, reached: number) => {
    for (const series of device.series.values()) for (const start of Array.from(series.open.keys())) if (start + EVERY <= reached) put(series, start, false)
  }
  for (const { position, kind, ingest, topic, body } of entries) {
    if (kind === kinds.start) for (const device of devices.values()) device.heard = ingest
    if (kind === kinds.tick) {
      for (const device of devices.values()) {
        if (device.silent === 2) continue
        const silence = ingest - device.heard, falls = device.silent === 0 && silence >= TIME.idle
        if (silence >= TIME.forget) {
          for (const series of device.series.values()) {
            if (series.open.size > 0) series.closed = Math.max(...series.open.keys()) + EVERY
            for (const start of Array.from(series.open.keys())) put(series, start, false)
          }
          device.silent = 2
        } else if (falls) {
          device.silent = 1
          for (const series of device.series.values()) for (const start of Array.from(series.open.keys())) { put(series, start, true); series.open.get(start)!.revision++ }
        }
      }
    }
    if (kind !== kinds.message) continue
    const readings = readingsOf(body)
    if (readings === undefined) {
      truth.received++
      truth.dead_lettered++
      truth.dead.set(`${position}/0`, 'unparseable')
      continue
    }
    let part = 0
    for (const [metric, time, value] of readings) {
      truth.received++
      if (time > ingest + TIME.ahead) {
        truth.dead_lettered++
        truth.dead.set(`${position}/${part++}`, 'future')
        continue
      }
      let device = devices.get(topic)
      if (device === undefined) devices.set(topic, device = { reached: -Infinity, heard: -Infinity, silent: 0, series: new Map() })
      let series = device.series.get(metric)
      if (series === undefined) device.series.set(metric, series = { name: `${topic}/${metric}`, seen: new Map(), newest: -Infinity, mean: NaN, open: new Map(), closed: -Infinity, phase: 'idle', since: NaN, at: -Infinity, last: NaN, ordinal: 0 })
      const arrival = device.reached
      device.heard = ingest
      device.silent = 0
      device.reached = Math.max(device.reached, time - TIME.lateness)
      row(truth, series, { time, value, arrival, position, dedupes })
      close(device, device.reached)
    }
  }
  return truth
}

function row (truth: Truth, series: Series, { time, value, arrival, position, dedupes }: { time: number, value: number, arrival: number, position: number, dedupes: boolean }): void {
  if (value > MAX) { truth.filtered++; return }
  const there = series.seen.get(time) ?? []
  if (dedupes && there.some(v => Object.is(v, value))) { truth.deduplicated++; return }
  series.seen.set(time, [...there, value])
  series.mean = Number.isNaN(series.mean) ? value : Number.isNaN(value) ? series.mean : series.mean + ALPHA * (value - series.mean)
  const key = `${series.name} ${time}${there.length === 0 ? '' : ` #${there.length}`}`
  truth.rows.set(key, { value, ewma: series.mean })
  alert(truth, series, time, value)
  const start = Math.floor(time / EVERY) * EVERY
  if (start + EVERY <= arrival || start + EVERY <= series.closed) { truth.late.push(`${key} = ${value} @${position}`); return }
  truth.aggregated++
  if (Number.isNaN(value)) return
  const open = series.open.get(start)
  if (open === undefined) series.open.set(start, { values: [{ time, value }], revision: 0 })
  else open.values.push({ time, value })
}

function alert (truth: Truth, series: Series, time: number, value: number): void {
  if (time < series.at) return
  series.at = time
  if (Number.isNaN(value)) return
  const say = (state: string) => { truth.alerts.set(`${incident(series.name, series.since, series.ordinal)}.${state}`, contentOf({ since: series.since, time, value })) }
  if (value > HIGH) {
    if (series.phase === 'idle') { series.phase = 'pending'; series.since = time }
    if (series.phase === 'pending' && time - series.since >= FOR) {
      series.phase = 'firing'
      series.ordinal = series.last === series.since ? series.ordinal + 1 : 0
      series.last = series.since
      say('firing')
    }
  } else {
    if (series.phase === 'firing') say('resolved')
    series.phase = 'idle'
  }
}

/** What an alert says, as it is compared. */
export const contentOf = ({ since, time, value }: Pick<AlertEvent, 'since' | 'time' | 'value'>): string => `since ${since} at ${time}: ${value}`

function incident (name: string, since: number, ordinal: number): string {
  const [device, metric] = name.split('/')
  const hash = createHash('sha256').update(JSON.stringify(['default', NAME, 'high', device, metric, since, ordinal])).digest('hex').slice(0, 40)
  return BigInt(`0x${hash}`).toString(32).padStart(32, '0').replaceAll(/./g, digit => 'abcdefghijklmnopqrstuvwxyz234567'[parseInt(digit, 32)])
}
