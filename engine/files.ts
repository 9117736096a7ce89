import { readFileSync } from 'node:fs'
import * as files from 'node:fs/promises'

/** What the log of a source needs of a file system: Node's, unless a test puts its own in between. */
export interface FileSystem extends Pick<typeof files, 'open' | 'readdir' | 'unlink' | 'mkdir' | 'stat' | 'readFile' | 'writeFile' | 'rename' | 'utimes'> { readonly readFileSync: typeof readFileSync }

export const disk: FileSystem = { ...files, readFileSync }
