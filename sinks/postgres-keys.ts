import { tenantName, type KeyRecord, type Keys, type NewKey } from '#engine'
import { isMissing, Pool } from './postgres-pool.ts'

const COLUMNS = 'id, digest, name, tenant, scopes, created_at AS created, expires_at AS expires, revoked_at AS revoked'
const AUDIT = 'INSERT INTO audit (actor, tenant, action, target, change)'

/** API keys in PostgreSQL. A change and its line of the audit log are one statement. */
export class PostgresKeys implements Keys {
  private readonly pool: Pool
  constructor (url: string) { this.pool = new Pool(url, { readOnly: false }) }

  /** In a database that no pipeline has written to yet there are no keys. */
  async find (id: string): Promise<KeyRecord | undefined> {
    return (await this.pool.ask<KeyRecord>(`SELECT ${COLUMNS} FROM api_keys WHERE id = $1`, [id]).catch((error: unknown) => { if (isMissing(error)) return []; throw error }))[0]
  }

  async list (): Promise<readonly KeyRecord[]> { return await this.pool.ask<KeyRecord>(`SELECT ${COLUMNS} FROM api_keys ORDER BY created_at, id`) }

  async add ({ id, digest, name, tenant, scopes, expires }: NewKey, actor: string, most?: number): Promise<boolean> {
    if (tenant !== null) tenantName(tenant)
    return (await this.pool.ask(`WITH made AS (INSERT INTO api_keys (id, digest, name, tenant, scopes, expires_at) SELECT $1, $2, $3, $4, $5, $6
        WHERE $8::int IS NULL OR (SELECT count(*) FROM api_keys WHERE tenant IS NOT DISTINCT FROM $4 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())) < $8 RETURNING *)
      ${AUDIT} SELECT $7, tenant, 'key.create', id, json_build_object('name', name, 'scopes', scopes, 'expires', expires_at) FROM made RETURNING id`, [id, digest, name, tenant, scopes, expires, actor, most ?? null])).length === 1
  }

  async rotate (id: string, { id: next, digest }: Pick<NewKey, 'id' | 'digest'>, until: Date, actor: string): Promise<boolean> {
    return (await this.pool.ask(`WITH was AS (SELECT * FROM api_keys WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) FOR UPDATE),
      made AS (INSERT INTO api_keys (id, digest, name, tenant, scopes, expires_at) SELECT $2, $3, name, tenant, scopes, now() + (expires_at - created_at) FROM was RETURNING *),
      ended AS (UPDATE api_keys k SET expires_at = least(k.expires_at, $4) FROM was WHERE k.id = was.id RETURNING k.*)
      ${AUDIT} SELECT $5, ended.tenant, 'key.rotate', ended.id, json_build_object('next', made.id, 'expires', made.expires_at, 'until', ended.expires_at) FROM ended, made RETURNING id`, [id, next, digest, until, actor])).length === 1
  }

  async revoke (id: string, actor: string): Promise<boolean> {
    return (await this.pool.ask(`WITH ended AS (UPDATE api_keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING *)
      ${AUDIT} SELECT $2, tenant, 'key.revoke', id, '{}'::jsonb FROM ended RETURNING id`, [id, actor])).length === 1
  }

  async close (): Promise<void> { await this.pool.close() }
}
