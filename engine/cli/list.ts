import { Argument, type Command } from 'commander'
import type { Components } from '../components.ts'
import { errors, reasons } from '../errors.ts'
import { streams } from './program.ts'

const WHAT = ['sources', 'operators', 'sinks', 'errors', 'reasons', 'columns'] as const
type What = typeof WHAT[number]
type Entry = Readonly<Record<string, unknown>>

/** `millrace list`: what there is, from the declarations. */
export function list (program: Command, components: Components): void {
  program.command('list')
    .description('list sources, operators, sinks, errors, reasons of dead letters, or columns')
    .addArgument(new Argument('[what]', 'components when left out').choices(WHAT))
    .option('--json', 'print as JSON')
    .action((what: What | undefined, { json = false }: { json?: boolean }) => {
      const { out } = streams(program)
      const chosen = what === undefined ? ['sources', 'operators', 'sinks'] as const : [what]
      const lists = Object.fromEntries(chosen.map(name => [name, entries(name, components)]))
      if (json) return out(`${JSON.stringify(what === undefined ? lists : lists[what], null, 2)}\n`)
      out(chosen.map(name => (what === undefined ? `${name}\n` : '') + table(lists[name], what === undefined ? '  ' : '')).join('\n'))
    })
}

function entries (what: What, components: Components): Entry[] {
  switch (what) {
    case 'errors': return Object.entries(errors).map(([code, { title, status, exit }]) => ({ code, exit, status, title }))
    case 'reasons': return Object.entries(reasons).map(([reason, title]) => ({ reason, title }))
    case 'columns': return Object.values(components.operators).flatMap(({ definition: { name, adds } }) =>
      typeof adds === 'function' ? [{ column: '(by its options)', operator: name }] : (adds ?? []).map((column: string) => ({ column, operator: name })))
    default: return Object.values<{ definition: { name: string, summary: string } }>(components[what]).map(({ definition: { name, summary } }) => ({ name, summary }))
  }
}

function table (rows: readonly Entry[], indent: string): string {
  const keys = Object.keys(rows[0] ?? {})
  const widths = keys.map(key => Math.max(...rows.map(row => String(row[key]).length)))
  return rows.map(row => `${indent}${keys.map((key, i) => i === keys.length - 1 ? String(row[key]) : String(row[key]).padEnd(widths[i])).join('  ')}\n`).join('')
}
