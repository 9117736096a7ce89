import type { Command } from 'commander'
import { openLog } from '../log.ts'
import { visible } from '../names.ts'
import { duration } from '../options.ts'
import { countOf } from './arguments.ts'
import { streams } from './program.ts'
import { ask, follow, remote, type RemoteOptions } from './remote.ts'
import { stopSignal } from './work.ts'

interface Options extends RemoteOptions { readonly every: string, readonly series: string, readonly once?: boolean, readonly json?: boolean }
interface State { readonly pipeline: string, readonly trouble: Readonly<Record<string, string>>, readonly readings: Readonly<Record<string, number>>, readonly series: number, readonly log?: { readonly waiting_records: number }, readonly event_to_row_ms: { readonly p99: number } }
interface Line { readonly pipeline: string, readonly rate: number, readonly written: number, readonly dead_lettered: number, readonly in_flight: number, readonly waiting: number, readonly series: number, readonly p99_ms: number, readonly trouble: string }
interface Busy { readonly series: string, readonly pipeline: string, readonly table: string, readonly rate: number, readonly last: number | null }
interface Picture { readonly seconds: number, readonly pipelines: readonly Line[], readonly busiest: readonly Busy[] }

/** `millrace top`: pipelines and the busiest series, again and again. */
export function top (program: Command): void {
  remote(program.command('top').description('show the pipelines of a process that runs, and their busiest series'))
    .option('--every <span>', 'how long to look before each picture', '2s')
    .option('--series <n>', 'how many series', '10')
    .option('--once', 'one picture, then stop')
    .option('--json', 'each picture as a line of JSON')
    .action(async ({ every, series, once = false, json = false, ...options }: Options) => {
      const { out, err } = streams(program), stop = stopSignal(openLog({ level: 'warn' })), most = countOf('--series', series), away = new AbortController()
      const signal = AbortSignal.any([stop.signal, away.signal]), tty = process.stdout.isTTY && !json && !once
      let counted = new Map<string, { readonly pipeline: string, readonly table: string, readonly series: string, rows: number, last: number | null }>()
      const listening = (async () => {
        for await (const { data } of follow(options, { kind: 'rows' }, signal, notice => { if (!tty) err(`${notice}\n`) })) {
          const { pipeline, table, rows } = JSON.parse(data) as { pipeline: string, table: string, rows: { tenant: string, device: string, metric: string, value: number | null }[] }
          for (const { tenant, device, metric, value } of rows) {
            const name = `${tenant}/${device}/${metric}`, key = `${pipeline}\n${table}\n${name}`, known = counted.get(key)
            if (known === undefined) counted.set(key, { pipeline, table, series: name, rows: 1, last: value })
            else { known.rows++; known.last = value }
          }
        }
      })()
      const ended = listening.then(() => undefined, (error: unknown) => { throw error })
      const states = async () => (await (await ask(options, { path: '/api/v1/pipelines', signal })).json() as { pipelines: State[] }).pipelines
      try {
        for (let before = await states(), at = performance.now(); !stop.signal.aborted;) {
          await Promise.race([ended, new Promise<void>(resolve => { const timer = setTimeout(resolve, duration(every)); stop.signal.addEventListener('abort', () => { clearTimeout(timer); resolve() }, { once: true }) })])
          if (stop.signal.aborted) break
          const now = await states(), seconds = (performance.now() - at) / 1000, had = before
          at = performance.now()
          const picture: Picture = {
            seconds: rounded(seconds),
            pipelines: now.map(state => lineOf(state, had.find(b => b.pipeline === state.pipeline), seconds)),
            busiest: [...counted.values()].sort((a, b) => b.rows - a.rows).slice(0, most).map(({ rows, ...rest }) => ({ ...rest, rate: rounded(rows / seconds) }))
          }
          before = now
          counted = new Map()
          out(json ? `${JSON.stringify(picture)}\n` : `${tty ? '\x1b[H\x1b[2J' : ''}${drawn(picture)}\n`)
          if (once) break
        }
      } catch (error) {
        if (!stop.signal.aborted) throw error
      } finally {
        away.abort()
        await ended.catch(() => {})
      }
      process.exitCode = stop.code()
    })
}

const lineOf = ({ pipeline, readings, series, log, event_to_row_ms: { p99 }, trouble }: State, before: State | undefined, seconds: number): Line => ({
  pipeline, rate: rounded((readings.received - (before?.readings.received ?? readings.received)) / seconds), written: readings.written, dead_lettered: readings.dead_lettered, in_flight: readings.in_flight,
  waiting: log?.waiting_records ?? 0, series, p99_ms: rounded(p99), trouble: Object.entries(trouble).map(([what, why]) => `${what}: ${why}`).join('; ')
})
const rounded = (x: number): number => Math.round(x * 10) / 10

function drawn ({ pipelines, busiest }: Picture): string {
  const columns = (rows: readonly (readonly unknown[])[]) => {
    const widths = rows[0].map((_, k) => Math.max(...rows.map(row => String(row[k]).length)))
    return rows.map(row => row.map((cell, k) => k === 0 ? String(cell).padEnd(widths[k]) : typeof cell === 'number' || row === rows[0] ? String(cell).padStart(widths[k]) : String(cell).padEnd(widths[k])).join('  ').trimEnd()).join('\n')
  }
  return [
    columns([['pipeline', 'readings/s', 'written', 'dead letters', 'in flight', 'waiting', 'series', 'p99 ms', 'trouble'], ...pipelines.map(p => Object.values(p))]),
    columns([['series', 'rows/s', 'last', 'pipeline', 'table'], ...busiest.map(b => [visible(b.series), b.rate, b.last ?? '', b.pipeline, b.table])])
  ].join('\n\n')
}
