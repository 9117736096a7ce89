import { createWriteStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline as pump } from 'node:stream/promises'
import { contentOf, exportFormats, type ExportFormat } from './export-format.ts'
import { Stopped, type Asked, type JobHost, type JobKind, type JobState } from './jobs.ts'
import type { ExportAsked, Query } from './query.ts'

export interface ExportJob extends ExportAsked { readonly format: ExportFormat }

/** Where the file of an export is, or would be. */
export const exportFile = (folder: string, id: string, format: string): string => join(folder, 'exports', `${id}.${format}`)

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
    const { pages, close } = await this.query.as({ tenant: tenant ?? undefined }).export(what)
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
