import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'

const program = process.env.NATS_SERVER ?? 'nats-server'        // another version than the installed one
const missing = spawnSync(program, ['--version']).error !== undefined
if (missing && process.env.CI === 'true') throw new Error('nats-server is not installed; on Debian: apt install nats-server')

/** For the option `skip` of a suite: why it cannot run, or false. */
export const withoutNats: string | false = missing ? 'nats-server is not installed; on Debian: apt install nats-server' : false

export interface NatsServer { readonly url: string, readonly port: number, stop (): Promise<void>, signal (name: NodeJS.Signals): void }

/** A real nats-server on loopback; on a free port unless told which. `args` as on its command line. */
export async function startNats ({ port, args = [] }: { readonly port?: number, readonly args?: readonly string[] } = {}): Promise<NatsServer> {
  if (withoutNats) throw new Error(withoutNats)
  const at = port ?? await freePort()
  const server = spawn(program, ['-a', '127.0.0.1', '-p', String(at), ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  const gone = once(server, 'exit')
  await ready(server)
  server.stderr!.resume()
  return {
    url: `nats://127.0.0.1:${at}`,
    port: at,
    signal (name) { server.kill(name) },
    async stop () {
      server.kill('SIGKILL')
      await gone
    }
  }
}

/** A port of loopback that nobody listened on a moment ago. */
export async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function ready (server: ChildProcess): Promise<void> {
  let said = ''
  for await (const piece of server.stderr!.setEncoding('utf8').iterator({ destroyOnReturn: false }) as AsyncIterable<string>) {
    said += piece
    if (said.includes('Server is ready')) return
  }
  throw new Error(`nats-server did not start: ${said}`)
}
