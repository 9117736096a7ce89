import { join } from 'node:path'
import type { Command } from 'commander'
import { countOf } from './arguments.ts'
import { plainLetter } from '../api/dead-letters.ts'
import type { Parts } from '../components.ts'
import { MillraceError } from '../errors.ts'
import { openLog, type LogOptions } from '../log.ts'
import { logFolder } from '../journal-identity.ts'
import { visible } from '../names.ts'
import { openStore, planTables } from '../plan.ts'
import { isMessage, leaveRequests } from '../requeue.ts'
import { SeriesTable } from '../series.ts'
import type { Letter, Store } from '../store.ts'
import { load } from './load.ts'
import { streams } from './program.ts'

interface Options {
  readonly late?: boolean, readonly reason?: string, readonly requeued?: boolean, readonly every?: boolean, readonly limit: string, readonly part?: string
  readonly database?: string, readonly folder: string, readonly json?: boolean, readonly logLevel?: string, readonly logFormat?: LogOptions['format']
}

/** `millrace dlq`: what could not become a row, or came too late for its window; to look at, and to be read once more. */
export function dlq (program: Command, parts: Parts): void {
  const group = program.command('dlq').description('dead letters and late rows of a pipeline: list, show, requeue')
  const command = (name: string, description: string) => group.command(name)
    .description(description)
    .argument('<pipeline>', 'file: .yaml, or .ts/.js with a pipeline as default export')
    .option('--late', 'late rows instead of dead letters')
    .option('--reason <reason>', 'only those with this reason')
    .option('--requeued', 'those too that were requeued already')
    .option('--limit <n>', 'how many at the most, the newest first', '100')
    .option('--database <url>', 'where postgres sinks go that name no url (or MILLRACE_DATABASE)')
    .option('--folder <folder>', 'where local files are kept', '.millrace')
    .option('--json', 'one JSON object a line')

  command('list', 'a line each: position, part, reason, topic, detail').action(async (file: string, options: Options) => {
    const { letters, store } = await find(file, options, parts)
    await store.close()
    const { out } = streams(program)
    for (const letter of letters) out(options.json ? `${JSON.stringify(plainLetter(letter))}\n` : `${new Date(letter.ingest).toISOString()}  ${letter.position}/${letter.part}  ${letter.reason}  ${visible(letter.topic)}  ${visible(letter.detail)}\n`)
  })
  command('show', 'one message with its bytes').argument('<position>', 'its position').action(async (file: string, position: string, options: Options) => {
    const { letters, store } = await find(file, { ...options, requeued: true }, parts, countOf('position', position))
    await store.close()
    if (letters.length === 0) throw nothing(position)
    const { out } = streams(program)
    for (const letter of letters) out(options.json ? `${JSON.stringify(plainLetter(letter))}\n` : `${Object.entries(plainLetter(letter)).map(([key, value]) => `${key.padEnd(9)} ${visible(String(value))}`).join('\n')}\n\n`)
  })
  command('requeue', 'gives them to the source once more: a running engine takes them up within a second, another one when it starts')
    .argument('[position...]', 'their positions')
    .option('--every', 'all of them, as far as --reason and --limit go')
    .action(async (file: string, positions: string[], options: Options) => {
      if (positions.length === 0 && !options.every && options.reason === undefined) throw new MillraceError('usage/command', 'dlq requeue: nothing is named', { help: 'positions, or --reason, or --every' })
      const { letters, store, log } = await find(file, options, parts, undefined, positions.map(p => countOf('position', p)))
      const refused = await closing(store, async () => {
        if (log === undefined) throw new MillraceError('usage/command', 'dlq requeue: the source of this pipeline has no log of its own', { help: 'publish them again to what it reads' })
        const refused = await leaveRequests(log, letters)
        await store.requeued(letters.filter(letter => !refused.has(letter)), 'command line')
        return refused
      })
      await store.close()
      const { out, err } = streams(program)
      for (const [{ position, part, reason }, why] of refused) err(`${position}/${part} (${reason}) cannot be read again: ${why}\n`)
      if (letters.some(letter => !refused.has(letter) && isMessage(letter))) err(WHOLE)
      if (options.late === true && letters.length > refused.size) err(AGAIN)
      out(options.json ? `${JSON.stringify({ requeued: letters.length - refused.size, refused: refused.size })}\n` : `${letters.length - refused.size} requeued\n`)
    })

  async function find (file: string, { late = false, reason, requeued = false, limit, database = process.env.MILLRACE_DATABASE, folder, logLevel, logFormat }: Options, parts: Parts, position?: number, positions: readonly number[] = []): Promise<{ letters: readonly Letter[], store: Store, log: string | undefined }> {
    const pipeline = await load(file, parts)
    const log = openLog({ level: logLevel ?? 'warn', format: logFormat })
    const host = { pipeline: pipeline.name, series: new SeriesTable(1), log, database, folder }
    const store = openStore(pipeline, planTables(pipeline), host, parts.fileStore)
    const most = countOf('--limit', limit)
    const asked = positions.length === 0 ? [position] : positions
    const letters: Letter[] = []
    await closing(store, async () => {
      for (const at of asked) {
        const found = await store.letters({ late, reason, requeued, limit: most, position: at })
        if (found.length === 0 && at !== undefined && positions.length > 0) throw nothing(at)
        letters.push(...found)
      }
    })
    return { letters, store, log: pipeline.source!.listens ? join(folder, 'log', logFolder(pipeline.source!)) : undefined }
  }
}

const WHOLE = 'A message is read again as a whole, by every pipeline that reads this log: the readings of it that are rows already go through the steps once more, unless dedupe still knows them.\n'
const AGAIN = 'A late row is a row of the trunk already, and goes through the steps once more, in every pipeline that reads this log, unless dedupe still knows it.\n'

/** A store that is left open keeps the command from ending. */
const closing = async <T>(store: Store, act: () => Promise<T>): Promise<T> => await act().catch(async (error: unknown) => { await store.close(); throw error })
const nothing = (position: string | number): MillraceError => new MillraceError('usage/command', `dlq: there is nothing at position ${position}`, { help: 'millrace dlq list says what there is' })
