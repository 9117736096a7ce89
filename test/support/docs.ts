/** The pages of the documentation, their code blocks, and a place to run them in. */
import { execFile, spawnSync, type ChildProcess } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from './mosquitto.ts'
import { MAIN } from './program.ts'

export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')
export const read = (path: string): string => readFileSync(join(root, path), 'utf8')

/** The page that is followed step by step. */
export const GUIDE = 'docs/how-to/add-an-operator.md'

/** A fenced block: ```lang key=value word. `words` are those without a value. */
export interface Block { readonly page: string, readonly line: number, readonly lang: string, readonly values: Readonly<Record<string, string>>, readonly words: readonly string[], readonly text: string }
export const at = ({ page, line }: Block): string => `${page}:${line}`

/** Pages in Markdown that belong to the repository, by their path. */
export const pages: readonly string[] = ['README.md', 'CHANGELOG.md', ...['docs', 'data', 'compose'].flatMap(folder =>
  (readdirSync(join(root, folder), { recursive: true }) as string[]).filter(f => f.endsWith('.md')).map(f => join(folder, f)))].sort()

export function blocksOf (page: string): Block[] {
  const blocks: Block[] = []
  let open: { readonly fence: string, readonly line: number, readonly info: string, readonly text: string[] } | undefined
  read(page).split('\n').forEach((text, i) => {
    const [, fence, info] = /^(`{3,})(.*)$/.exec(text) ?? []
    if (open === undefined) {
      if (fence !== undefined) open = { fence, line: i + 1, info, text: [] }
    } else if (fence === open.fence && info === '') {
      const [lang = '', ...marks] = open.info.trim().split(/\s+/)
      const values = Object.fromEntries(marks.filter(m => m.includes('=')).map(m => m.split('=') as [string, string]))
      blocks.push({ page, line: open.line, lang, values, words: marks.filter(m => !m.includes('=')), text: open.text.join('\n') })
      open = undefined
    } else open.text.push(text)
  })
  if (open !== undefined) throw new Error(`${page}:${open.line}: a block without an end`)
  return blocks
}

/** The page without its blocks. */
export const proseOf = (page: string): string => read(page).replaceAll(/^(`{3,}).*\n[\s\S]*?^\1$/gm, '')

/** The commands of a shell block as words. Enough of a shell for what the pages write. */
export const commandsOf = (text: string): string[][] => text.replaceAll('\\\n', ' ').split(/\n|&&|\|/)
  .map(line => line.replace(/(^|\s)#.*$/, '').trim()).filter(line => line !== '')
  .map(line => Array.from(line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g), m => m[1] ?? m[2] ?? m[3]))

export interface Result { readonly code: number, readonly out: string }

/** A folder of one page: its files, its commands, ports of its own in place of those that the page names, and a database. */
export class Place {
  readonly folder: string
  readonly env: NodeJS.ProcessEnv
  private readonly ports: Readonly<Record<string, number>>
  private running: { readonly child: ChildProcess, readonly ended: Promise<Result> } | undefined

  private constructor (folder: string, ports: Readonly<Record<string, number>>, database: string | undefined) {
    this.folder = folder
    this.ports = ports
    this.env = {
      ...plainEnvironment(), PATH: `${join(folder, 'bin')}:${process.env.PATH}`, NO_COLOR: '1', MILLRACE_LOG_LEVEL: 'error', TSX_TSCONFIG_PATH: join(folder, 'tsconfig.json'),
      ...database === undefined ? {} : { MILLRACE_DATABASE: database, DATABASE_URL: database }
    }
  }

  static async open (folder: string, database?: string): Promise<Place> {
    const place = new Place(folder, { 1883: await freePort(), 8080: await freePort(), 9099: await freePort() }, database)
    mkdirSync(join(folder, 'bin'))
    symlinkSync(join(root, 'data'), join(folder, 'data'))
    place.program('millrace', `case "$*" in *.ts*) tsx='--import ${import.meta.resolve('tsx')}';; *) tsx=; esac; exec "${process.execPath}" $tsx "${MAIN}" "$@"`)
    place.program('npm', `while [ "$1" != -- ]; do shift; done; shift; exec millrace "$@"`)       // npm run [--silent] millrace -- ...
    if (spawnSync('curl', ['--version']).error !== undefined) place.program('curl', `exec "${process.execPath}" -e 'fetch(process.argv.at(-1)).then(r => r.text()).then(t => process.stdout.write(t))' -- "$@"`)      // no part of a bare Debian
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ extends: relative(folder, join(root, 'tsconfig.json')), compilerOptions: { paths: { millrace: [join(dirname(MAIN), '../index.js')] } }, include: ['*.ts'] }))
    return place
  }

  private program (name: string, script: string): void {
    const file = join(this.folder, 'bin', name)
    writeFileSync(file, `#!/bin/sh\n${script}\n`)
    chmodSync(file, 0o755)
  }

  /** The page's ports as ours, and the other way round. */
  ours (text: string): string { return Object.entries(this.ports).reduce((s, [port, own]) => s.replaceAll(new RegExp(`\\b${port}\\b`, 'g'), String(own)), text) }
  theirs (text: string): string { return Object.entries(this.ports).reduce((s, [port, own]) => s.replaceAll(String(own), port), text) }

  write (name: string, text: string): void {
    mkdirSync(dirname(join(this.folder, name)), { recursive: true })
    writeFileSync(join(this.folder, name), `${this.ours(text)}\n`)
  }

  run (script: string): Promise<Result> { return this.start(script).ended }

  node (file: string): Promise<Result> { return this.run(`exec "${process.execPath}" --import "${import.meta.resolve('tsx')}" ${file}`) }

  /** Starts what runs until it is stopped, and waits until it is ready. One at a time, as in one terminal. */
  async background (script: string): Promise<void> {
    await this.stop()
    const running = this.running = this.start(`exec ${script}`)
    const ready = () => fetch(this.ours('http://127.0.0.1:8080/readyz')).then(r => r.ok, () => false)
    for (const deadline = Date.now() + 60_000; !await ready();) {
      if (running.child.exitCode !== null || Date.now() > deadline) throw new Error(`not ready: ${script}\n${(await running.ended).out}`)
      await new Promise(resolve => { setTimeout(resolve, 50) })
    }
  }

  /** Ctrl-C for what runs in the background; undefined when nothing does. */
  async stop (): Promise<Result | undefined> {
    const running = this.running
    this.running = undefined
    running?.child.kill('SIGINT')
    return await running?.ended
  }

  /** Without NODE_OPTIONS: tap measures coverage in every child by it. */
  private start (script: string): { readonly child: ChildProcess, readonly ended: Promise<Result> } {
    let child!: ChildProcess
    const ended = new Promise<Result>(resolve => {
      child = execFile('bash', ['-euo', 'pipefail', '-c', `exec 2>&1; unset NODE_OPTIONS\n${this.ours(script)}`], { cwd: this.folder, env: this.env, maxBuffer: 2 ** 24, timeout: 300_000 }, (error, stdout) => {
        resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, out: this.theirs(stdout) })
      })
    })
    return { child, ended }
  }
}

/** The environment of a shell at a prompt: without what tap, npm and Millrace have put there. */
export const plainEnvironment = (): NodeJS.ProcessEnv => Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^TAP|^MILLRACE_|^npm_/.test(name)))

/** Whether the lines of `expected` are those of `actual`: `...` in a line stands for any characters, alone in a line for any lines. Empty lines do not count. */
export function matches (expected: string, actual: string): boolean {
  const escape = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const lines = filled(expected).map(line => line.trim() === '...' ? '(?:.*\\n)*?' : `${line.split('...').map(escape).join('.*?')}\\n`)
  return new RegExp(`^${lines.join('')}$`).test(`${filled(actual).join('\n')}\n`)
}
const filled = (text: string): string[] => text.trim().split('\n').filter(line => line.trim() !== '')
