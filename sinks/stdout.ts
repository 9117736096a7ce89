import type { Writable } from 'node:stream'
import { plainAlert, asks, defineSink, isoMicros, MillraceError, Type, type AlertEvent, type Receiver, type Sink, type SinkHost } from '#engine'
import { RowText } from './format/rows.ts'

/**
 * Rows and alerts on standard output, one per line. At least once: lines printed before a crash may be printed again.
 * A reader that is slow holds the whole process: Node.js writes to pipes and terminals synchronously on Linux.
 */
export const stdout = defineSink({
  name: 'stdout',
  summary: 'Rows, or alerts, on standard output, one per line. At least once.',
  options: Type.Object({
    format: Type.Union([Type.Literal('json'), Type.Literal('text')], { description: 'json: one object per line. text: for people.', default: 'json' }),
    ...asks
  }),
  follow: ({ format }, host) => rowsTo(process.stdout, format, host),
  receive: ({ format }) => alertsTo(process.stdout, format)
})

export function rowsTo (stream: Writable, format: 'json' | 'text', host: SinkHost): Sink {
  const text = new RowText(host.series)
  const print = printer(stream)
  return {
    async write (batch) {
      const lines = format === 'json' ? text.lines(batch) : text.lines(batch).map(readable)
      if (lines.length > 0) await print(`${lines.join('\n')}\n`)
    },
    close: async () => {}
  }
}

export function alertsTo (stream: Writable, format: 'json' | 'text'): Receiver {
  const print = printer(stream)
  return {
    send: ({ events }) => print(events.map(event => `${format === 'json' ? JSON.stringify(plainAlert(event)) : sentence(event)}\n`).join('')),
    close: async () => {}
  }
}

/** Resolves when the stream has taken the text, which is when its reader has made room for it. */
const printer = (stream: Writable) => (text: string): Promise<void> => new Promise((resolve, reject) => {
  const failed = (cause: Error) => reject(new MillraceError('sink/failed', `stdout: ${(cause as NodeJS.ErrnoException).code === 'EPIPE' ? 'nobody reads it any more' : cause.message}`, { cause }))
  stream.once('error', failed)
  stream.write(text, error => {
    // the error event comes after this callback
    setImmediate(() => stream.off('error', failed))
    if (error) failed(error)
    else resolve()
  })
})

/** `2026-03-09T12:00:00.000000Z  acme/boiler-1/temp  80  score=0.5` */
function readable (line: string): string {
  const { tenant, device, metric, time, value, ...columns } = JSON.parse(line) as Record<string, string | number | boolean | null>
  const more = Object.entries(columns).map(([name, x]) => `${name}=${String(x ?? '-')}`)
  return [time, `${tenant}/${device}/${metric}`, value ?? '-', ...more].join('  ')
}

const sentence = ({ time, state, severity, alert, tenant, device, metric, message }: AlertEvent): string =>
  `${isoMicros(time)}  ${state.toUpperCase()} ${severity} ${alert}  ${tenant}/${device}/${metric}  ${message}`
