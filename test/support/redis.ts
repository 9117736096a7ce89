import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './mosquitto.ts'

const missing = spawnSync('redis-server', ['--version']).error !== undefined
if (missing && process.env.CI === 'true') throw new Error('redis-server is not installed; on Debian: apt install redis-server')

/** For the option `skip` of a suite: why it cannot run, or false. */
export const withoutRedis: string | false = missing ? 'redis-server is not installed; on Debian: apt install redis-server' : false

export interface RedisServer {
  readonly url: string
  readonly port: number
  signal (name: NodeJS.Signals): void
  /** Ends it at once; start() brings it back on the same port, with what it had on its disk if it is `durable`, else with nothing. */
  halt (): Promise<void>
  start (): Promise<void>
  stop (): Promise<void>
}

/** A real redis-server on loopback. `durable`: each change is on its disk before it is answered. `args` as on its command line. */
export async function redisServer ({ durable = false, args = [] }: { readonly durable?: boolean, readonly args?: readonly string[] } = {}): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-redis-')), port = await freePort()
  let child: ChildProcess | undefined
  const start = async () => {
    let said = ''
    const started = child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', durable ? 'yes' : 'no', '--appendfsync', 'always', ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
    started.stdout!.setEncoding('utf8')
    for await (const piece of started.stdout!.iterator({ destroyOnReturn: false }) as AsyncIterable<string>) {
      said += piece
      if (said.includes('Ready to accept connections')) return void started.stdout!.resume()
    }
    throw new Error(`redis-server did not start: ${said}`)
  }
  const halt = async () => {
    const running = child
    child = undefined
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
    const gone = once(running, 'exit')
    running.kill('SIGKILL')
    await gone
  }
  await start()
  return {
    url: `redis://127.0.0.1:${port}`, port, halt, start,
    signal (name) { child?.kill(name) },
    async stop () {
      await halt()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}
