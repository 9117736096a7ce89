/**
 * Writes the development data: sensors.csv, what 15 sensors (5 machines, 3 metrics each) have measured in three days, and
 * labels.csv, what was wrong with them. Made by the simulated fleet (models/fleet.ts) from one seed: the same bytes every time.
 * `node --import tsx data/generate.ts` writes them again, with their checksums.
 */
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Fleet, roomFor } from '../models/fleet.ts'
import { metricModels } from '../models/metric.ts'
import type { Fault } from '../models/faults.ts'

const SEED = 2026
const START = Date.UTC(2026, 0, 5)   // a Monday
const EVERY = 5 * 60_000, HOUR = 60 * 60_000
const END = START + 72 * HOUR
const machines = ['press-1', 'press-2', 'pump-1', 'pump-2', 'fan-1']
const metrics = ['temperature', 'vibration', 'current'] as const

const fault = (machine: (typeof machines)[number], metric: (typeof metrics)[number] | '', kind: Fault['kind'], from: number, to: number, size = 0): Fault =>
  ({ device: machines.indexOf(machine), metric: metric === '' ? -1 : metrics.indexOf(metric), kind, from: START + from * HOUR, to: START + to * HOUR, size })

/** One of each kind; hours after the start. */
const faults: readonly Fault[] = [
  fault('press-1', 'temperature', 'drift', 20, 26, 25),
  fault('press-1', 'current', 'spike', 50, 50 + EVERY / HOUR, 30),
  fault('press-2', 'vibration', 'stuck', 30, 33),
  fault('press-2', '', 'load', 55, 59, 0.5),
  fault('pump-1', 'current', 'shift', 40, 46, 6),
  fault('pump-1', 'vibration', 'noise', 60, 63, 1.5),
  fault('pump-2', '', 'dropout', 35, 37),
  fault('pump-2', 'temperature', 'unit', 62, 64, 1.8),
  fault('fan-1', '', 'clock', 28, 30, -20 * 60_000),
  fault('fan-1', 'temperature', 'clip', 57, 68, 55)
]

/** The files by name. Values have four decimals, times are ISO 8601 with milliseconds. */
export function generate (): Record<string, string> {
  const fleet = new Fleet({ devices: machines.length, metrics: metrics.map(name => ({ ...metricModels[name], stride: 1 })), every: EVERY, seed: SEED, start: START, faults })
  const out = roomFor(1024)
  const rows = ['time,device,metric,value']
  for (let n; (n = fleet.fill(out, END - 1)) > 0;) {
    for (let i = 0; i < n; i++) rows.push([time(out.time[i]), machines[Math.floor(out.series[i] / metrics.length)], metrics[out.series[i] % metrics.length], Math.round(out.value[i] * 1e4) / 1e4].join(','))
  }
  const labels = fleet.faults(END).map(({ device, metric, kind, from, to, size }) => [machines[device], metric < 0 ? '' : metrics[metric], kind, time(from), time(to), size].join(','))
  return { 'sensors.csv': text(rows), 'labels.csv': text(['device,metric,kind,from,to,size', ...labels]) }
}

/** The content of CHECKSUMS, as `sha256sum -c` reads it. */
export const checksums = (files: Readonly<Record<string, string>>): string =>
  text(Object.entries(files).map(([name, content]) => `${createHash('sha256').update(content).digest('hex')}  ${name}`))

const text = (lines: readonly string[]): string => `${lines.join('\n')}\n`
const time = (ms: number): string => new Date(ms).toISOString()

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = generate()
  for (const [name, content] of Object.entries({ ...files, CHECKSUMS: checksums(files) })) writeFileSync(join(import.meta.dirname, name), content)
}
