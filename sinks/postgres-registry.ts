import type { NewVersion, Registry, Version, Wanted } from '#engine'
import { migrate } from './postgres-migrate.ts'
import { Pool } from './postgres-pool.ts'

const WANTED = 'SELECT p.name, p.instance, p.version, p.state, p.settled, p.previous, v.definition FROM pipelines p JOIN pipeline_versions v ON v.pipeline = p.name AND v.version = p.version'
const AUDIT = 'INSERT INTO audit (actor, tenant, action, target, change)'

/** Pipelines that the API puts, in PostgreSQL. A change and its line of the audit log are one statement. */
export class PostgresRegistry implements Registry {
  private readonly url: string
  private readonly pool: Pool
  constructor (url: string) {
    this.url = url
    this.pool = new Pool(url, { readOnly: false })
  }

  async open (): Promise<void> { await migrate(this.url, { info () {} }) }

  async all (): Promise<readonly Wanted[]> { return await this.pool.ask<Wanted>(`${WANTED} ORDER BY p.name`) }

  async find (name: string): Promise<Wanted | undefined> { return (await this.pool.ask<Wanted>(`${WANTED} WHERE p.name = $1`, [name]))[0] }

  async versions (name: string): Promise<readonly Version[]> {
    return await this.pool.ask<Version>('SELECT version, author, created_at AS created, restores, failed FROM pipeline_versions WHERE pipeline = $1 ORDER BY version DESC', [name])
  }

  async definition (name: string, version: number): Promise<string | undefined> {
    return (await this.pool.ask<{ definition: string }>('SELECT definition FROM pipeline_versions WHERE pipeline = $1 AND version = $2', [name, version]))[0]?.definition
  }

  async put ({ name, instance, definition, restores = null }: NewVersion, expected: number | undefined, actor: string, request?: string): Promise<Wanted | undefined> {
    return (await this.pool.as({ tenant: undefined, request }).ask<Wanted>(`WITH next AS (SELECT coalesce(max(version), 0) + 1 AS version FROM pipeline_versions WHERE pipeline = $1),
      wanted AS (INSERT INTO pipelines (name, instance, version, state, settled) SELECT $1, $2, version, 'running', false FROM next
        WHERE $6::int IS NULL OR EXISTS (SELECT FROM pipelines WHERE name = $1)
        ON CONFLICT (name) DO UPDATE SET instance = excluded.instance, version = excluded.version, settled = false, changed_at = now(),
          state = CASE pipelines.state WHEN 'deleted' THEN 'running' ELSE pipelines.state END,
          previous = CASE WHEN pipelines.state = 'deleted' THEN NULL WHEN pipelines.settled THEN pipelines.version ELSE pipelines.previous END
        WHERE CASE pipelines.state WHEN 'deleted' THEN $6::int IS NULL AND pipelines.settled ELSE pipelines.instance = excluded.instance AND pipelines.version = $6 END
        RETURNING name, instance, version, state, settled, previous),
      kept AS (INSERT INTO pipeline_versions (pipeline, version, definition, author, restores) SELECT name, version, $3, $5, $4 FROM wanted RETURNING definition),
      noted AS (${AUDIT} SELECT $5, NULL, CASE WHEN $4::int IS NOT NULL THEN 'pipeline.rollback' WHEN $6::int IS NULL THEN 'pipeline.create' ELSE 'pipeline.replace' END, name,
        json_build_object('version', version, 'before', $6::int, 'restores', $4::int) FROM wanted)
      SELECT wanted.*, kept.definition FROM wanted, kept`, [name, instance, definition, restores, actor, expected ?? null]))[0]
  }

  async set (name: string, state: Wanted['state'], version: number, actor: string, request?: string): Promise<boolean> {
    return (await this.pool.as({ tenant: undefined, request }).ask(`WITH changed AS (UPDATE pipelines SET state = $2, settled = false, previous = CASE WHEN settled THEN NULL ELSE previous END, changed_at = now() WHERE name = $1 AND version = $3 AND state <> 'deleted' RETURNING *)
      ${AUDIT} SELECT $4, NULL, CASE $2 WHEN 'running' THEN 'pipeline.resume' WHEN 'paused' THEN 'pipeline.pause' ELSE 'pipeline.delete' END, name, json_build_object('version', version) FROM changed RETURNING id`, [name, state, version, actor])).length === 1
  }

  async settle (name: string, version: number): Promise<void> {
    await this.pool.ask('UPDATE pipelines SET settled = true, previous = NULL WHERE name = $1 AND version = $2', [name, version])
  }

  async revert (name: string, version: number, to: { readonly version: number, readonly state: Wanted['state'] }, why: string, actor: string, request?: string): Promise<void> {
    await this.pool.as({ tenant: undefined, request }).ask(`WITH changed AS (UPDATE pipelines SET version = $3, state = $4, settled = true, previous = NULL, changed_at = now() WHERE name = $1 AND version = $2 RETURNING *),
      failed AS (UPDATE pipeline_versions SET failed = $5 WHERE pipeline = $1 AND version = $2 AND $2 <> $3 AND EXISTS (SELECT FROM changed))
      ${AUDIT} SELECT $6, NULL, 'pipeline.revert', name, json_build_object('version', version, 'state', state, 'failed', $2::int, 'why', $5::text) FROM changed`, [name, version, to.version, to.state, why, actor])
  }

  async close (): Promise<void> { await this.pool.close() }
}
