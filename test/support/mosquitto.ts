import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'

const PLACES = ['mosquitto', '/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto']
const binary = PLACES.find(p => spawnSync(p, ['-h']).error === undefined)

/** Why suites that need mosquitto are skipped; false when it is there. With CI=true a missing one is an error. */
export const noMosquitto: string | false = binary !== undefined ? false : missing('mosquitto is not installed: apt install mosquitto')

function missing (what: string): string {
  if (process.env.CI === 'true') throw new Error(what)
  return what
}

export interface Broker {
  readonly port: number
  /** Of the process, while there is one. */
  readonly pid: number | undefined
  /** Ends the process, with SIGTERM unless told otherwise; start() brings it back on the same port, without its sessions. */
  halt (signal?: NodeJS.Signals): Promise<void>
  start (): Promise<void>
  /** Ends it for good. */
  stop (): Promise<void>
}

/** A real mosquitto on a port of loopback, a free one unless given. `config`: further lines; `listener`: lines for its one listener. */
export async function mosquitto ({ config = '', listener = 'allow_anonymous true', port: wanted = 0 } = {}): Promise<Broker> {
  if (noMosquitto) throw new Error(noMosquitto)
  const folder = mkdtempSync(join(tmpdir(), 'millrace-mosquitto-'))
  const port = wanted || await freePort()
  const file = join(folder, 'mosquitto.conf')
  writeFileSync(file, `per_listener_settings false\nuser ${userInfo().username}\n${config}\nlistener ${port} 127.0.0.1\n${listener}\n`)
  let child: ReturnType<typeof spawn> | undefined
  const start = async () => {
    let said = ''
    const started = child = spawn(binary!, ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] })
    started.stderr!.on('data', data => { said += data })
    const deadline = Date.now() + 60_000
    while (!await accepts(port)) {
      if (started.exitCode !== null || Date.now() > deadline) throw new Error(`mosquitto did not start: ${said}`)
      await new Promise(resolve => { setTimeout(resolve, 20) })
    }
  }
  const halt = (signal: NodeJS.Signals = 'SIGTERM') => new Promise<void>(resolve => {
    const running = child
    child = undefined
    if (running === undefined || running.exitCode !== null) return resolve()
    running.once('exit', () => resolve())
    running.kill(signal)
  })
  await start()
  const stop = async () => {
    await halt()
    rmSync(folder, { recursive: true, force: true })
  }
  return { port, get pid () { return child?.pid }, halt, start, stop }
}

/** A port of loopback that nobody listens on. */
export function freePort (): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

const accepts = (port: number): Promise<boolean> => new Promise(resolve => {
  const socket = connect(port, '127.0.0.1')
  socket.once('connect', () => { socket.destroy(); resolve(true) })
  socket.once('error', () => resolve(false))
})

/** A certificate authority, a certificate for 127.0.0.1 and localhost, and one for a client, made with openssl: paths of PEM files in `folder`. */
export function certificates (folder: string): Record<'ca' | 'serverCert' | 'serverKey' | 'clientCert' | 'clientKey', string> {
  const at = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => {
    const { status, stderr, error } = spawnSync('openssl', args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`openssl ${args[0]}: ${error?.message ?? stderr}`)
  }
  writeFileSync(at('san.ext'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n')
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=millrace test', '-keyout', at('ca.key'), '-out', at('ca.pem'))
  for (const who of ['server', 'client']) {
    openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', `/CN=${who}`, '-keyout', at(`${who}.key`), '-out', at(`${who}.csr`))
    openssl('x509', '-req', '-in', at(`${who}.csr`), '-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '2', '-extfile', at('san.ext'), '-out', at(`${who}.pem`))
  }
  return { ca: at('ca.pem'), serverCert: at('server.pem'), serverKey: at('server.key'), clientCert: at('client.pem'), clientKey: at('client.key') }
}
