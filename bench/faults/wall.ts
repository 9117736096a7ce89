/** S2: statements that have forgotten the tenant, on every table there is, as the role that all is asked as for one tenant. */
import { Pool } from '../../sinks/postgres-pool.ts'
import { ROLE } from '../../sinks/postgres-wall.ts'
import { unless, type Bench, type Report } from './row.ts'
import { twoTenants } from './two-tenants.ts'

const LEAST = 8                      // tables in which both tenants have rows

export async function forgetfulStatements (bench: Bench): Promise<Report> {
  const { plane, secret } = await twoTenants(bench), wrong: string[] = []
  const pool = new Pool(plane.database, { readOnly: true })
  bench.closing.push(() => pool.close())
  const seenBy = async (tenant: string, table: string): Promise<readonly string[] | undefined> => await pool.as({ tenant }).ask<{ row: string }>(`SELECT r::text AS row FROM "${table}" r`).then(rows => rows.map(one => one.row), (error: { code?: string }) => {
    if (error.code !== '42501') throw error
    return undefined
  })
  const tables = await plane.rows("SELECT relname AS name FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm') ORDER BY 1")
  let foreign = 0, denied = 0, both = 0
  for (const { name } of tables) {
    const [mine, theirs, nobody] = [await seenBy('mine', name), await seenBy('theirs', name), await seenBy('nobody', name)]
    if (mine === undefined || theirs === undefined || nobody === undefined) { denied++; continue }
    const shared = mine.filter(row => theirs.includes(row) || row.includes(secret)).length + nobody.length
    foreign += shared
    wrong.push(...unless(shared === 0, `${name}: ${shared} rows of another tenant`))
    if (mine.length > 0 && theirs.length > 0) both++
  }
  const open = (await plane.rows("SELECT relname AS name FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'm') AND has_any_column_privilege($1, oid, 'SELECT') AND NOT relrowsecurity", [ROLE])).map(({ name }) => name as string)
  return {
    figures: { tables: tables.length, denied, with_rows_of_both: both, foreign, without_row_security: open.join(' ') },
    wrong: [...wrong, ...unless(open.length === 0, `without row-level security: ${open.join(', ')}`), ...unless(both >= LEAST, `only ${both} tables have rows of both: this shows little`)]
  }
}
