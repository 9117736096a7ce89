/**
 * Windows by local clocks against a walk through minutes that knows nothing but what Intl.DateTimeFormat says clocks read:
 * which windows each reading belongs to, for days in which clocks go forward, back, by half an hour, or not at all.
 */
import assert from 'node:assert/strict'
import t from 'tap'
import type { Operator } from '#engine'
import { key, uniform } from '../../models/random.ts'
import { hopping, tumbling } from '../../operators/index.ts'
import { bench, type Given } from './table.ts'

const MINUTE = 60_000
const days = [
  ['Europe/Berlin', '2024-03-31'], ['Europe/Berlin', '2024-10-27'], ['America/New_York', '2024-03-10'], ['America/New_York', '2024-11-03'],
  ['Australia/Lord_Howe', '2024-10-06'], ['Australia/Lord_Howe', '2024-04-07'], ['Asia/Kolkata', '2024-10-27'],
  ['America/St_Johns', '2010-11-07'], ['Africa/Casablanca', '2024-04-14']
] as const

interface Clocks { readonly from: number, readonly read: Float64Array }      // minute since 1970 of the first, and what clocks read in each, as a minute

function clocksOf (zone: string, day: string): Clocks {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'short' }), from = Date.parse(day) / MINUTE - 3 * 1440
  return { from, read: Float64Array.from({ length: 7 * 1440 }, (_, i) => Date.parse(`${format.format((from + i) * MINUTE).replace(' ', 'T')}Z`) / MINUTE) }
}

/** Minutes in which a window begins: clocks read a new multiple, or an old one once more that is as long behind as a window. */
function begins ({ read }: Clocks, every: number, offset: number): Map<number, number> {
  const found = new Map<number, number>()                // minute, and what clocks should read when it begins
  let top = -Infinity, last = -Infinity, repeats = 0
  for (let i = 0; i < read.length; i++) {
    const number = Math.floor((read[i] - offset) / every), exact = (read[i] - offset) % every === 0
    if (i > 0 && read[i] < read[i - 1]) repeats = read[i - 1] + 1 - read[i]
    if (number > top || (exact && every <= repeats && i - last >= every)) {
      found.set(i, number * every + offset)
      last = i
    }
    top = Math.max(top, number)
  }
  return found
}

/** Windows [from, to) of minutes. `every`, `pane` as of hopping; for windows that follow one another all three are the same. */
function windowsOf (clocks: Clocks, size: number, every: number, pane: number, offset: number): [from: number, to: number][] {
  const { read } = clocks, starts = begins(clocks, every, offset), panes = begins(clocks, pane, offset)
  const next = (of: Map<number, number>, at: number) => [...of.keys()].find(i => i >= at) ?? Infinity
  return [...starts].map(([from, label]) => {
    let target = label + size
    for (let i = from + 1; i < read.length; i++) {
      const back = read[i - 1] + 1 - read[i]
      if (back >= size) return [from, next(panes, from + size)]
      if (back >= every) target = Math.min(target, starts.get(next(starts, i))! + size)
      if (read[i] >= target) return [from, i]
    }
    return [from, Infinity]
  })
}

const gcd = (a: number, b: number): number => b === 0 ? a : gcd(b, a % b)

/** Start, number and sum of each window that holds something. */
const expected = ({ from: first }: Clocks, windows: readonly [from: number, to: number][], readings: readonly Given[]): string[] => windows.flatMap(([from, to]) => {
  const held = readings.filter(([second]) => second / 60 >= first + from && second / 60 < first + to)
  return held.length === 0 ? [] : [`${(first + from) * 60}: ${held.length}, ${held.reduce((sum, r) => sum + r[2], 0)}`]
})

function shown (step: Operator, readings: readonly Given[]): string[] {
  const b = bench(step, { lateness: 7200 }), rows = [...readings.flatMap((_, i) => i % 5 === 0 ? b.give(readings.slice(i, i + 5)) : []), ...b.end()]
  assert.deepEqual(b.late, [])
  return rows.map(r => `${r.at}: ${r.count}, ${Math.round(r.mean as number * (r.count as number))}`)
}

const shapes: readonly (readonly [size: number, every: number, offset: number])[] = [
  [15, 15, 0], [15, 15, 5], [20, 20, 0], [25, 25, 0], [30, 30, 10], [60, 60, 0], [60, 60, 15], [480, 480, 360], [1440, 1440, 0], [1440, 1440, 150],
  [60, 15, 0], [60, 15, 5], [20, 10, 0], [45, 30, 0], [90, 60, 0], [120, 15, 0], [1440, 15, 0], [1440, 60, 15], [1440, 720, 360], [1500, 1440, 135]
]

for (const [zone, day] of days) {
  t.test(`each reading is in the windows in which clocks of ${zone} say it is, around ${day}`, async t => {
    const clocks = clocksOf(zone, day), chance = key(7, clocks.from)
    // Of the middle three days, so that their windows are whole; most of them around the change; up to 50 minutes late; values whole, so that sums are exact
    const readings = Array.from({ length: 300 }, (_, i): Given => [Math.floor(60_000 * (clocks.from + (i % 4 > 0 ? 3 * 1440 - 600 + 1800 * uniform(chance, i) : 2 * 1440 + 3 * 1440 * uniform(chance, i)))) / 1000, 'a/x', i])
      .sort((a, b) => a[0] + 3000 * uniform(chance, 1000 + a[2]) - b[0] - 3000 * uniform(chance, 1000 + b[2]))
    for (const [size, every, offset] of shapes) {
      const want = expected(clocks, windowsOf(clocks, size, every, gcd(size, every), offset), readings)
      const options = { zone, offset: `${offset}m`, features: ['count', 'mean'] as const }
      const steps: Record<string, Operator> = { hopping: hopping({ size: `${size}m`, every: `${every}m`, ...options }), ...size === every && { tumbling: tumbling({ every: `${every}m`, ...options }) } }
      for (const [name, step] of Object.entries(steps)) {
        const got = shown(step, readings), differ = got.length === want.length ? got.findIndex((row, i) => row !== want[i]) : Math.min(got.length, want.length)
        if (differ >= 0) t.fail(`${name}: ${size} min every ${every} min, ${offset} min later`, { got: got.slice(differ - 2, differ + 3), want: want.slice(differ - 2, differ + 3) })
      }
      t.ok(want.length > 2)
    }
  })
}
