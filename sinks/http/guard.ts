import { lookup as resolve, type LookupAddress, type LookupOptions } from 'node:dns'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

const PORTS = ['443', '8443']
const GLOBAL: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('2000::'), 3]     // the unicast addresses that are in use (RFC 4291, 2.4)

/** Is this an address that belongs to nobody's own network and machine, nor to a way into IPv4 (NAT64, 6to4, Teredo)? Of ::ffff:a.b.c.d the IPv4 address counts. */
export function isPublic (address: string): boolean {
  const parsed = ipaddr.process(address.replace(/%.*$/, ''))
  return parsed.range() === 'unicast' && (parsed.kind() === 'ipv4' || (parsed as ipaddr.IPv6).match(...GLOBAL))
}

/** What is wrong with a network as the operator of a process writes it, in a sentence: an address, or one with /bits. */
export function faultOfNetwork (text: string): string | undefined {
  try { networkOf(text); return undefined } catch { return `"${text}" is no network: 10.0.0.0/8, 192.0.2.7 and fd00::/8 are` }
}
const networkOf = (text: string): [ipaddr.IPv4 | ipaddr.IPv6, number] => {
  const [address, bits] = text.includes('/') ? ipaddr.parseCIDR(text) : [ipaddr.parse(text), undefined]
  return [address, bits ?? (address.kind() === 'ipv4' ? 32 : 128)]
}

type Found = (error: Error | null, address: string | LookupAddress[], family?: number) => void

/**
 * Which addresses may be dialled on behalf of a pipeline: public ones, by https, on ports 443 and 8443; and those of the networks that
 * the operator of the process allows, in any way. A name is good when all of its addresses are. It is resolved once for each connection,
 * and what is dialled is what was looked at. Throws, or fails, with what is wrong.
 */
export class Guard {
  private readonly allowed: readonly [ipaddr.IPv4 | ipaddr.IPv6, number][]
  private readonly resolve: typeof resolve
  /** `by`: who resolves names. */
  constructor (allowed: readonly string[] = [], by = resolve) {
    this.allowed = allowed.map(networkOf)
    this.resolve = by
  }

  /** Of a URL with a literal address, which is not looked up when it is dialled. */
  check (url: URL): void {
    const host = url.hostname.replace(/^\[|\]$/g, '')
    if (isIP(host) !== 0) this.admit(host, [host], url)
  }

  /** In the place of dns.lookup, for connections of this URL. */
  lookup (url: URL) {
    return (host: string, options: LookupOptions, found: Found): void => {
      this.resolve(host, { ...options, all: true }, (error, addresses) => {
        if (error !== null) return found(error, [])
        try {
          this.admit(host, addresses.map(a => a.address), url)
        } catch (refused) {
          return found(refused as Error, [])
        }
        if (options.all === true) found(null, addresses)
        else found(null, addresses[0].address, addresses[0].family)
      })
    }
  }

  private admit (host: string, addresses: readonly string[], { protocol, port }: URL): void {
    if (addresses.length === 0) throw new Error(`${host} has no address`)
    const others = addresses.filter(address => !this.isAllowed(address))
    const own = others.find(address => !isPublic(address))
    if (own !== undefined) throw new Error(`${host} is ${own === host ? 'an address' : `${own}, an address`} that is not public, and nothing is sent there unless --egress allows it`)
    if (others.length === 0) return
    if (protocol !== 'https:') throw new Error('nothing is sent by plain http unless --egress allows the address')
    if (port !== '' && !PORTS.includes(port)) throw new Error(`nothing is sent to port ${port} unless --egress allows the address: ${PORTS.join(' and ')} are open`)
  }

  private isAllowed (address: string): boolean {
    const parsed = ipaddr.process(address.replace(/%.*$/, ''))
    return this.allowed.some(([network, bits]) => network.kind() === parsed.kind() && (parsed as ipaddr.IPv6).match(network as ipaddr.IPv6, bits))
  }
}
