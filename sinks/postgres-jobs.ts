import type { Canceller, Job, JobFilter, JobProgress as Progress, JobStore, LeftJob, NewJob } from '#engine'
import { migrate } from './postgres-migrate.ts'
import { Pool } from './postgres-pool.ts'
import { ISO } from './postgres-query.ts'
import { clean, cleanJson } from './postgres-series.ts'

const JOB = `id, kind, tenant, target, asked, state, done::float8, total::float8, detail, author, ${ISO('created_at', 'created')}, ${ISO('ended_at', 'ended')}`
const AUDIT = 'INSERT INTO audit (actor, tenant, action, target, change)'

/** Jobs in PostgreSQL. What somebody does, and its line of the audit log, are one statement. */
export class PostgresJobs implements JobStore {
  private readonly url: string
  private readonly pool: Pool
  constructor (url: string) {
    this.url = url
    this.pool = new Pool(url, { readOnly: false })
  }

  async open (): Promise<void> { await migrate(this.url, { info () {} }) }

  async add ({ id, kind, tenant, instance, target, asked, author, request }: NewJob): Promise<Job> {
    return (await this.pool.as({ tenant: undefined, request }).ask<Job>(`WITH made AS (INSERT INTO jobs (id, kind, tenant, instance, target, asked, author) VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7) RETURNING *),
      noted AS (${AUDIT} SELECT author, tenant, 'job.start', id, json_build_object('kind', kind, 'target', target, 'asked', asked) FROM made)
      SELECT ${JOB} FROM made`, [id, kind, tenant, instance, target, cleanJson(asked), author]))[0]
  }

  async list ({ tenant, kind, state }: JobFilter, limit: number): Promise<readonly Job[]> {
    return await this.pool.as({ tenant }).ask<Job>(`SELECT ${JOB} FROM jobs WHERE ($1::text IS NULL OR tenant = $1) AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR state = $3) ORDER BY created_at DESC, id LIMIT ${limit}`, [tenant ?? null, kind ?? null, state ?? null])
  }

  async find (id: string, tenant: string | undefined): Promise<Job | undefined> {
    return (await this.pool.as({ tenant }).ask<Job>(`SELECT ${JOB} FROM jobs WHERE id = $1 AND ($2::text IS NULL OR tenant = $2)`, [id, tenant ?? null]))[0]
  }

  async left (instance: string): Promise<readonly LeftJob[]> {
    return await this.pool.ask<LeftJob>(`SELECT ${JOB}, cancelled_by IS NOT NULL AS cancelled FROM jobs WHERE instance = $1 AND state = 'running' ORDER BY created_at`, [instance])
  }

  async progress (id: string, { done, total, detail }: Progress): Promise<void> {
    await this.pool.ask("UPDATE jobs SET done = $2, total = $3, detail = $4 WHERE id = $1 AND state = 'running'", [id, done, total ?? null, detail === undefined ? null : clean(detail)])
  }

  async cancel (id: string, { actor, request }: Canceller): Promise<void> {
    await this.pool.ask("UPDATE jobs SET cancelled_by = $2, cancel_request = $3 WHERE id = $1 AND state = 'running' AND cancelled_by IS NULL", [id, actor, request ?? null])
  }

  async end (id: string, state: string, { done, total, detail }: Partial<Progress>): Promise<void> {
    await this.pool.ask(`WITH ended AS (UPDATE jobs SET state = $2, done = coalesce($3, done), total = coalesce($4, total), detail = $5, ended_at = now() WHERE id = $1 AND state = 'running' RETURNING *)
      INSERT INTO audit (actor, tenant, action, target, change, request) SELECT cancelled_by, tenant, 'job.cancel', id, json_build_object('done', done), cancel_request FROM ended WHERE state = 'cancelled'`, [id, state, done ?? null, total ?? null, detail === undefined ? null : clean(detail)])
  }

  async over (instance: string): Promise<readonly Pick<Job, 'id' | 'kind' | 'tenant' | 'ended'>[]> {
    return await this.pool.ask<Pick<Job, 'id' | 'kind' | 'tenant' | 'ended'>>(`SELECT id, kind, tenant, ${ISO('ended_at', 'ended')} FROM jobs WHERE instance = $1 AND state <> 'running' ORDER BY ended_at DESC, id`, [instance])
  }

  async remove (ids: readonly string[]): Promise<void> { await this.pool.ask("DELETE FROM jobs WHERE id = ANY($1) AND state <> 'running'", [ids]) }

  async close (): Promise<void> { await this.pool.close() }
}
