import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { Figures } from './measure.ts'

/** Two values of one key, and whether they differ by more than the spreads of both. */
export interface Difference { readonly benchmark: string, readonly row: string, readonly key: string, readonly a: number, readonly b: number, readonly ratio: number, readonly beyond: boolean }

/** Numbers that say which row it is, and no result. */
const NAMES = new Set(['series', 'workers', 'qos', 'readings_per_message', 'rate', 'seed', 'protocol'])
const SPREAD = '_spread'
type Row = Figures & { readonly benchmark: string }

/** The rows of a file: an object a line, as --json prints them, or what --save keeps. Throws when it is neither. */
export function readResults (file: string): Row[] {
  const text = readFileSync(file, 'utf8')
  try {
    if (text.trimStart().startsWith('{\n')) {
      const { results } = JSON.parse(text) as { readonly results: readonly Figures[] }
      return results.map(figures => ({ benchmark: basename(file, '.json'), ...figures }))
    }
    return text.split('\n').filter(line => line.trim() !== '').map(line => JSON.parse(line) as Row)
  } catch (cause) { throw new Error(`${file}: neither lines that a benchmark prints with --json nor a file of --save`, { cause }) }
}

const nameOf = (row: Row): string =>
  Object.entries(row).flatMap(([key, value]) => key !== 'benchmark' && (typeof value === 'string' || typeof value === 'number' && NAMES.has(key)) ? [`${key} ${value}`] : []).join(', ')

/** What both have of the same rows: all that is a number. */
export function compare (a: readonly Row[], b: readonly Row[]): Difference[] {
  return a.flatMap(row => {
    const other = b.find(o => o.benchmark === row.benchmark && nameOf(o) === nameOf(row))
    return other === undefined ? [] : [...numbers(row)].flatMap(([key, x]): Difference[] => {
      const y = numbers(other).get(key)
      if (y === undefined) return []
      return [{ benchmark: row.benchmark, row: nameOf(row), key, a: x, b: y, ratio: x === y ? 1 : y / x, beyond: isBeyond(spreadOf(row, key, x), spreadOf(other, key, y)) }]
    })
  })
}

/** By key; those within an object by both keys. */
function numbers (of: object, prefix = ''): Map<string, number> {
  const found = new Map<string, number>()
  for (const [key, value] of Object.entries(of)) {
    if (typeof value === 'number' && !NAMES.has(key)) found.set(prefix + key, value)
    else if (value !== null && typeof value === 'object' && !Array.isArray(value)) for (const [inner, x] of numbers(value, `${prefix}${key}.`)) found.set(inner, x)
  }
  return found
}

/** Lowest and highest; without a spread the value itself. */
function spreadOf (row: Row, key: string, value: number): readonly [low: number, high: number] {
  const found = row[key + SPREAD] ?? (key === 'ready_ms' ? row.spread : undefined)
  return Array.isArray(found) && found.length === 2 ? found as unknown as readonly [number, number] : [value, value]
}
const isBeyond = ([lowA, highA]: readonly [number, number], [lowB, highB]: readonly [number, number]): boolean => highA < lowB || highB < lowA

/** A table for people: what differs beyond the spreads is marked with *. */
export function tableOf (differences: readonly Difference[]): string {
  const cells = differences.map(({ benchmark, row, key, a, b, ratio, beyond }) => [`${benchmark}${row === '' ? '' : ` (${row})`}`, key, String(a), String(b), `${ratio.toPrecision(3)}${beyond ? ' *' : ''}`])
  const rows = [['benchmark', 'key', 'A', 'B', 'B/A'], ...cells], widths = rows[0].map((_, c) => Math.max(...rows.map(row => row[c].length)))
  return rows.map(row => row.map((cell, c) => c < 2 || c === row.length - 1 ? cell.padEnd(widths[c]) : cell.padStart(widths[c])).join('  ').trimEnd()).join('\n')
}
