import { isIPv6 } from 'node:net'
import type { Logger } from './log.ts'

const KNOWN = 10_000                 // addresses and names, and who came in from where; the longest untouched go
const SPREAD = 10                    // times as many failures of a name as of an address: it takes many addresses to keep a name out
const LONGEST = 128                  // characters of a name that tell it from others

interface Failed { level: number, at: number }       // failures that are not forgotten yet, and when that was so, ms

/**
 * Failed attempts to say who one is: so many a minute from an address (of IPv6 from a /64, which one customer has whole), and ten times as
 * many for a name. Who is beyond is not tried until a failure is forgotten, one every (60 / most) s. Who has come in under a name from an
 * address before is not held up by others there or by others who try that name (device cookies, as OWASP says): that pair has failures of its own. 3 MB at most.
 */
export class Attempts {
  /** failed: wrong; put_off: not tried. */
  readonly counts = { failed: 0, put_off: 0 }
  private readonly buckets = new Map<string, Failed>()
  private readonly trusted = new Map<string, true>()
  private readonly most: number
  private readonly log: Pick<Logger, 'warn'>
  private readonly now: () => number
  /** `most`: failures in a minute from an address. `now`: ms, monotonic. */
  constructor (most: number, log: Pick<Logger, 'warn'>, now = () => performance.now()) {
    this.most = most
    this.log = log
    this.now = now
  }

  /** Seconds until `name` may be tried from `address`; 0: now. Otherwise it counts as put off. */
  wait (address: string, name?: string): number {
    const seconds = Math.max(...this.of(address, name).map(([key, most]) => this.left(key, most)))
    if (seconds > 0) this.counts.put_off++
    return seconds
  }

  failed (address: string, name?: string): void {
    this.counts.failed++
    for (const [key, most] of this.of(address, name)) {
      const level = this.levelOf(key, most) + 1
      touch(this.buckets, key, { level, at: this.now() })
      if (level >= most && level - 1 < most) this.log.warn({ from: networkOf(address), failures: most }, `too many failed attempts in a minute ${key.startsWith('name ') ? 'under one name' : 'from one address'}: more are not tried for a while`)
    }
  }

  passed (address: string, name: string): void { touch(this.trusted, pairOf(address, name), true) }

  /** What a failure counts against. */
  private of (address: string, name: string | undefined): [string, number][] {
    if (name === undefined) return [[networkOf(address), this.most]]
    const pair = pairOf(address, name)
    return this.trusted.has(pair) ? [[pair, this.most]] : [[networkOf(address), this.most], [`name ${name.slice(0, LONGEST)}`, this.most * SPREAD]]
  }

  private levelOf (key: string, most: number): number {
    const { level, at } = this.buckets.get(key) ?? { level: 0, at: 0 }
    return Math.max(0, level - (this.now() - at) / 60_000 * most)
  }

  private left (key: string, most: number): number { return Math.max(0, (this.levelOf(key, most) - most + 1) * 60 / most) }
}

function touch<T> (map: Map<string, T>, key: string, value: T): void {
  map.delete(key)
  map.set(key, value)
  if (map.size > KNOWN) map.delete(map.keys().next().value!)
}

const pairOf = (address: string, name: string): string => `${networkOf(address)} ${name.slice(0, LONGEST)}`

/** What is taken for one: an IPv4 address, also as ::ffff:a.b.c.d; the first 64 bits of an IPv6 address. */
export function networkOf (address: string): string {
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? []
  if (mapped !== undefined) return mapped
  if (!isIPv6(address)) return address
  const [before, after] = address.replace(/%.*$/, '').split('::').map(part => part === '' ? [] : part.split(':')) as [string[], string[]?]
  const groups = after === undefined ? before : [...before, ...Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0'), ...after]
  return `${groups.slice(0, 4).map(group => group.replace(/^0+(?=.)/, '').toLowerCase()).join(':')}::/64`
}
