import { errors, type Code, type MillraceError } from './errors.ts'

/** Where something stands in a pipeline: keys and indices from the top of the YAML file, or of the same thing in TypeScript. */
export type Path = readonly (string | number)[]

/** A place in a file. Lines and columns count from 1; `text` is the line. */
export interface Place { readonly file: string, readonly line: number, readonly column: number, readonly length: number, readonly text: string }

/** One thing that is wrong with a pipeline, or may be. */
export interface Finding {
  readonly code: Code
  readonly level: 'error' | 'warning'
  readonly message: string           // what, naming component, option and value
  readonly help?: string | undefined // what would be right
  readonly path: Path
  readonly key?: boolean             // the key at `path` is meant, not its value
  readonly row?: number              // line inside a block of text, from 0
  readonly place?: Place | undefined // absent for pipelines that are not files
}

export const isError = (finding: Finding): boolean => finding.level === 'error'

/** The findings as text, a block each, sorted by place. */
export const report = (findings: readonly Finding[], { color = false } = {}): string =>
  sorted(findings).map(f => block(f, color)).join('\n')

/** An error that is not about a place in a pipeline, in the same form. */
export const reportError = (error: MillraceError, { color = false } = {}): string =>
  block({ code: error.code, level: 'error', message: error.message, help: error.help, path: [] }, color)

export const sorted = (findings: readonly Finding[]): Finding[] =>
  [...findings].sort((a, b) => (a.place?.line ?? 0) - (b.place?.line ?? 0) || (a.place?.column ?? 0) - (b.place?.column ?? 0))

/** The exit code that findings call for. */
export const exitOf = (findings: readonly Finding[], denyWarnings = false): number => {
  const worst = findings.find(isError)
  return worst !== undefined ? errors[worst.code].exit : denyWarnings && findings.length > 0 ? 1 : 0
}

/** "pipe[2].zscore.over" */
export const written = (path: Path): string => path.map((part, i) => typeof part === 'number' ? `[${part}]` : i === 0 ? part : `.${part}`).join('')

/** A finding as programs read it. */
export const plainFinding = ({ code, level, message, help, path, place }: Finding) =>
  ({ code, level, message, ...help === undefined ? {} : { help }, ...path.length === 0 ? {} : { path: written(path) }, ...place === undefined ? {} : { file: place.file, line: place.line, column: place.column, length: place.length } })

function block ({ code, level, message, help, path, place }: Finding, color: boolean): string {
  const paint = (style: string, text: string) => color ? `\x1b[${style}m${text}\x1b[0m` : text
  const tint = level === 'error' ? '1;31' : '1;33'
  const lines = [`${paint(tint, `${level}[${code}]`)}${paint('1', `: ${message}`)}`]
  let rest = help
  if (place !== undefined) {
    const gutter = String(place.line).padStart(4)
    const { text, column } = shortened(place)
    const near = help?.startsWith('did you mean') ? ` ${help}` : ''
    if (near !== '') rest = undefined
    const length = Math.max(1, Math.min(place.length, text.length - column + 1))
    lines.push(
      `  --> ${place.file}:${place.line}:${place.column}`,
      `${gutter} | ${text}`,
      `${' '.repeat(gutter.length)} | ${text.slice(0, column - 1).replace(/[^\t]/g, ' ')}${paint(tint, '^'.repeat(length) + near)}`
    )
  } else if (path.length > 0) lines.push(`  --> ${written(path)}`)
  if (rest !== undefined) lines.push(`  help: ${rest}`)
  return lines.join('\n') + '\n'
}

const WIDTH = 120
function shortened ({ text, column }: Place): { text: string, column: number } {
  if (text.length <= WIDTH) return { text, column }
  const from = Math.max(0, Math.min(column - 1 - WIDTH / 3, text.length - WIDTH))
  const cut = Math.floor(from)
  return { text: `${cut > 0 ? '…' : ''}${text.slice(cut, cut + WIDTH)}${cut + WIDTH < text.length ? '…' : ''}`, column: column - cut + (cut > 0 ? 1 : 0) }
}
