/** What options of commands say, as values. Each throws usage/command with what would be right. */
import { existsSync } from 'node:fs'
import { isIP } from 'node:net'
import { dirname, resolve } from 'node:path'
import { Option } from 'commander'
import { MillraceError } from '../errors.ts'

/** Options that several commands have. */
export const SERIES = ['--max-series <n>', 'how many series memory is reserved for', '100000'] as const
/** Where alerts and rows may be sent; made anew for each command. */
export const egress = (): Option => new Option('--egress <networks>', 'networks that webhooks may reach although they are not public, with commas between, such as 10.0.0.0/8,192.0.2.7').env('MILLRACE_EGRESS')
export const publicUrl = (): Option => new Option('--public-url <url>', 'where people reach the API: alerts link there').env('MILLRACE_PUBLIC_URL')
/** How much of a log stays that nobody needs any more. */
export const LOG_KEEP = '256MiB'
export const REPLAYED = ['--option <name=value...>', 'any other option of the source replay, its value as JSON or text, such as dates=dmy'] as const

/** How many series memory is reserved for: 1 to 2^24. */
export function seriesOf (text: string): number {
  const n = Number(text)
  if (!(Number.isInteger(n) && n >= 1 && n <= 2 ** 24)) throw new MillraceError('usage/command', `--max-series ${text} is not a number of series`, { help: `an integer from 1 to ${2 ** 24}` })
  return n
}

/** '512MiB' -> bytes. */
export function bytesOf (text: string): number {
  const [, n, unit] = /^(\d+)(KiB|MiB|GiB|TiB)$/.exec(text) ?? []
  const bytes = Number(n) * 1024 ** (1 + ['KiB', 'MiB', 'GiB', 'TiB'].indexOf(unit))
  if (!(bytes >= 2 ** 20)) throw new MillraceError('usage/command', `"${text}" is not a size of a log`, { help: 'at least 1MiB, such as 512MiB or 4GiB' })
  return bytes
}

/** '256MiB' or '0' -> bytes. */
export const keptOf = (text: string): number => text === '0' ? 0 : bytesOf(text)

/** '10.0.0.0/8,192.0.2.7' -> each of them. */
export function networksOf (text: string | undefined, option = '--egress'): string[] {
  const networks = (text ?? '').split(',').map(n => n.trim()).filter(n => n !== '')
  for (const network of networks) {
    const [address, bits = '0', ...more] = network.split('/')
    if (isIP(address) === 0 || more.length > 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > (isIP(address) === 4 ? 32 : 128)) throw new MillraceError('usage/command', `${option}: "${network}" is no network`, { help: 'such as 10.0.0.0/8, 192.0.2.7 or fd00::/8' })
  }
  return networks
}

/** An http or https URL as it stands before a path. */
export function urlOf (option: string, text: string | undefined): string | undefined {
  if (text !== undefined && !(URL.canParse(text) && /^https?:$/.test(new URL(text).protocol))) throw new MillraceError('usage/command', `${option} "${text}" is not a URL`, { help: 'such as https://millrace.example.com' })
  return text
}

/** A whole number that is not negative. */
export function countOf (option: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new MillraceError('usage/command', `${option} "${text}" is not a whole number`)
  return Number(text)
}

/** A file that is to be written -> its path. */
export function fileOf (text: string): string {
  const file = resolve(text), folder = dirname(file)
  if (!existsSync(folder)) throw new MillraceError('usage/command', `--to ${text}: there is no folder ${folder}`, { help: 'make it, or name another one' })
  return file
}

/** '127.0.0.1:8080' -> host and port. */
export function address (text: string): { host: string, port: number } {
  const [, host, port] = /^(?:(.*):)?(\d+)$/.exec(text) ?? []
  if (port === undefined || Number(port) > 65535) throw new MillraceError('usage/command', `"${text}" is not an address`, { help: 'write host:port or port, such as 127.0.0.1:8080' })
  return { host: host ?? '127.0.0.1', port: Number(port) }
}

/** 'missing=["-200"]' -> ['missing', ['-200']]; what is no JSON is text. */
export function pairOf (text: string): [string, unknown] {
  const equals = text.indexOf('=')
  if (equals < 1) throw new MillraceError('usage/command', `--option "${text}" is not name=value`, { help: 'such as dates=dmy or missing=["-200"]' })
  const value = text.slice(equals + 1)
  try {
    return [text.slice(0, equals), JSON.parse(value)]
  } catch {
    return [text.slice(0, equals), value]
  }
}
