import { MillraceError, Transient, type KeyRecord, type Keys, type NewKey } from '#engine'
import { Session, shown } from './postgres-session.ts'

const COLUMNS = 'id, digest, name, tenant, scopes, created_at AS created, expires_at AS expires, revoked_at AS revoked'

/** API keys in PostgreSQL, on a connection of their own that is made when it is needed. */
export class PostgresKeys implements Keys {
  private readonly url: string
  private session: Promise<Session> | undefined
  private work: Promise<unknown> = Promise.resolve()
  constructor (url: string) { this.url = url }

  async find (id: string): Promise<KeyRecord | undefined> {
    return await this.with(async session => (await session.query<KeyRecord & object>(`SELECT ${COLUMNS} FROM api_keys WHERE id = $1`, [id])).rows[0])
  }

  async list (): Promise<readonly KeyRecord[]> {
    return await this.with(async session => (await session.query<KeyRecord & object>(`SELECT ${COLUMNS} FROM api_keys ORDER BY created_at, id`)).rows)
  }

  async add ({ id, digest, name, tenant, scopes, expires }: NewKey, actor: string): Promise<void> {
    await this.with(session => session.transaction(async () => {
      await session.query('INSERT INTO api_keys (id, digest, name, tenant, scopes, expires_at) VALUES ($1, $2, $3, $4, $5, $6)', [id, digest, name, tenant, scopes, expires])
      await audit(session, actor, tenant, 'key.create', id, { name, scopes, expires })
    }))
  }

  async revoke (id: string, actor: string): Promise<boolean> {
    return await this.with(session => session.transaction(async () => {
      const { rows: [row] } = await session.query<{ tenant: string | null }>('UPDATE api_keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING tenant', [id])
      if (row === undefined) return false
      await audit(session, actor, row.tenant, 'key.revoke', id, {})
      return true
    }))
  }

  async close (): Promise<void> {
    await this.work.catch(() => {})
    await (await this.session?.catch(() => undefined))?.close()
    this.session = undefined
  }

  /** One statement after the other; connected anew after the connection was lost. */
  private async with<T> (work: (session: Session) => Promise<T>): Promise<T> {
    const result = this.work.catch(() => {}).then(async () => {
      if ((await this.session?.catch(() => undefined))?.lost !== undefined) this.session = undefined
      const session = this.session ??= Session.connect(this.url, TIMEOUT)
      try {
        return await work(await session)
      } catch (error) {
        if (!(error instanceof Transient)) throw error
        if (this.session === session) this.session = undefined
        throw new MillraceError('store/unreachable', `the database ${shown(this.url)} cannot be reached: ${error.message}`, { cause: error })
      }
    })
    this.work = result
    return await result
  }
}

const TIMEOUT = 10_000               // ms

async function audit (session: Session, actor: string, tenant: string | null, action: string, target: string, change: object): Promise<void> {
  await session.query('INSERT INTO audit (actor, tenant, action, target, change) VALUES ($1, $2, $3, $4, $5)', [actor, tenant, action, target, JSON.stringify(change)])
}
