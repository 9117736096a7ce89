import type { Follower, Found } from './check.ts'

/** A table of the QuestDB that QUESTDB_URL names, else of one of its own, as a follower of the pipeline. */
export interface Table { readonly sink: unknown, readonly read: Follower, stop (): Promise<void> }

export async function openTable (): Promise<Table> {
  const { startQuestdb, withoutQuestdb } = await import('../../test/support/questdb.ts')
  if (process.env.QUESTDB_URL === undefined && withoutQuestdb !== false) throw new Error(`--sink questdb: ${withoutQuestdb}; or let QUESTDB_URL name one, such as http://127.0.0.1:9000`)
  const own = process.env.QUESTDB_URL === undefined ? await startQuestdb() : undefined
  const url = process.env.QUESTDB_URL ?? own!.url, table = `kill_${process.pid}`
  return {
    sink: { questdb: { url, table } },
    async read (names) {
      const where = names.map(name => name.split('/')).map(([device, metric]) => `(device = '${device}' AND metric = '${metric}')`).join(' OR ')
      const rows = await exec(url, `SELECT device, metric, cast(ts AS long), seq, value, ewma, zscore FROM ${table} WHERE ${where}`)
      return rows.map(([device, metric, micros, seq, value, ewma, zscore]): Found => ({ name: `${String(device)}/${String(metric)}`, micros: Number(micros), seq: Number(seq), value: number(value), ewma: number(ewma), zscore: number(zscore) }))
    },
    async stop () {
      await exec(url, `DROP TABLE IF EXISTS ${table}`)
      await own?.stop()
    }
  }
}

const number = (cell: unknown): number | null => typeof cell === 'number' ? cell : null

async function exec (url: string, sql: string): Promise<unknown[][]> {
  const response = await fetch(`${url}/exec?${new URLSearchParams({ query: sql }).toString()}`, { signal: AbortSignal.timeout(60_000) })
  const { dataset = [], error } = await response.json() as { dataset?: unknown[][], error?: string }
  if (error !== undefined) throw new Error(`questdb: ${sql}: ${error}`)
  return dataset
}
