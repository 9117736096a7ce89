import { spawn, type ChildProcess } from 'node:child_process'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'

const RUNNING = /"msg":"running"/
const READY_WITHIN = 60_000          // ms
const SCRAPE = 100                   // ms between readings of its metrics
const KEPT = 20_000                  // characters of its log
const EVENT = /^millrace_source_events_total\{[^}]*event="(\w+)"[^}]*\} (\d+)/gm

/** How a life begins. */
export interface Start {
  readonly file: string              // of the pipeline
  readonly database: string
  readonly folder: string
  readonly http: number              // port of its HTTP plane
  readonly connected: RegExp         // what it logs when its source is connected
  /** Options of Node, such as --import. */
  readonly node?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** More options of `millrace run`. */
  readonly args?: readonly string[]
  /** A command that runs it in its own place, such as unshare: it must `exec`. */
  readonly through?: readonly string[]
}

/** One life of the engine: `millrace run` in a process of its own, from its start to its end, of whatever kind. */
export class Life {
  readonly spawned = performance.now()
  readonly ended: Promise<void>
  /** What has happened at its source, as of its last metrics. */
  readonly events: Record<string, number> = {}
  /** Its last metrics, as text. */
  metrics = ''
  readonly child: ChildProcess
  private readonly url: string
  private readonly connected: RegExp
  private said = ''
  private readonly lines = new Map<string, number>()     // what it has logged, and how often
  private waiting: { readonly for: RegExp, readonly go: () => void, readonly fail: (error: Error) => void }[] = []
  private scraping: NodeJS.Timeout | undefined

  constructor ({ file, database, folder, http, connected, node = [], env = {}, args: more = [], through = [] }: Start) {
    const here = import.meta.url, type = extname(here), packed = type === '.js' && node.length === 0      // what is preloaded has to find the engine's own files
    const main = fileURLToPath(new URL(packed ? '../../../dist/engine/main.js' : `../../engine/main${type}`, here))
    this.url = `http://127.0.0.1:${http}/metrics`
    this.connected = connected
    const [command, ...args] = [...through, process.execPath, ...process.execArgv, ...node, main, 'run', file, '--database', database, '--folder', folder, '--http', `127.0.0.1:${http}`, '--log-format', 'json', ...more]
    const child = this.child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...env } })
    let rest = ''
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.said = (this.said + text).slice(-KEPT)
      const lines = (rest + text).split('\n')
      rest = lines.pop()!
      for (const line of lines) this.count(line)
      this.waiting = this.waiting.filter(w => { if (!w.for.test(this.said)) return true; w.go(); return false })
    })
    this.ended = new Promise(resolve => child.once('exit', () => {
      clearTimeout(this.scraping)
      for (const { fail } of this.waiting) fail(this.died())
      resolve()
    }))
  }

  get over (): boolean { return this.child.exitCode !== null || this.child.signalCode !== null }

  /** Resolves when it has logged this. Rejects when it ends before. */
  says (what: RegExp): Promise<void> {
    if (what.test(this.said)) return Promise.resolve()
    if (this.over) return Promise.reject(this.died())
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`the engine has not said ${String(what)} within ${READY_WITHIN / 1000} s: ${this.said}`)), READY_WITHIN)
      this.waiting.push({ for: what, go: () => { clearTimeout(late); resolve() }, fail: error => { clearTimeout(late); reject(error) } })
    })
  }

  /** How often it has logged a message that begins so. */
  times (begin: string): number { return [...this.lines].reduce((n, [message, times]) => n + (message.startsWith(begin) ? times : 0), 0) }
  /** The greatest value of a metric, over all its labels, as last read; -Infinity when there is none. */
  metric (name: string): number { return Math.max(...Array.from(this.metrics.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, 'gm')), m => Number(m[1])), -Infinity) }
  /** The end of its log. */
  get log (): string { return this.said }

  /** Ms from its start until it is ready: its pipeline runs, and its source is connected. */
  async ready (): Promise<number> {
    await Promise.all([this.says(RUNNING), this.says(this.connected)])
    const ms = performance.now() - this.spawned
    void this.scrape()
    return ms
  }

  /** Kills it if it is still there. Resolves when it is not. */
  async destroy (): Promise<void> {
    if (!this.over) this.child.kill('SIGKILL')
    await this.ended
  }

  died (): Error { return new Error(`the engine ended by itself with ${this.child.exitCode ?? this.child.signalCode}: ${this.said}`) }

  private count (line: string): void {
    const [, message] = /"msg":"((?:[^"\\\\]|\\\\.)*)"/.exec(line) ?? []
    if (message !== undefined) this.lines.set(message, (this.lines.get(message) ?? 0) + 1)
  }

  private async scrape (): Promise<void> {
    try {
      const text = await (await fetch(this.url, { signal: AbortSignal.timeout(2000) })).text()
      this.metrics = text
      for (const [, event, n] of text.matchAll(EVENT)) this.events[event] = Number(n)
    } catch {}         // it was killed meanwhile, or is busy
    if (!this.over) this.scraping = setTimeout(() => { void this.scrape() }, SCRAPE)
  }
}
