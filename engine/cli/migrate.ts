import type { Command } from 'commander'
import type { Parts } from '../components.ts'
import { MillraceError } from '../errors.ts'
import { openLog } from '../log.ts'
import { streams } from './program.ts'

/** `millrace migrate`: brings a database to this version. `run` does the same by itself when it starts. */
export function migrate (program: Command, parts: Parts): void {
  program.command('migrate')
    .description('bring a database to this version')
    .option('--database <url>', 'the database (or MILLRACE_DATABASE)')
    .option('--status', 'only say what is applied and what is not')
    .option('--json', 'as JSON')
    .action(async (options: { database?: string, status?: boolean, json?: boolean }) => {
      const url = options.database ?? process.env.MILLRACE_DATABASE
      if (url === undefined) throw new MillraceError('usage/command', 'migrate: no database', { help: '--database postgres://user@host:5432/name, or set MILLRACE_DATABASE' })
      if (!options.status) await parts.migrate(url, openLog({ level: 'warn' }))
      const steps = await parts.migrationStatus(url)
      const { out } = streams(program)
      out(options.json ? `${JSON.stringify(steps)}\n` : steps.map(s => `${String(s.version).padStart(3, '0')} ${s.changed ? 'CHANGED' : s.applied === undefined ? 'pending' : 'applied'}  ${s.name}\n`).join(''))
    })
}
