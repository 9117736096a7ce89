import { createReadStream } from 'node:fs'
import { parse } from 'csv-parse/sync'

export const LONGEST = 2 ** 20       // characters of a line

/**
 * The lines of a text file (UTF-8), in lots of what one read gives. Empty lines are left out, so is a byte order mark.
 * A line is ended by LF or CR LF: quoted cells cannot hold line breaks, so that a stray quote spoils one line and not the file.
 * Of a line longer than 1 M characters only its beginning comes, one character longer than allowed.
 */
export async function* readLines (path: string): AsyncGenerator<string[]> {
  let rest = '', first = true
  for await (const piece of createReadStream(path, { encoding: 'utf8', highWaterMark: 2 ** 16 }) as AsyncIterable<string>) {
    const lines = (rest + (first && piece.charCodeAt(0) === 0xfeff ? piece.slice(1) : piece)).split('\n')
    first = false
    rest = lines.pop()!
    if (rest.length > LONGEST) rest = rest.slice(0, LONGEST + 1)
    yield lines.map(cut).filter(filled)
  }
  yield [cut(rest)].filter(filled)
}

const cut = (line: string): string => {
  const whole = line.endsWith('\r') ? line.slice(0, -1) : line
  return whole.length > LONGEST ? whole.slice(0, LONGEST + 1) : whole
}
const filled = (line: string): boolean => /[^\s,;]/.test(line)

/** The separator of a table, told by its first line: the first of `;`, tab and `,` that it has, else white space when it has some. */
export function separatorOf (line: string): string {
  return [';', '\t', ','].find(s => line.includes(s)) ?? (/\S\s+\S/.test(line) ? ' ' : ',')
}

/** The cells of a line, trimmed; quotes as in RFC 4180. A blank as separator stands for any white space. Undefined when its quotes are broken. */
export function split (line: string, separator: string): string[] | undefined {
  if (line.includes('"')) {
    try {
      return (parse(line, { delimiter: separator, trim: true, relax_column_count: true }) as string[][])[0].filter(cell => separator !== ' ' || cell !== '')
    } catch {
      return undefined
    }
  }
  if (separator === ' ') return line.trim().split(/\s+/)
  const cells = line.split(separator)
  for (let i = 0; i < cells.length; i++) cells[i] = cells[i].trim()
  return cells
}
