import { pino, type Logger } from 'pino'
import { visible } from './names.ts'
export type { Logger }

export interface LogOptions { readonly level?: string | undefined, readonly format?: 'auto' | 'json' | 'pretty' | undefined }

const LEVELS: Record<number, string> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' }
const HIDDEN = new Set(['level', 'time', 'pid', 'hostname', 'msg'])

/** Logs go to stderr: JSON for programs, one line of text for people (when stderr is a terminal). Secrets in well-known fields are masked. */
export function openLog ({ level = 'info', format = 'auto' }: LogOptions = {}): Logger {
  const pretty = format === 'pretty' || (format === 'auto' && process.stderr.isTTY === true)
  const options = { level, redact: { paths: ['password', '*.password', 'secret', '*.secret', 'headers.authorization'], censor: '***' } }
  return pretty ? pino(options, { write: (line: string) => { process.stderr.write(readable(line)) } }) : pino(options, pino.destination({ dest: 2, sync: true }))
}

function readable (line: string): string {
  const entry = JSON.parse(line) as Record<string, unknown>
  const rest = Object.entries(entry).filter(([key]) => !HIDDEN.has(key)).map(([key, value]) => `${key}=${visible(typeof value === 'string' ? value : JSON.stringify(value))}`)
  return `${new Date(entry.time as number).toISOString().slice(11, 23)} ${LEVELS[entry.level as number].padEnd(5)} ${visible(entry.msg as string)}${rest.length > 0 ? `  ${rest.join(' ')}` : ''}\n`
}
