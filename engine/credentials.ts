import { createHash } from 'node:crypto'
import { parse } from 'csv-parse/sync'
import { csvCell } from './csv.ts'
import { MillraceError } from './errors.ts'

/** A device that may connect: by its password (SHA-256, undefined when it has none) or by a certificate with its name. */
export interface Device { readonly username: string, readonly digest: Buffer | undefined, readonly topics: readonly string[] }

const COLUMNS = ['username', 'digest', 'topics'] as const
export const CREDENTIALS = `a first line "${COLUMNS.join()}", then a line for each device; millrace devices add writes one`
export const passwordDigest = (password: string | Uint8Array): Buffer => createHash('sha256').update(password).digest()

/**
 * The devices of a CSV file with the columns
 *
 *   username   of the device; the common name of its certificate when it has one
 *   digest     SHA-256 of its password, 64 hex digits; empty: by certificate only. A password of 256 random bits needs no slow hash
 *   topics     MQTT filters with spaces between, in which it may publish and subscribe; empty: `<username>/#`
 *
 * Throws config/invalid with the line and what is wrong there.
 */
export function devicesOf (text: string, file: string): Map<string, Device> {
  const invalid = (message: string) => new MillraceError('config/invalid', `${file}: ${message}`, { help: CREDENTIALS })
  let lines: { record: Record<string, string>, info: { lines: number } }[]
  try {
    lines = parse(text, { bom: true, columns: true, info: true, skip_empty_lines: true, trim: true })
  } catch (cause) {
    throw invalid((cause as Error).message)
  }
  const devices = new Map<string, Device>()
  for (const { record: { username, digest, topics }, info } of lines) {
    if (username === undefined || digest === undefined || topics === undefined) throw invalid(`the columns are not ${COLUMNS.join()}`)
    if (username === '' || /[+#\0\s]/.test(username)) throw invalid(`line ${info.lines}: "${username}" is no username: it must not be empty, nor have spaces, + or # in it`)
    if (devices.has(username)) throw invalid(`line ${info.lines}: "${username}" stands there twice`)
    if (!/^([0-9a-f]{64})?$/i.test(digest)) throw invalid(`line ${info.lines}: the digest of "${username}" is not 64 hex digits`)
    const filters = topics === '' ? [`${username}/#`] : topics.split(/\s+/)
    const wrong = filters.find(f => !isFilter(f))
    if (wrong !== undefined) throw invalid(`line ${info.lines}: "${wrong}" is no topic filter`)
    devices.set(username, { username, digest: digest === '' ? undefined : Buffer.from(digest, 'hex'), topics: filters })
  }
  return devices
}

/** MQTT 3.1.1, section 4.7.1: `+` stands for a level, `#` at the end for all that follow. Filters of `$` topics are none here. */
const isFilter = (filter: string): boolean => filter !== '' && !filter.startsWith('$') && filter.split('/').every((level, i, all) => level === '+' || (level === '#' && i === all.length - 1) || !/[+#]/.test(level))

/** The file of such devices. */
export const writtenDevices = (devices: Iterable<Device>): string => [COLUMNS, ...Array.from(devices, ({ username, digest, topics }) => [username, digest?.toString('hex') ?? '', topics.join(' ')])].map(line => `${line.map(csvCell).join()}\n`).join('')
