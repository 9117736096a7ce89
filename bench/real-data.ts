import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'

/** Where measured data are, unless --data says otherwise: in the folder that MILLRACE_DATA names, or beside the project. */
export const dataIn = (folder = ''): string => join(process.env.MILLRACE_DATA ?? '../shared/data', folder)

/** What one device says, in the order of its file. */
export interface Device {
  readonly name: string
  readonly metrics: readonly string[]
  readonly micros: readonly number[]             // event time of each message, us since 1970
  readonly values: readonly (readonly number[])[]      // of each message, by metric
}

const TEP_START = Date.UTC(2020, 0, 1) * 1000 + 1      // TEP files have no times; 1 us past the hour, so that microseconds count
const TEP_STEP = 3 * 60 * 1_000_000

/** The devices of a folder such as ../shared/data: SKAB valve2 and its anomaly-free run, TEP test runs, NAB files. */
export const readDevices = (folder: string): Device[] => [
  ...filesOf(join(folder, 'skab/data/anomaly-free'), '.csv').map(skab),
  ...filesOf(join(folder, 'skab/data/valve2'), '.csv').map(skab),
  ...['d00_te', 'd01_te', 'd04_te'].map(run => tep(join(folder, 'tep', `${run}.dat`))),
  ...readdirSync(join(folder, 'nab/data')).sort().flatMap(kind => filesOf(join(folder, 'nab/data', kind), '.csv').map(nab))
]

const filesOf = (folder: string, ending: string): string[] => readdirSync(folder).filter(f => f.endsWith(ending)).sort().map(f => join(folder, f))
export const linesOf = (file: string): string[] => readFileSync(file, 'utf8').split(/\r?\n/).filter(line => line.trim() !== '')
/** '2020-03-09 16:16:30', taken as UTC. */
export const micros = (text: string): number => Date.parse(`${text.replace(' ', 'T')}Z`) * 1000

/** datetime;8 sensors[;anomaly;changepoint], one line per second. */
export function skab (file: string): Device {
  const [head, ...lines] = linesOf(file).map(line => line.split(';'))
  return { name: `skab-${basename(file, '.csv')}`, metrics: head.slice(1, 9), micros: lines.map(([time]) => micros(time)), values: lines.map(line => line.slice(1, 9).map(Number)) }
}

/** 52 columns, one line every three minutes. */
export const tep = (file: string): Device => tepOf(`tep-${basename(file, '.dat')}`, tepRows(file))

/** The rows of a file, or with `transposed` its columns. */
export function tepRows (file: string, transposed = false): number[][] {
  const rows = linesOf(file).map(line => line.trim().split(/\s+/).map(Number))
  return transposed ? rows[0].map((_, i) => rows.map(row => row[i])) : rows
}

export function tepOf (name: string, values: readonly (readonly number[])[]): Device {
  return { name, metrics: values[0].map((_, i) => i < 41 ? `xmeas-${i + 1}` : `xmv-${i - 40}`), micros: values.map((_, i) => TEP_START + i * TEP_STEP), values }
}

/** timestamp,value */
function nab (file: string): Device {
  const [, ...lines] = linesOf(file).map(line => line.split(','))
  return { name: `nab-${basename(file, '.csv')}`, metrics: ['value'], micros: lines.map(([time]) => micros(time)), values: lines.map(([, value]) => [Number(value)]) }
}
