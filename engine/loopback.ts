import { BlockList, isIP } from 'node:net'

const own = new BlockList()
own.addSubnet('127.0.0.0', 8)
own.addAddress('::1', 'ipv6')

/** Is this host name or address one of this machine alone? Names other than localhost are not looked up. */
export function isLoopback (host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '').toLowerCase()
  const kind = isIP(name)
  if (kind === 0) return name === 'localhost'
  return own.check(name, kind === 4 ? 'ipv4' : 'ipv6')
}
