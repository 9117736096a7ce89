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

/** Can others come than those on this machine: does it listen on more than loopback, or is there a proxy in front? */
export const isExposed = ({ host, proxies = [] }: { readonly host: string, readonly proxies?: readonly string[] | undefined }): boolean => !isLoopback(host) || proxies.length > 0
