/** Test files that run in one process: to start one for each takes longer than many of them, and those of the database share a server so. */
import { readdirSync, readFileSync } from 'node:fs'
import { parse } from 'yaml'

const root = new URL('../../', import.meta.url)

/** What .taprc leaves out, as patterns with * and {a,b} for names: each is run by one file, and `tap FILE` runs one of them alone. */
export const leftOut: readonly string[] = (parse(readFileSync(new URL('.taprc', root), 'utf8')) as { exclude: string[] }).exclude

/** Runs the files of the pattern that begins so. */
export async function together (begin: string): Promise<void> {
  const [pattern, ...others] = leftOut.filter(pattern => pattern.startsWith(begin)), folder = new URL(pattern.slice(0, pattern.lastIndexOf('/') + 1), root)
  if (others.length > 0) throw new Error(`${begin}: several patterns of .taprc begin so`)
  const name = new RegExp(`^${pattern.slice(pattern.lastIndexOf('/') + 1).replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('{', '(').replaceAll(',', '|').replaceAll('}', ')')}$`)
  for (const file of readdirSync(folder).filter(file => name.test(file)).toSorted()) await import(new URL(file, folder).href)
}
