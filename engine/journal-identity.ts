import { createHash } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import { clock as real, type Clock } from './clock.ts'
import { MillraceError } from './errors.ts'
import { disk, type FileSystem } from './files.ts'
import { canonical, without } from './fingerprint.ts'
import type { Logger } from './log.ts'
import type { SourceSpec } from './source.ts'
import { syncFolder } from './wal-segment.ts'

/** What a log is: written once, before its first record. `client`: the name that its source goes by, such as the client id of MQTT. */
export interface Identity { readonly id: string, readonly client: string }

/** Name of the folder of a source's log: the same for equal sources, however they are written. */
export function logFolder ({ name, options, definition: { tuning = [] } }: SourceSpec): string {
  return `${name}-${createHash('sha256').update(canonical(without(tuning, options))).digest('hex').slice(0, 12)}`
}

export interface IdentityOptions { readonly folder: string, readonly client: string, readonly log: Logger, readonly fs?: FileSystem, readonly clock?: Clock }

/**
 * The identity of the log in a folder. A new one goes by the name that is asked for, unless a log beside it does: a name stays with
 * its log, since a broker keeps messages for that name, and two connections of one name throw each other out.
 */
export async function identify ({ folder, client, log, fs = disk, clock = real }: IdentityOptions): Promise<Identity> {
  const known = await identityOf(folder, fs)
  if (known !== undefined) return known
  const parent = dirname(folder)
  let taken: string | undefined
  for (const name of await fs.readdir(parent).catch(() => [])) if ((await identityOf(join(parent, name), fs).catch(() => undefined))?.client === client) taken = name
  const identity = { id: clock.id(), client: taken === undefined ? client : `${client}-${basename(folder).split('-').at(-1)}` }
  if (taken !== undefined) log.warn({ name: identity.client, taken: client, by: taken }, `log: the name "${client}" stays with the log of another source: this one goes by "${identity.client}". What a broker keeps for "${client}" is not read by it; a source that says its clientId keeps its session when its topics change`)
  const file = join(folder, FILE)
  await fs.mkdir(folder, { recursive: true, mode: 0o700 })
  await fs.writeFile(`${file}.new`, JSON.stringify(identity), { flush: true })
  await fs.rename(`${file}.new`, file)
  await syncFolder(fs, folder)
  await syncFolder(fs, parent)
  return identity
}

const FILE = 'log.json'

/** Undefined when there is no log yet. */
export async function identityOf (folder: string, fs: FileSystem = disk): Promise<Identity | undefined> {
  const file = join(folder, FILE)
  try {
    return JSON.parse(await fs.readFile(file, 'utf8'))
  } catch (cause) {
    if (['ENOENT', 'ENOTDIR'].includes((cause as NodeJS.ErrnoException).code ?? '')) return undefined
    throw new MillraceError('log/damaged', `log: ${file} cannot be read: ${(cause as Error).message}`, { help: 'restore the file; it says which log this is', cause })
  }
}
