import type { Socket } from 'node:net'
import type { AuthenticateHandler, Client } from 'aedes'
import { certifiedName, type Device, type ListenerHost } from '#engine'
import { Access, mayUse } from './broker-access.ts'

const RENEW = 500                    // ms between looks at the credentials

/** The clients of a broker that has credentials: which device each is, what it may use, and its end when the credentials no longer have it. */
export class Clients {
  private readonly access: Access
  private readonly file: string
  private readonly host: Pick<ListenerHost, 'log' | 'attempts'>
  private readonly devices = new WeakMap<Client, Device>()     // who it is
  private readonly admitted = new Set<Client>()                // who is connected of them
  private readonly watching: NodeJS.Timeout
  private wrong: string | undefined                            // with the credentials

  /** Looks at `file` until it is closed. `strict`: see Access, and it throws what that throws. */
  constructor (file: string, strict: boolean, host: Pick<ListenerHost, 'log' | 'attempts'>) {
    this.access = new Access(file, strict)
    this.file = file
    this.host = host
    this.watching = setInterval(() => this.renew(), RENEW).unref()
  }

  /** A client id that no other device has: nobody takes over another's session. In the name a : and a % are encoded, so that a device "a" has none of "a:b". */
  idOf (client: Client, username: string | undefined, clientId: string): string {
    return `${(certifiedName(client.conn) ?? username ?? '').replaceAll(/[:%]/g, c => encodeURIComponent(c))}:${clientId}`
  }

  readonly authenticate: AuthenticateHandler = (client, username, password, done) => {
    const certified = certifiedName(client.conn), { attempts } = this.host, name = username ?? certified ?? '', from = (client.conn as Socket).remoteAddress ?? ''
    const wait = certified === undefined ? attempts.wait(from, name) : 0         // a certificate cannot be guessed
    if (wait > 0) return done(Object.assign(new Error(`"${name}" is not tried: too many attempts from ${from}, or under that name, have failed`), { returnCode: 3 }), false)
    const device = this.access.admit(username, password, certified)
    if (device === undefined) {
      attempts.failed(from, name)
      return done(Object.assign(new Error(`"${name}" is no device, or has another password`), { returnCode: 4 }), false)
    }
    attempts.passed(from, name)
    this.devices.set(client, device)
    this.admitted.add(client)
    done(null, true)
  }

  deviceOf (client: Client | null): Device | undefined { return client === null ? undefined : this.devices.get(client) }

  /** Whether a client may use a topic; one that has left may not. */
  may (client: Client | null, topic: string): boolean {
    const device = this.deviceOf(client)
    return device !== undefined && mayUse(device, topic)
  }

  left (client: Client): void { this.admitted.delete(client) }

  close (): void { clearInterval(this.watching) }

  /** The credentials may have changed: who is not in them any more is disconnected. A file that is wrong changes nothing. */
  private renew (): void {
    const { log } = this.host
    try {
      if (!this.access.refresh()) return
      log.info({ credentials: this.file }, 'credentials read')
      this.wrong = undefined
    } catch (error) {
      const { message } = error as Error
      if (this.wrong !== message) log.error({ err: message }, 'the credentials stay as they were')
      this.wrong = message
      return
    }
    for (const client of this.admitted) {
      const device = this.devices.get(client)!
      if (this.access.isCurrent(device)) continue
      this.devices.set(client, { ...device, topics: [] })          // what is still to come of it, such as its will, is not taken
      client.close()
    }
  }
}
