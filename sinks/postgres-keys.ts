import { tenantName, type Found, type KeyRecord, type Keys, type NewKey, type Page } from '#engine'
import { isMissing, Pool, type Asks } from './postgres-pool.ts'
import { paged, type Placed } from './postgres-query.ts'
import { clean } from './postgres-series.ts'
import { moment } from './postgres-time.ts'

const COLUMNS = 'id, digest, name, tenant, scopes, created_at AS created, expires_at AS expires, revoked_at AS revoked, used_at AS used'
const VALID = 'revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())'
const AUDIT = 'INSERT INTO audit (actor, tenant, action, target, change)'

/** API keys in PostgreSQL. A change and its line of the audit log are one statement. */
export class PostgresKeys implements Keys {
  private readonly pool: Pool
  constructor (url: string) { this.pool = new Pool(url, { readOnly: false }) }

  /** In a database that no pipeline has written to yet there are no keys. */
  async find (id: string): Promise<KeyRecord | undefined> {
    return (await this.pool.ask<KeyRecord>(`SELECT ${COLUMNS} FROM api_keys WHERE id = $1`, [id]).catch((error: unknown) => { if (isMissing(error)) return []; throw error }))[0]
  }

  async list ({ tenant, all }: Parameters<Keys['list']>[0], page?: Page): Promise<Found<KeyRecord>> {
    const [us, id] = page?.after?.split('_') ?? []
    const rows = await this.pool.ask<Placed<KeyRecord>>(`SELECT ${COLUMNS}, (extract(epoch FROM created_at) * 1000000)::bigint || '_' || id AS place FROM api_keys
      WHERE ($1::text IS NULL OR tenant = $1) AND ($2 OR ${VALID}) AND ($3::bigint IS NULL OR (created_at, id) > (${moment('$3')}, $4)) ORDER BY created_at, id${page === undefined ? '' : ` LIMIT ${page.limit + 1}`}`, [tenant ?? null, all, us ?? null, id ?? null])
    return paged(rows, page?.limit ?? Infinity)
  }

  async add ({ id, digest, name, tenant, scopes, expires }: NewKey, actor: string, most?: number, request?: string): Promise<boolean> {
    if (tenant !== null) tenantName(tenant)
    return (await this.by(request).ask(`WITH made AS (INSERT INTO api_keys (id, digest, name, tenant, scopes, expires_at) SELECT $1, $2, $3, $4, $5, $6
        WHERE $8::int IS NULL OR (SELECT count(*) FROM api_keys WHERE tenant IS NOT DISTINCT FROM $4 AND ${VALID}) < $8 RETURNING *)
      ${AUDIT} SELECT $7, tenant, 'key.create', id, json_build_object('name', name, 'scopes', scopes, 'expires', expires_at) FROM made RETURNING id`, [id, digest, clean(name), tenant, scopes, expires, actor, most ?? null])).length === 1
  }

  async rotate (id: string, { id: next, digest }: Pick<NewKey, 'id' | 'digest'>, until: Date, actor: string, { most, request }: { readonly most: Date | null, readonly request?: string } = { most: null }): Promise<boolean> {
    return (await this.by(request).ask(`WITH was AS (SELECT * FROM api_keys WHERE id = $1 AND ${VALID} FOR UPDATE),
      made AS (INSERT INTO api_keys (id, digest, name, tenant, scopes, expires_at) SELECT $2, $3, name, tenant, scopes, least(now() + (expires_at - created_at), $6) FROM was RETURNING *),
      ended AS (UPDATE api_keys k SET expires_at = least(k.expires_at, $4) FROM was WHERE k.id = was.id RETURNING k.*)
      ${AUDIT} SELECT $5, ended.tenant, 'key.rotate', ended.id, json_build_object('next', made.id, 'expires', made.expires_at, 'until', ended.expires_at) FROM ended, made RETURNING id`, [id, next, digest, until, actor, most])).length === 1
  }

  async revoke (id: string, actor: string, request?: string): Promise<boolean> {
    return (await this.by(request).ask(`WITH ended AS (UPDATE api_keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING *)
      ${AUDIT} SELECT $2, tenant, 'key.revoke', id, '{}'::jsonb FROM ended RETURNING id`, [id, actor])).length === 1
  }

  async used (id: string): Promise<void> {
    await this.pool.ask("UPDATE api_keys SET used_at = now() WHERE id = $1 AND (used_at IS NULL OR used_at <= now() - interval '1 minute')", [id])
  }

  async close (): Promise<void> { await this.pool.close() }

  /** What is changed carries the id of the request. Keys are of no use to the role that asks for one tenant, so it has no right to them. */
  private by (request: string | undefined): Asks { return this.pool.as({ tenant: undefined, request }) }
}
