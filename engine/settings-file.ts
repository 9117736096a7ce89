import { readFileSync } from 'node:fs'
import { parseDocument } from 'yaml'
import { MillraceError } from './errors.ts'

/** What a file of YAML beside the pipelines says, as plain data; {} when it says nothing. `what`: what it is, for errors. Throws usage/file, config/syntax. */
export function readSettings (file: string, what: string): unknown {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new MillraceError('usage/file', `the file of ${what} "${file}" cannot be read: ${(cause as NodeJS.ErrnoException).code ?? (cause as Error).message}`, { cause })
  }
  const document = parseDocument(text)
  if (document.errors.length > 0) throw new MillraceError('config/syntax', `${file}: ${document.errors[0].message}`)
  return document.toJS({ maxAliasCount: 0 }) ?? {}
}
