import t from 'tap'
import { postgres } from '../../sinks/postgres.ts'
import type { StoredRow } from '../fixtures/bench.ts'
import { storeLaws } from '../laws/store.ts'
import { freshDatabase, rowsOf } from '../support/postgres.ts'

const there = await freshDatabase(t, 'postgres')
if (there !== undefined) {
  storeLaws('postgres', async t => {
    const url = (await freshDatabase(t, 'postgres'))!
    return {
      make (plan, host) {
        const tables = plan.tables.map(table => ({ ...table, options: postgres({ url, table: table.name }).options }))
        return postgres.definition.store!(tables.map(({ options }) => options as never), { ...plan, tables }, host)
      },
      rows: async (_, table) => (await rowsOf(url, `SELECT device, metric, (extract(epoch FROM time) * 1000)::float8 AS time, value FROM ${table}_named`)) as StoredRow[],
      abandon: async () => {}
    }
  })
}
