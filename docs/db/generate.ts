/**
 * Writes schema.sql, schema.mmd and schema.svg from the catalog of a real database in which the migrations have run and
 * a pipeline has made its tables:
 *
 *   node --import tsx docs/db/generate.ts              on an embedded PostgreSQL of its own
 *   node --import tsx docs/db/generate.ts URL          on an empty database
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import pg from 'pg'
import { pino } from 'pino'
import { SeriesTable, type TablePlan } from '#engine'
import { openEmbedded } from '../../sinks/embedded.ts'
import { postgres } from '../../sinks/postgres.ts'

interface Column { readonly name: string, readonly type: string, readonly extra: string, readonly comment: string | null }
interface Relation { readonly from: string, readonly column: string, readonly to: string, readonly checked: boolean }
interface Table { readonly name: string, readonly comment: string | null, readonly columns: readonly Column[], readonly constraints: readonly string[], readonly partition: string | null, readonly indexes: readonly string[] }
interface View { readonly name: string, readonly comment: string | null, readonly definition: string }

/** What a pipeline with a robust z-score and one-minute windows makes, beside what the migrations make. */
export const example: readonly TablePlan[] = [
  { name: 'readings', kind: 'readings', columns: ['zscore'], options: postgres({ table: 'readings' }).options },
  { name: 'features_1m', kind: 'windows', columns: ['mean', 'std'], options: postgres({ table: 'features_1m' }).options }
]

/** The three files, by name. `url`: an empty database; it is left with the example in it. */
export async function generate (url: string): Promise<Record<string, string>> {
  const store = postgres.definition.store!([{ ...postgres({ url, table: 'readings', timescale: 'off' }).options } as never], { pipeline: 'example', tables: example },
    { pipeline: 'example', series: new SeriesTable(1), log: pino({ level: 'silent' }), database: undefined, folder: '' })
  await store.open(new AbortController().signal)
  await store.close()
  const client = new pg.Client(url)
  await client.connect()
  try {
    const { rows: tables } = await client.query<Table>(TABLES)
    const { rows: views } = await client.query<View>(VIEWS)
    const relations = tables.flatMap(relationsOf)
    return { 'schema.sql': sql(tables, views), 'schema.mmd': mermaid(tables, relations), 'schema.svg': svg(tables, relations) }
  } finally {
    await client.end()
  }
}

const TABLES = `
  SELECT c.relname AS name, obj_description(c.oid, 'pg_class') AS comment, CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS partition,
    (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'comment', col_description(c.oid, a.attnum), 'extra',
        CASE WHEN a.attidentity = 'a' THEN ' GENERATED ALWAYS AS IDENTITY' ELSE CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END || coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '') END) ORDER BY a.attnum)
      FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
    coalesce((SELECT json_agg(pg_get_constraintdef(k.oid) ORDER BY strpos('pufc', k.contype::text), k.conname) FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'f', 'c')), '[]') AS constraints,
    coalesce((SELECT json_agg(pg_get_indexdef(i.indexrelid) ORDER BY x.relname) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
      WHERE i.indrelid = c.oid AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u'))), '[]') AS indexes
  FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'migrations' ORDER BY c.relname`
const VIEWS = `
  SELECT relname AS name, obj_description(oid, 'pg_class') AS comment, pg_get_viewdef(oid, true) AS definition
  FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'v' ORDER BY relname <> 'series_named', relname`

/** Foreign keys, and `series`, which rows carry without one. */
function relationsOf ({ name, columns, constraints }: Table): Relation[] {
  const keys = constraints.flatMap(c => [...c.matchAll(/FOREIGN KEY \((\w+)\) REFERENCES (\w+)/g)].map(([, column, to]) => ({ from: name, column, to, checked: true })))
  return [...keys, ...columns.filter(c => c.name === 'series').map(() => ({ from: name, column: 'series', to: 'series', checked: false }))]
}

const quote = (text: string) => `'${text.replaceAll(`'`, `''`)}'`

function sql (tables: readonly Table[], views: readonly View[]): string {
  const made = new Set<string>()
  const order: Table[] = []
  while (order.length < tables.length) for (const table of tables) if (!made.has(table.name) && relationsOf(table).every(r => !r.checked || made.has(r.to))) { made.add(table.name); order.push(table) }
  const parts = order.map(({ name, comment, columns, constraints, partition, indexes }) => [
    `CREATE TABLE ${name} (\n${[...columns.map(c => `  ${c.name} ${c.type}${c.extra}`), ...constraints.map(c => `  ${c}`)].join(',\n')}\n)${partition === null ? '' : ` PARTITION BY ${partition}`};`,
    ...indexes.map(i => `${i.replace(/ ON (ONLY )?\w+\./, ' ON ')};`),
    ...comment === null ? [] : [`COMMENT ON TABLE ${name} IS ${quote(comment)};`],
    ...columns.filter(c => c.comment !== null).map(c => `COMMENT ON COLUMN ${name}.${c.name} IS ${quote(c.comment!)};`)
  ].join('\n'))
  const shown = views.map(({ name, comment, definition }) => `CREATE VIEW ${name} AS\n${definition}${comment === null ? '' : `\nCOMMENT ON VIEW ${name} IS ${quote(comment)};`}`)
  return `-- Generated by docs/db/generate.ts from a real database without TimescaleDB; do not edit.\n-- readings and features_1m are examples of tables that a pipeline makes; their partitions are left out.\n\n${[...parts, ...shown].join('\n\n')}\n`
}

function mermaid (tables: readonly Table[], relations: readonly Relation[]): string {
  const entity = ({ name, columns, constraints }: Table) => {
    const key = /PRIMARY KEY \(([^)]+)\)/.exec(constraints.join())?.[1].split(', ') ?? []
    const role = (column: string) => [...key.includes(column) ? ['PK'] : [], ...relations.some(r => r.from === name && r.column === column) ? ['FK'] : []].join(', ')
    return `  ${name} {\n${columns.map(c => `    ${c.type.replaceAll(' ', '_')} ${c.name} ${role(c.name)}`.trimEnd()).join('\n')}\n  }`
  }
  return `%% Generated by docs/db/generate.ts; do not edit.\nerDiagram\n${tables.map(entity).join('\n')}\n${relations.map(r => `  ${r.to} ||--o{ ${r.from} : ${r.column}`).join('\n')}\n`
}

const WIDTH = 290, GAP = 90, LINE = 18, HEAD = 26

/** Boxes in columns by how far they are from what they refer to; tables without relations stand in the last one. */
function svg (tables: readonly Table[], relations: readonly Relation[]): string {
  const related = new Set(relations.flatMap(r => [r.from, r.to]))
  const rank = (name: string): number => Math.max(0, ...relations.filter(r => r.from === name).map(r => rank(r.to) + 1))
  const last = 1 + Math.max(...tables.map(t => rank(t.name)))
  const heights: number[] = []
  const boxes = new Map(tables.map(table => {
    const column = related.has(table.name) ? rank(table.name) : last
    const y = heights[column] ?? 20
    const height = HEAD + table.columns.length * LINE + 8
    heights[column] = y + height + 24
    return [table.name, { table, x: 20 + column * (WIDTH + GAP), y, height }]
  }))
  const drawn = [...boxes.values()].map(({ table, x, y, height }) => [
    `<rect x="${x}" y="${y}" width="${WIDTH}" height="${height}" rx="4" fill="#ffffff" stroke="#445566"/>`,
    `<path d="M${x} ${y + HEAD}h${WIDTH}" stroke="#445566"/>`,
    `<text x="${x + 10}" y="${y + 18}" font-weight="bold">${table.name}</text>`,
    ...table.columns.map((c, i) => `<text x="${x + 10}" y="${y + HEAD + 15 + i * LINE}">${c.name}</text><text x="${x + WIDTH - 10}" y="${y + HEAD + 15 + i * LINE}" text-anchor="end" fill="#667788">${c.type}</text>`)
  ].join('\n'))
  const lines = relations.map(({ from, column, to, checked }) => {
    const a = boxes.get(from)!, b = boxes.get(to)!
    const y1 = a.y + HEAD + 10 + a.table.columns.findIndex(c => c.name === column) * LINE, y2 = b.y + HEAD + 10
    return `<path d="M${a.x} ${y1}C${a.x - GAP / 2} ${y1} ${b.x + WIDTH + GAP / 2} ${y2} ${b.x + WIDTH} ${y2}" fill="none" stroke="#227799"${checked ? '' : ' stroke-dasharray="5 4"'} marker-end="url(#arrow)"/>`
  })
  const width = 40 + (last + 1) * (WIDTH + GAP) - GAP, height = Math.max(...heights)
  return `<!-- Generated by docs/db/generate.ts; do not edit. -->
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="monospace" font-size="13" fill="#112233">
<title>Tables of Millrace: an arrow is a foreign key, a dashed one an id without</title>
<defs><marker id="arrow" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto"><path d="M0 0L8 4L0 8z" fill="#227799"/></marker></defs>
<rect width="${width}" height="${height}" fill="#f6f8fa"/>
${[...drawn, ...lines].join('\n')}
</svg>
`
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-schema-'))
  const embedded = process.argv[2] === undefined ? await openEmbedded(folder, pino({ level: 'silent' })) : undefined
  try {
    for (const [name, text] of Object.entries(await generate(process.argv[2] ?? embedded!.url))) await writeFile(new URL(name, import.meta.url), text)
  } finally {
    await embedded?.stop()
    await rm(folder, { recursive: true, force: true })
  }
}
