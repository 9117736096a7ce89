import { open, readFile, rename, rm, stat, truncate } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Option, type Command } from 'commander'
import { MillraceError } from '../errors.ts'
import { exportFormats, type ExportFormat } from '../export-format.ts'
import { disk } from '../files.ts'
import { Lock } from '../lock.ts'
import { openLog } from '../log.ts'
import { parquetRows } from '../parquet.ts'
import { syncFolder } from '../wal-segment.ts'
import { fileOf } from './arguments.ts'
import { streams } from './program.ts'
import { ask, remote, type RemoteOptions } from './remote.ts'
import { stopSignal } from './work.ts'

interface Options extends RemoteOptions { readonly to: string, readonly format?: ExportFormat, readonly incremental?: boolean, readonly tenant?: string, readonly device?: string, readonly metric?: string, readonly from?: string, readonly until?: string, readonly columns?: string, readonly json?: boolean }
/** What stands beside a file that grows. `bytes`: of the file, that belong to exports up to `place`; what stands behind them was cut short. `header`: of CSV. */
interface State { readonly of: string, readonly place: string, readonly bytes: number, readonly header?: string }

/** `millrace export`: a table into a file, whole or what has come since the last time. */
export function exportRows (program: Command): void {
  remote(program.command('export').description('write the rows of a table to a file, all of them or those that were committed since the last time'))
    .argument('<table>', 'a table of a pipeline that runs there')
    .requiredOption('--to <file>', 'the file; its ending says the format: .csv, .ndjson or .parquet')
    .addOption(new Option('--format <format>', 'instead of what the ending says').choices(exportFormats))
    .option('--incremental', 'add what was committed since the last export to this file, which <file>.state remembers')
    .option('--tenant <name>', 'only of this tenant')
    .option('--device <name>', 'only of this device')
    .option('--metric <name>', 'only of this metric')
    .option('--from <time>', 'from this event time on, ISO 8601')
    .option('--until <time>', 'before this event time, ISO 8601')
    .option('--columns <list>', 'columns, with commas between')
    .option('--json', 'print what was written as JSON')
    .action(async (table: string, { to, format = formatOf(to), incremental = false, tenant, device, metric, from, until, columns, json = false, ...options }: Options) => {
      if (incremental && format === 'parquet') throw new MillraceError('usage/command', '--incremental: nothing can be added to a file of Parquet', { help: 'csv or ndjson; or a file for each export, of rows --from and --until' })
      const file = fileOf(to), stop = stopSignal(openLog({ level: 'warn' })), query = { format, tenant, device, metric, from, to: until, columns }
      const lock = await Lock.take(`${file}.lock`, { name: 'export', code: 'usage/command', help: 'one export into a file at a time' }, stop.signal)
      try {
        const fetched = async (since?: string) => await ask(options, { path: `/api/v1/tables/${encodeURIComponent(table)}/export`, query: { ...query, since }, signal: stop.signal })
        const of = JSON.stringify({ table, ...query })
        const { rows, bytes } = await (incremental ? grow(file, of, format, fetched) : replace(file, format, await fetched()))
        streams(program).out(json ? `${JSON.stringify({ rows, bytes, file: to })}\n` : `${rows} rows, ${bytes} bytes in ${to}\n`)
      } catch (error) {
        if (!stop.signal.aborted) throw error
      } finally { await lock.release() }
      process.exitCode = stop.code()
    })
}

const formatOf = (file: string): ExportFormat => /\.(ndjson|jsonl)$/.test(file) ? 'ndjson' : file.endsWith('.parquet') ? 'parquet' : 'csv'

/** The whole of it under another name first, so that whoever reads the file never sees half of it. */
interface Written { readonly rows: number, readonly bytes: number, readonly header: string }
async function replace (file: string, format: ExportFormat, reply: Response): Promise<Written> {
  const fresh = `${file}.new`, written = await write(fresh, 0, reply, format)
  await rename(fresh, file)
  await syncFolder(disk, dirname(file))
  return written
}

/**
 * Adds to the file, makes it durable, then says in the state how far it goes, by one rename. Killed before that, the next export cuts off
 * what was added and asks for the same again; killed after it, for what comes then: no line is missing and none is there twice. A file that was moved away begins anew, with what is new.
 */
async function grow (file: string, of: string, format: ExportFormat, fetched: (since?: string) => Promise<Response>): Promise<Written> {
  const at = `${file}.state`, state = await stateOf(at)
  if (state !== undefined && state.of !== of) throw new MillraceError('usage/command', `${at} is of another export: ${state.of}`, { help: `the same options as then, or another file; or remove ${at} and the file to begin anew` })
  const size = await stat(file).then(({ size }) => size, () => undefined), begins = size === undefined || state === undefined
  if (size !== undefined && state === undefined && size > 0) throw new MillraceError('usage/command', `${file} is there, and ${at} is not: what it has of the table is not known`, { help: 'another file, or move this one away' })
  if (!begins && size! < state!.bytes) throw new MillraceError('usage/command', `${file} has ${size} bytes, ${state!.bytes} were written: it was cut off, or is another file`, { help: `move it away: the next export begins a new one with what is new since the last; without ${at} it begins with all rows` })
  const reply = await fetched(state?.place), place = reply.headers.get('x-export-place')
  if (place === null) throw new MillraceError('api/failed', 'the answer does not say how far it goes', { help: 'is it a Millrace of this version?' })
  const from = begins ? 0 : state!.bytes
  if (size !== undefined) await truncate(file, from)
  const written = await write(file, from, reply, format, begins ? undefined : state!.header)
  const handle = await open(`${at}.new`, 'w', 0o600)
  try {
    await handle.writeFile(JSON.stringify({ of, place, bytes: from + written.bytes, header: written.header } satisfies State))
    await handle.sync()
  } finally { await handle.close() }
  await rename(`${at}.new`, at)
  await syncFolder(disk, dirname(file))
  return written
}

async function stateOf (file: string): Promise<State | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => { if (error.code === 'ENOENT') return undefined; throw error })
  if (text === undefined) return undefined
  try { return JSON.parse(text) as State } catch { throw new MillraceError('usage/file', `${file} is not what export writes`, { help: 'remove it and the file beside it to begin anew' }) }
}

/** The body into the file from `at` on, durable; rows are counted by their lines, of Parquet by what stands at its end. A header of CSV that follows other lines is left out, and must be the one that is there. */
async function write (file: string, at: number, reply: Response, format: ExportFormat, before?: string): Promise<Written> {
  const handle = await open(file, at === 0 ? 'w' : 'r+')
  let place = at, rows = 0, quoted = false, header = '', first = format === 'csv'
  try {
    for await (let bytes of reply.body! as unknown as AsyncIterable<Uint8Array>) {
      for (let i = 0; i < bytes.length && format !== 'parquet'; i++) {
        if (bytes[i] === QUOTE && format === 'csv') quoted = !quoted         // in JSON no line ends within quotes, and some are escaped
        else if (bytes[i] === NEWLINE && !quoted) {
          rows++
          if (!first) continue
          first = false
          header += Buffer.from(bytes.subarray(0, i)).toString().trimEnd()
          if (before !== undefined && header !== before) throw new MillraceError('usage/command', `the table has other columns than ${file}: ${header}`, { help: 'move the file away: the next export begins a new one with what is new; or name --columns from the start' })
          if (at === 0) continue
          bytes = bytes.subarray(i + 1)
          i = -1
        }
      }
      if (first) header += Buffer.from(bytes).toString()
      if (first && at > 0) continue
      for (let done = 0; done < bytes.length;) done += (await handle.write(bytes, done, bytes.length - done, place + done)).bytesWritten
      place += bytes.length
    }
    await handle.sync()
  } catch (error) {
    if (at === 0) await rm(file, { force: true }).catch(() => {})
    throw error instanceof MillraceError ? error : new MillraceError('source/unreachable', `the export broke off: ${(error as Error).message}`, { help: 'nothing of it counts: start it again', cause: error })
  } finally { await handle.close() }
  return { rows: format === 'parquet' ? await parquetRows(file) : rows - (format === 'csv' ? 1 : 0), bytes: place - at, header }
}
const NEWLINE = 0x0a, QUOTE = 0x22
