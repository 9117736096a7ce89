import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { extname } from 'node:path'
import { createInterface } from 'node:readline'

interface Asked { readonly name: string, readonly args?: readonly string[], readonly small?: boolean }

/** What `all` runs, in this order: speed, then that nothing is lost, doubled or remembered wrongly, at a small size, of which nothing is kept: what is there is of long runs. */
const asked: readonly Asked[] = [
  ...['operators', 'features', 'decode', 'wal', 'ingest', 'broker', 'jetstream', 'sink', 'latency', 'series', 'workers', 'peers', 'startup', 'api'].map(name => ({ name })),
  ...['mqtt', 'broker', 'http', 'jetstream'].map(source => ({ name: 'kill', args: ['--source', source, '--kills', '5', '--stretch', '4'], small: true })),
  { name: 'replace', args: ['--count', '50'], small: true }
]

/**
 * Those that there are, one after the other, each in a process of its own, with `more` options: a line of JSON on stdout for each of their rows, all else on
 * stderr. One that fails holds up nobody. Returns the names of those that failed.
 */
export async function runAll (known: readonly string[], say: (line: string) => void, more: readonly string[] = []): Promise<string[]> {
  const failed: string[] = [], gone = asked.filter(one => !known.includes(one.name))
  if (gone.length > 0) throw new Error(`there is no benchmark ${gone.map(one => one.name).join(', ')}`)
  for (const { name, args = [], small = false } of asked) {
    say(`== ${[name, ...args].join(' ')}`)
    const code = await run([name, ...args, '--json', ...small ? more.filter(option => option !== '--save') : more])
    if (code === 0) continue
    failed.push([name, ...args].join(' '))
    say(`${name} ended with ${String(code)}`)
  }
  return failed
}

function run (args: readonly string[]): Promise<number | NodeJS.Signals | null> {
  const main = fileURLToPath(new URL(`./main${extname(import.meta.url)}`, import.meta.url))
  const child = spawn(process.execPath, [...process.execArgv, main, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })
  lines.on('line', line => { (line.startsWith('{') ? process.stdout : process.stderr).write(`${line}\n`) })
  const said = new Promise(resolve => lines.once('close', resolve))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => { void said.then(() => { resolve(code ?? signal) }) })
  })
}
