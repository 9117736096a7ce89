import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { clock } from './clock.ts'
import { Lock } from './lock.ts'

/** Whose pipelines those are that the API puts: the folder's, as their logs are in it. Held by one process at a time. */
export interface Instance { readonly id: string, release (): Promise<void> }

/** @throws store/locked when another living process works in the folder. */
export async function takeInstance (folder: string, signal: AbortSignal): Promise<Instance> {
  await mkdir(folder, { recursive: true })
  const lock = await Lock.take(join(folder, 'pipelines.lock'), { name: 'pipelines of the API', code: 'store/locked', help: 'ask that process, or give this one a --folder of its own' }, signal)
  const file = join(folder, 'instance.json')
  try {
    const known = await readFile(file, 'utf8').catch(error => { if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined; throw error })
    const id: string = known === undefined ? clock.id() : JSON.parse(known).id
    if (known === undefined) {
      await writeFile(`${file}.new`, JSON.stringify({ id }), { flush: true })
      await rename(`${file}.new`, file)
    }
    return { id, release: () => lock.release() }
  } catch (error) {
    await lock.release()
    throw error
  }
}
