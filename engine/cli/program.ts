import { Command, CommanderError, Option, type OutputConfiguration } from 'commander'
import type { Parts } from '../components.ts'
import { errors, MillraceError, Transient } from '../errors.ts'
import { exitOf, report, reportError } from '../report.ts'
import { version } from '../version.ts'
import { InvalidPipeline } from './load.ts'

/** A command: adds itself to the program. One file each. Its work ends normally (exit code 0), in exit(code), or in an error. */
export type AddCommand = (program: Command, parts: Parts) => void

/**
 * Runs the program and returns its exit code: 0 ok, 1 failure or findings, 2 called wrongly, 69 a service that is needed
 * is not there, 78 invalid configuration, 130/143 after a signal. Results go to stdout, everything else to stderr.
 */
export async function main (argv: readonly string[], parts: Parts, commands: readonly AddCommand[], output: OutputConfiguration = {}): Promise<number> {
  const program = new Command('millrace')
    .description('Stream processing engine for IoT telemetry.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .exitOverride()
    .configureOutput(output)
    .showSuggestionAfterError()
  addCommands(program, parts, commands)
  const err = (text: string) => { program.configureOutput().writeErr!(text) }
  const color = program.configureOutput().getErrHasColors?.() ?? false
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return error.code.startsWith('commander.') && error.exitCode !== 0 ? 2 : error.exitCode
    if (error instanceof InvalidPipeline) {
      err(report(error.findings, { color }))
      return exitOf(error.findings)
    }
    if (error instanceof MillraceError) {
      err(reportError(error, { color }))
      return error.exit
    }
    if (error instanceof Transient) {
      err(reportError(new MillraceError('store/unreachable', `what was under way could not be committed: ${error.message}`, { help: 'nothing of it was acknowledged: it comes again from sources that can' }), { color }))
      return errors['store/unreachable'].exit
    }
    err(`${(error as Error)?.stack ?? String(error)}\n`)
    return 1
  }
}

/** Gives the program its commands, and each of them the options that all have. */
export function addCommands (program: Command, parts: Parts, commands: readonly AddCommand[]): Command {
  for (const add of commands) add(program, parts)
  for (const command of program.commands) share(command)
  return program
}

/** Ends a command with this exit code; what it had to say is printed. */
export function exit (code: number): void {
  if (code !== 0) throw new CommanderError(code, 'millrace.exit', '')
}

/** Where a command writes: `out` for results, `err` for everything else. */
export function streams (program: Command): { readonly out: (text: string) => void, readonly err: (text: string) => void, readonly color: boolean } {
  const output = program.configureOutput()
  return { out: text => { output.writeOut!(text) }, err: text => { output.writeErr!(text) }, color: output.getOutHasColors?.() ?? false }
}

/** Options that every command has; each can be set by MILLRACE_<NAME> too. */
function share (command: Command): void {
  const has = (flag: string) => command.options.some(o => o.long === flag)
  for (const option of [
    new Option('-e, --env-file <file>', 'read environment variables from a file; those that are set already stay'),
    new Option('--log-level <level>', 'least level that is logged').choices(['trace', 'debug', 'info', 'warn', 'error', 'silent']).env('MILLRACE_LOG_LEVEL'),
    new Option('--log-format <format>', 'form of the log').choices(['auto', 'json', 'pretty']).env('MILLRACE_LOG_FORMAT'),
    new Option('-q, --quiet', 'log errors only').implies({ logLevel: 'error' }),
    new Option('-v, --verbose', 'log more').implies({ logLevel: 'debug' }),
    new Option('--no-color', 'print without colour (or NO_COLOR)')
  ]) if (!has(option.long!)) command.addOption(option)
  command.hook('preAction', () => {
    const { envFile, color } = command.opts()
    if (color === false) process.env.NO_COLOR = '1'
    if (envFile === undefined) return
    try {
      process.loadEnvFile(envFile)
    } catch (cause) {
      throw new MillraceError('usage/file', `the file "${envFile}" cannot be read: ${(cause as NodeJS.ErrnoException).code ?? (cause as Error).message}`, { cause })
    }
  })
}
