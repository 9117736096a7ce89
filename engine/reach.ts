import { BlockList, isIP } from 'node:net'
import { MillraceError } from './errors.ts'
import type { Pipeline } from './pipeline.ts'
import { partsOf } from './plan.ts'

// A host as every client reads it: one @ at most, nothing that some take for an end of the host and others not, as the client of NATS does a
// second :// (what stands behind it counts), and no longer than a name may be: beyond, the client of MQTT dials localhost.
const ADDRESS = /^(?:[a-z][a-z0-9+.-]*:\/\/)?(?:[^@/?#\\\s,]*@)?(\[[0-9a-f:.]+\]|[a-z0-9._-]{1,253})(?::(\d{1,5}))?(?:\/([^\\\s?#:]*))?(?:\?([^\\\s#]*))?$/i
const HARMLESS = /^(?:(?:sslmode|application_name|connect_timeout)=[\w.-]*(?:&|$))*$/        // of what follows ?: host, port and files of certificates could stand there
const ALLOWED = /^(\*\.)?([a-z0-9._-]+|\[[0-9a-f:.]+\]|[0-9a-f:.]+\/\d{1,3}|[0-9a-f:]+)(?::(\d{1,5}))?$/i

/** The host of a URL or host:port, as every client reads it. */
export const hostOf = (address: string): string | undefined => ADDRESS.exec(address)?.[1]
/** Whether a URL or host:port has a user, with a password or without. */
export const namesUser = (address: string): boolean => /^(?:[a-z][a-z0-9+.-]*:\/\/)?[^/?#]*@/i.test(address)

interface Allowed { readonly is: (host: string) => boolean, readonly port: string | undefined }

/**
 * Which hosts a pipeline that was put over HTTP may have its brokers, databases and mail servers on: those that the operator of the
 * process names, and no other. Names are compared as they are written; whoever allows a name trusts who resolves it. Pipelines of files
 * are the operator's own. Webhooks have a guard of their own (sinks/http/guard.ts), as they may go to anybody.
 */
export class Reach {
  private readonly allowed: readonly Allowed[]
  /** `allowed`: names, *.domain, addresses or networks, each with a port or without: any. Throws usage/command. */
  constructor (allowed: readonly string[] = []) { this.allowed = allowed.map(allowedOf) }

  /** Throws config/host, with the component and where it would go. */
  admit (pipeline: Pipeline): void {
    for (const { name, definition, options } of partsOf(pipeline)) {
      for (const address of 'reaches' in definition ? definition.reaches?.(options) ?? [] : []) {
        const [, host, port, , query = ''] = ADDRESS.exec(address) ?? []
        if (host === undefined || !HARMLESS.test(query)) throw new MillraceError('config/host', `${name}: where it connects to cannot be told for sure`, { help: 'of a pipeline that is put over HTTP, scheme://user:password@host:port/name and nothing else' })
        const plain = host.replace(/^\[|\]$/g, '').toLowerCase()
        if (!this.allowed.some(a => a.is(plain) && (a.port === undefined || a.port === port))) throw new MillraceError('config/host', `${name}: pipelines that are put over HTTP may not connect to ${host}${port === undefined ? '' : `:${port}`}`, { help: `whoever runs this process allows it with --hosts ${host}; a pipeline of a file may connect to anything` })
      }
    }
  }
}

function allowedOf (text: string): Allowed {
  const [, star, host, port] = ALLOWED.exec(text) ?? [], wrong = new MillraceError('usage/command', `--hosts: "${text}" is no host`, { help: 'such as db.example.com, mqtt.example.com:8883, *.plant.example.com, 192.0.2.7 or 10.0.0.0/8' })
  if (host === undefined) throw wrong
  const [address, bits] = host.replace(/^\[|\]$/g, '').toLowerCase().split('/'), kind = isIP(address)
  if (bits === undefined && kind === 0 && !address.includes(':')) return { port, is: star === undefined ? name => name === address : name => name.endsWith(`.${address}`) }
  if (kind === 0 || star !== undefined || Number(bits ?? 0) > (kind === 4 ? 32 : 128)) throw wrong
  const network = new BlockList(), family = kind === 4 ? 'ipv4' : 'ipv6'
  network.addSubnet(address, Number(bits ?? (kind === 4 ? 32 : 128)), family)
  return { port, is: host => isIP(host) === kind && network.check(host, family) }
}
