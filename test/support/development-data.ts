import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** Development data, which are no part of the project: their folder, and why a test of them is skipped. Where CI runs they must be there. */
export function developmentData (folder = ''): { readonly data: string, readonly skip: string | false } {
  const data = join(process.env.MILLRACE_DATA ?? resolve(import.meta.dirname, '../../../shared/data'), folder), there = existsSync(data)
  if (!there && process.env.CI === 'true') throw new Error(`the development data are not in ${data}; name their folder in MILLRACE_DATA`)
  return { data, skip: there ? false : `no development data in ${data}: name their folder in MILLRACE_DATA` }
}
