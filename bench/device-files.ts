/** Devices as faults-found and verdict write them with --write and read them with --data: a CSV a device, arrival,time,metric,value, and labels.csv beside them. */
import { existsSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { SeriesName } from '#engine'
import { iso, numberOf, readTable, timeOf, writeTable, wrong } from './series-files.ts'

/** What one device says, in the order of arrival. */
export interface DeviceReadings {
  readonly name: string
  readonly metrics: readonly string[]
  readonly arrival: readonly number[]            // ms
  readonly time: readonly number[]
  readonly metric: readonly number[]             // which of the metrics
  readonly value: readonly number[]
}

const LABELS = 'labels.csv', COLUMNS = ['arrival', 'time', 'metric', 'value'] as const

/** The files of a folder in order, without reading them. None when it is not there. */
export const devicesIn = (folder: string): string[] => !existsSync(folder) ? [] : readdirSync(folder).filter(f => f.endsWith('.csv') && f !== LABELS).sort(new Intl.Collator('en', { numeric: true }).compare).map(f => join(folder, f))

export function readDevice (path: string): DeviceReadings {
  const metrics: string[] = [], arrival: number[] = [], time: number[] = [], metric: number[] = [], value: number[] = []
  readTable(path, ...COLUMNS).forEach((row, i) => {
    const where = `${path}, row ${i + 1}`, at = timeOf(row.arrival, where)
    if (at < arrival[i - 1]) throw wrong(`${where}: it arrived before the row before`)
    let m = metrics.indexOf(row.metric)
    if (m < 0) m = metrics.push(row.metric) - 1
    arrival.push(at)
    time.push(timeOf(row.time, where))
    metric.push(m)
    value.push(numberOf(row.value, where))
  })
  if (arrival.length === 0) throw wrong(`${path}: there is no reading`)
  return { name: basename(path, '.csv'), metrics, arrival, time, metric, value }
}

export function writeDevice (folder: string, { name, metrics, arrival, time, metric, value }: DeviceReadings): void {
  writeTable(join(folder, `${name}.csv`), COLUMNS, arrival.map((at, i) => [iso(at), iso(time[i]), metrics[metric[i]], value[i]]))
}

/** What was wrong with a device, from when to when (ms). No metric: with all of it. */
export interface Labelled extends Pick<SeriesName, 'device' | 'metric'> { readonly kind: string, readonly verdict: string, readonly from: number, readonly to: number }

export const readLabelled = (folder: string, ...also: 'verdict'[]): Labelled[] => readTable(join(folder, LABELS), 'device', 'metric', 'kind', 'from', 'to', ...also).map((row: Partial<Record<string, string>>, i) => {
  const where = `${join(folder, LABELS)}, row ${i + 1}`
  return { device: row.device!, metric: row.metric!, kind: row.kind!, verdict: row.verdict ?? '', from: timeOf(row.from!, where), to: timeOf(row.to!, where) }
})
export const writeLabelled = (folder: string, labels: readonly Labelled[]): void => { writeTable(join(folder, LABELS), ['device', 'metric', 'kind', 'verdict', 'from', 'to'], labels.map(l => [l.device, l.metric, l.kind, l.verdict, iso(l.from), iso(l.to)])) }
