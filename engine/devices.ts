import { readFileSync } from 'node:fs'
import { parse } from 'csv-parse/sync'
import { MillraceError } from './errors.ts'
import type { Tags } from './series.ts'

/** What a file says about one device. */
export interface DeviceTags { readonly tenant: string, readonly device: string, readonly tags: Tags }

/**
 * Reads a CSV of devices: `device` and any of `tenant` ('default' when absent), `type`, `site` and further columns, which
 * become tags; with `metric` and `unit` a row says the unit of one series, and its tags belong to the device all the same.
 * Empty fields say nothing. Later rows win. Throws when a row cannot be meant, naming file and line.
 */
export function readDevices (file: string, read: (path: string) => string = path => readFileSync(path, 'utf8')): DeviceTags[] {
  let text: string
  try {
    text = read(file)
  } catch (cause) {
    throw new MillraceError('usage/file', `the file of devices "${file}" cannot be read: ${(cause as NodeJS.ErrnoException).code ?? (cause as Error).message}`, { help: 'a path from the folder of the pipeline file', cause })
  }
  const wrong = (line: number, what: string, help: string) => new MillraceError('config/invalid', `${file}:${line}: ${what}`, { help })
  let rows: { record: Record<string, string>, info: { lines: number } }[]
  try {
    rows = parse(text, { columns: true, bom: true, trim: true, skip_empty_lines: true, info: true })
  } catch (cause) {
    throw wrong((cause as { lines?: number }).lines ?? 1, `not CSV: ${(cause as Error).message}`, 'commas between fields, quotes around fields with commas')
  }
  if (rows.length > 0 && !('device' in rows[0].record)) throw wrong(1, `no column "device" (there are: ${Object.keys(rows[0].record).join(', ')})`, 'the first line names the columns: tenant,device,type,site')
  const devices = new Map<string, { tenant: string, device: string, tags: Record<string, string> }>()
  for (const { record, info } of rows) {
    const { tenant = '', device, metric = '', unit = '', ...rest } = record
    if (device === '') throw wrong(info.lines, 'a row without a device', 'fill in the column "device"')
    if (metric !== '' && unit === '') throw wrong(info.lines, `metric "${metric}" without a unit`, 'a metric stands in this file to have a unit; leave the field empty to speak of the device')
    const key = JSON.stringify([tenant, device])
    let entry = devices.get(key)
    if (entry === undefined) devices.set(key, entry = { tenant: tenant || 'default', device, tags: {} })
    for (const [name, value] of Object.entries(rest)) if (value !== '') entry.tags[name] = value
    if (unit !== '') entry.tags[metric === '' ? 'unit' : `unit.${metric}`] = unit
  }
  return [...devices.values()]
}
