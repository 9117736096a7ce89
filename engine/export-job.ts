import { createWriteStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline as pump } from 'node:stream/promises'
import { backoff, sleep } from './clock.ts'
import { MillraceError } from './errors.ts'
import { contentOf, exportFormats, type ExportFormat } from './export-format.ts'
import { Stopped, type Asked, type JobHost, type JobKind, type JobState } from './jobs.ts'
import type { Exported, ExportAsked, Query } from './query.ts'

export interface ExportJob extends ExportAsked { readonly format: ExportFormat }

/** Where the file of an export is, or would be. */
export const exportFile = (folder: string, id: string, format: string): string => join(folder, 'exports', `${id}.${format}`)

/** An export as soon as others leave room for it. */
async function turn (query: Query, asked: ExportAsked, signal: AbortSignal): Promise<Exported> {
  for (const waits = backoff(100, 2000); ;) {
    if (signal.aborted) throw new Stopped('cancelled')
    try { return await query.export(asked) } catch (error) { if (!(error instanceof MillraceError) || error.code !== 'api/busy') throw error }
    await sleep(waits.next().value, signal)
  }
}

/** All rows of a table into a file of the data folder, to be fetched when it is done. */
export class ExportRows implements JobKind {
  private readonly folder: string
  private readonly query: Query
  constructor (folder: string, query: Query) {
    this.folder = folder
    this.query = query
  }

  async run ({ id, tenant, asked }: { readonly id: string, readonly tenant: string | null, readonly asked: Asked }, { signal, progress }: JobHost): Promise<string> {
    const { format, ...what } = asked as unknown as ExportJob, file = exportFile(this.folder, id, format)
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    const { pages, close } = await turn(this.query.as({ tenant: tenant ?? undefined }), what, signal)
    let done = 0
    const counted = async function* () {
      for await (const page of pages) {
        if (signal.aborted) throw new Stopped('cancelled')
        yield page
        progress({ done: done += page.length })
      }
    }
    try {
      await pump(Readable.from(contentOf(format, what.table.columns, counted())), createWriteStream(file, { mode: 0o600, flush: true }))
    } finally { await close() }
    progress({ done, total: done })
    return `${done} rows`
  }

  async clear ({ id }: { readonly id: string }, state: JobState): Promise<void> {
    if (state !== 'done') await this.remove({ id })
  }

  async remove ({ id }: { readonly id: string }): Promise<void> {
    for (const format of exportFormats) await rm(exportFile(this.folder, id, format), { force: true })
  }
}
