import { readdirSync, statSync } from 'node:fs'
import { join, sep } from 'node:path'
import { MillraceError } from '#engine'

const TABLES = /\.(csv|tsv|dat|txt)$/i

/**
 * The files that paths mean, in order of their names: a file; a folder (its .csv, .tsv, .dat and .txt files, not those in
 * folders below it); or a pattern with `*` (within a name), `?` and `**` (across folders). Throws when a path means none.
 */
export function findFiles (paths: readonly string[]): string[] {
  return [...new Set(paths.flatMap(path => {
    const found = /[*?]/.test(path) ? matching(path) : listed(path)
    if (found.length === 0) throw new MillraceError('usage/file', `replay.files: "${path}" means no file`, { help: 'name a file, a folder with .csv, .tsv, .dat or .txt files, or a pattern such as logs/*.csv' })
    return found.sort()
  }))]
}

function listed (path: string): string[] {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined) throw new MillraceError('usage/file', `replay.files: there is no "${path}"`)
  return stats.isDirectory() ? readdirSync(path, { withFileTypes: true }).filter(e => e.isFile() && TABLES.test(e.name)).map(e => join(path, e.name)) : [path]
}

function matching (pattern: string): string[] {
  const parts = pattern.split(/[/\\]/)
  const fixed = parts.slice(0, parts.findIndex(part => /[*?]/.test(part))).join(sep)
  const root = fixed === '' && pattern.startsWith('/') ? '/' : fixed === '' ? '.' : fixed
  if (!statSync(root, { throwIfNoEntry: false })?.isDirectory()) return []
  const rest = parts.slice(fixed === '' && !pattern.startsWith('/') ? 0 : fixed.split(sep).length).join('/')
  const fits = new RegExp(`^${rest.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*\*\/|\*|\?/g, m => m === '**/' ? '(?:.*/)?' : m === '*' ? '[^/]*' : '[^/]')}$`)
  return readdirSync(root, { withFileTypes: true, recursive: pattern.includes('**') || rest.includes('/') })
    .filter(e => e.isFile())
    .map(e => join(e.parentPath, e.name))
    .filter(file => fits.test(file.slice(root === '/' ? 1 : root === '.' ? 0 : root.length + 1).split(sep).join('/')))
}
