import { readFileSync, statSync } from 'node:fs'

/** The text of a file that an option names, of at most `most` bytes. Throws a sentence that says what is wrong with it. */
export function fileText (path: string, most: number): string {
  let size
  try {
    const stats = statSync(path)
    if (!stats.isFile()) throw new Error(`${path} is no file`)
    size = stats.size
  } catch (cause) {
    throw (cause as NodeJS.ErrnoException).code === undefined ? cause : new Error(`${path} cannot be read: ${(cause as NodeJS.ErrnoException).code}`, { cause })
  }
  if (size > most) throw new Error(`${path} has ${size} bytes, and may have ${most}`)
  try { return readFileSync(path, 'utf8') } catch (cause) { throw new Error(`${path} cannot be read: ${(cause as NodeJS.ErrnoException).code}`, { cause }) }
}
