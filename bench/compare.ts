import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { Figures } from './measure.ts'

/** Two values of one key, and whether they differ by more than the spreads of both; not when one has no spread. */
export interface Difference { readonly benchmark: string, readonly row: string, readonly key: string, readonly a: number, readonly b: number, readonly ratio: number, readonly beyond: boolean }

/** Numbers that say which row it is, and no result. */
const NAMES = new Set(['series', 'workers', 'qos', 'readings_per_message', 'rows_per_batch', 'rate', 'seed', 'protocol'])
const SPREAD = '_spread'
type Row = Figures & { readonly benchmark: string }

/** The rows of a file: an object a line, as --json prints them, or what --save keeps. Throws when it is neither. */
export function readResults (file: string): Row[] {
  const text = readFileSync(file, 'utf8')
  try {
    if (text.trimStart().startsWith('{\n')) {
      const { results, benchmark = basename(file, '.json') } = JSON.parse(text) as { readonly benchmark?: string, readonly results: readonly Figures[] }
      return results.map(figures => ({ benchmark, ...figures }))
    }
    return text.split('\n').filter(line => line.trim() !== '').map(line => JSON.parse(line) as Row)
  } catch (cause) { throw new Error(`${file}: neither lines that a benchmark prints with --json nor a file of --save`, { cause }) }
}

const nameOf = (row: Row): string =>
  Object.entries(row).flatMap(([key, value]) => key !== 'benchmark' && (typeof value === 'string' || typeof value === 'number' && NAMES.has(key)) ? [`${key} ${value}`] : []).join(', ')

/** What both have of the same rows: all that is a number. */
export function compare (a: readonly Row[], b: readonly Row[]): Difference[] {
  return a.flatMap(row => {
    const [other] = alike(b, row)
    if (alike(a, row).length > 1 || alike(b, row).length > 1) throw new Error(`${row.benchmark}: there are several rows "${nameOf(row)}" in one file`)
    if (other === undefined) return []
    const here = flat(row), there = flat(other)
    return [...here.numbers].flatMap(([key, x]): Difference[] => {
      const y = there.numbers.get(key), spreads = [here, there].map(of => of.spreads.get(key))
      if (y === undefined) return []
      return [{ benchmark: row.benchmark, row: nameOf(row), key, a: x, b: y, ratio: x === y ? 1 : y / x, beyond: isBeyond(spreads[0], spreads[1]) }]
    })
  })
}

const alike = (rows: readonly Row[], row: Row): Row[] => rows.filter(o => o.benchmark === row.benchmark && nameOf(o) === nameOf(row))

type Range = readonly [low: number, high: number]
interface Flat { readonly numbers: Map<string, number>, readonly spreads: Map<string, Range> }

/** By key; those within an object by both keys. */
function flat (of: object, prefix = '', found: Flat = { numbers: new Map(), spreads: new Map() }): Flat {
  for (const [key, value] of Object.entries(of)) {
    if (typeof value === 'number' && !NAMES.has(key)) found.numbers.set(prefix + key, value)
    else if (Array.isArray(value) && value.length === 2 && key.endsWith(SPREAD)) found.spreads.set(prefix + key.slice(0, -SPREAD.length), value as unknown as Range)
    else if (value !== null && typeof value === 'object' && !Array.isArray(value)) flat(value, `${prefix}${key}.`, found)
  }
  return found
}

const isBeyond = (a: Range | undefined, b: Range | undefined): boolean => a !== undefined && b !== undefined && (a[1] < b[0] || b[1] < a[0])

/** A table for people: what differs beyond the spreads is marked with *. */
export function tableOf (differences: readonly Difference[]): string {
  const cells = differences.map(({ benchmark, row, key, a, b, ratio, beyond }) => [`${benchmark}${row === '' ? '' : ` (${row})`}`, key, String(a), String(b), `${ratio.toPrecision(3)}${beyond ? ' *' : ''}`])
  const rows = [['benchmark', 'key', 'A', 'B', 'B/A'], ...cells], widths = rows[0].map((_, c) => Math.max(...rows.map(row => row[c].length)))
  return rows.map(row => row.map((cell, c) => c < 2 || c === row.length - 1 ? cell.padEnd(widths[c]) : cell.padStart(widths[c])).join('  ').trimEnd()).join('\n')
}
