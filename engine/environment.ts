import { readFileSync } from 'node:fs'
import { MillraceError } from './errors.ts'

export interface Environment {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Reads a file of `${file:path}` and that of `devices`. */
  readonly read?: (path: string) => string
  /** Stands for values with something unset in them, where nothing will be connected to: sources and sinks that cannot do with it are left out. */
  readonly unset?: string
  /** false: no option may name a file; none is looked at. */
  readonly files?: false
  /** Bytes that a pipeline may have; absent: those of a file. */
  readonly most?: number
}

/** Bytes of a pipeline that is sent, some ten times the largest we know: whoever sends one holds up the process while it is read. */
export const SENT = 2 ** 16

const nothing = (): string => { throw Object.assign(new Error(), { code: 'a pipeline that is sent has no files beside it' }) }
/** What a pipeline that is sent sees of the machine: neither its environment nor its files. */
export const sent: Environment = { env: {}, read: nothing, files: false, most: SENT }

const PLACE = /\$\$|\$\{([^}]*)\}/g
const FORM = /^([A-Za-z_]\w*)(?::([-?])(.*))?$/s

/**
 * Puts the environment into a text: ${VAR}, ${VAR:-default}, ${VAR:?message}, ${file:path} without the line end at its
 * end; $$ is a dollar sign. Works on single values after YAML is parsed, so no value can change the structure of a file;
 * values of variables with line ends are refused.
 */
export function interpolate (text: string, { env, read = path => readFileSync(path, 'utf8') }: Pick<Environment, 'env' | 'read'>): string {
  return text.replace(PLACE, (whole, inside: string | undefined) => {
    if (inside === undefined) return '$'
    if (inside.startsWith('file:')) {
      const path = inside.slice(5)
      try {
        return read(path).replace(/\r?\n$/, '')
      } catch (cause) {
        throw new MillraceError('config/environment', `the file "${path}" cannot be read: ${(cause as NodeJS.ErrnoException).code ?? (cause as Error).message}`, { help: 'it must exist and be readable by this process', cause })
      }
    }
    const [, name, how, rest = ''] = FORM.exec(inside) ?? []
    if (name === undefined) throw new MillraceError('config/environment', `"${whole}" is not the name of a variable`, { help: 'write ${NAME}, ${NAME:-default}, ${NAME:?message} or ${file:path}; a dollar sign is $$' })
    const value = env[name]
    if (value === undefined || (value === '' && how !== undefined)) {
      if (how === '-') return rest
      throw new MillraceError('config/environment', `the environment variable ${name} is not set${how === '?' && rest !== '' ? `: ${rest}` : ''}`, { help: `set it, or give a default: \${${name}:-default}` })
    }
    if (/[\r\n]/.test(value)) throw new MillraceError('config/environment', `the environment variable ${name} has a line end in it`, { help: `for longer text write \${file:path}` })
    return value
  })
}
