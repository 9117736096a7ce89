import type { Command } from 'commander'
import { isScope, newKey, scopes, type Scope } from '../api-key.ts'
import type { Parts } from '../components.ts'
import { MillraceError } from '../errors.ts'
import type { KeyRecord, Keys } from '../keys.ts'
import { isValid } from '../keys.ts'
import { Limits, readLimits } from '../limits.ts'
import { openLog } from '../log.ts'
import { duration, suggest } from '../options.ts'
import { streams } from './program.ts'

interface Options { readonly database?: string, readonly json?: boolean, readonly scope?: string[], readonly tenant?: string, readonly expires?: string, readonly limits?: string }
const ACTOR = 'command line'

/** `millrace keys`: API keys, made, listed and revoked in the database that pipelines write to. */
export function keys (program: Command, parts: Parts): void {
  const group = program.command('keys').description('API keys: create, rotate, list, revoke')
  const command = (name: string, description: string) => group.command(name).description(description).option('--database <url>', 'the database (or MILLRACE_DATABASE)').option('--json', 'as JSON')
  const at = async (options: Options, work: (keys: Keys) => Promise<void>): Promise<void> => {
    const url = options.database ?? process.env.MILLRACE_DATABASE
    if (url === undefined) throw new MillraceError('usage/command', 'keys: no database', { help: '--database postgres://user@host:5432/name, or set MILLRACE_DATABASE' })
    await parts.migrate(url, openLog({ level: 'warn' }))
    const store = parts.openKeys(url)
    try { await work(store) } finally { await store.close() }
  }

  command('create', 'make a key and print it: it is shown this once')
    .argument('<name>', 'whose it is, or what for')
    .requiredOption('--scope <scope...>', `what it may be used for: ${Object.keys(scopes).join(', ')}`)
    .option('--tenant <tenant>', 'only for what belongs to this tenant; without it, for every tenant')
    .option('--expires <span>', 'when it ends to be valid, such as 90d; without it, never')
    .option('--limits <file>', 'how many keys a tenant may have, and more; as of millrace run')
    .action(async (name: string, options: Options) => {
      const wrong = options.scope!.find(scope => !isScope(scope))
      if (wrong !== undefined) throw new MillraceError('usage/command', `keys: there is no scope "${wrong}"`, { help: suggest(wrong, Object.keys(scopes)) })
      const { keys: most } = (options.limits === undefined ? new Limits() : readLimits(options.limits)).ofTenant(options.tenant)
      await at(options, async store => {
        const { key, id, digest } = newKey(), expires = options.expires === undefined ? null : new Date(Date.now() + duration(options.expires))
        const made = await store.add({ id, digest, name, tenant: options.tenant ?? null, scopes: options.scope as Scope[], expires }, ACTOR, most)
        if (!made) throw new MillraceError('api/quota', `keys: ${options.tenant === undefined ? 'of all tenants' : `of the tenant "${options.tenant}"`} ${most} keys are valid, and no more may be`, { help: 'revoke some (millrace keys list says which there are), or raise tenant.keys of --limits' })
        streams(program).out(options.json ? `${JSON.stringify({ key, id })}\n` : `${key}\n`)
      })
    })
  command('rotate', 'make a key like another one and print it: both are valid for a while, then the other one ends')
    .argument('<id>', 'the part of the other one behind mr_')
    .option('--within <span>', 'how long both are valid', '24h')
    .action(async (old: string, { within, ...options }: Options & { readonly within: string }) => {
      const until = new Date(Date.now() + duration(within))
      await at(options, async store => {
        const { key, id, digest } = newKey()
        if (!await store.rotate(old, { id, digest }, until, ACTOR)) throw unknown(old)
        streams(program).out(options.json ? `${JSON.stringify({ key, id })}\n` : `${key}\n`)
      })
    })
  command('list', 'a line each: id, name, tenant, scopes, state, when it was last used (to a minute)').action(async (options: Options) => {
    await at(options, async store => {
      for (const record of (await store.list({ all: true })).rows) streams(program).out(options.json ? `${JSON.stringify(shown(record))}\n` : `${Object.values(shown(record)).map(String).join('  ')}\n`)
    })
  })
  command('revoke', 'end a key: no request with it is answered a second later').argument('<id>', 'the part of the key behind mr_').action(async (id: string, options: Options) => {
    await at(options, async store => {
      if (!await store.revoke(id, ACTOR)) throw unknown(id)
    })
  })
}

const unknown = (id: string) => new MillraceError('usage/command', `keys: there is no valid key "${id}"`, { help: 'millrace keys list says which there are' })
const shown = (record: KeyRecord) => ({
  id: record.id, name: record.name, tenant: record.tenant ?? '*', scopes: record.scopes.join(','),
  state: record.revoked !== null ? `revoked ${record.revoked.toISOString()}` : isValid(record, Date.now()) ? record.expires === null ? 'valid' : `valid until ${record.expires.toISOString()}` : `expired ${record.expires!.toISOString()}`,
  used: record.used === null ? 'never used' : `used ${record.used.toISOString()}`
})
