import type { Follower, Found } from './check.ts'

/** A table of the QuestDB that QUESTDB_URL names, as a follower of the pipeline. */
export interface Table { readonly sink: unknown, readonly read: Follower, stop (): Promise<void> }

export function openTable (): Table {
  const url = process.env.QUESTDB_URL, table = `kill_${process.pid}`
  if (url === undefined) throw new Error('--sink questdb: QUESTDB_URL must name a QuestDB, such as http://127.0.0.1:9000')
  return {
    sink: { questdb: { url, table } },
    async read (names) {
      const where = names.map(name => name.split('/')).map(([device, metric]) => `(device = '${device}' AND metric = '${metric}')`).join(' OR ')
      const rows = await exec(url, `SELECT device, metric, cast(ts AS long), seq, value, ewma, zscore FROM ${table} WHERE ${where}`)
      return rows.map(([device, metric, micros, seq, value, ewma, zscore]): Found => ({ name: `${String(device)}/${String(metric)}`, micros: Number(micros), seq: Number(seq), value: number(value), ewma: number(ewma), zscore: number(zscore) }))
    },
    stop: async () => { await exec(url, `DROP TABLE IF EXISTS ${table}`) }
  }
}

const number = (cell: unknown): number | null => typeof cell === 'number' ? cell : null

async function exec (url: string, sql: string): Promise<unknown[][]> {
  const response = await fetch(`${url}/exec?${new URLSearchParams({ query: sql }).toString()}`, { signal: AbortSignal.timeout(60_000) })
  const { dataset = [], error } = await response.json() as { dataset?: unknown[][], error?: string }
  if (error !== undefined) throw new Error(`questdb: ${sql}: ${error}`)
  return dataset
}
