import { readFileSync, statSync } from 'node:fs'
import { CREDENTIALS, devicesOf, guesses, MillraceError, passwordDigest, sameDigest, type Device } from '#engine'

const NOBODY = passwordDigest('')

/**
 * Who may publish what on the embedded broker, by a file: see engine/credentials.ts. It needs no database, so devices can connect
 * while there is none, and it is read anew when it has changed.
 */
export class Access {
  private readonly file: string
  private readonly strict: boolean
  private devices = new Map<string, Device>()
  private stamp = ''

  /** Throws config/invalid, with the line, for a file that is not such a table; usage/file for one that cannot be read; `strict`: config/weak-secret for a password that is tried first. */
  constructor (file: string, strict = false) {
    this.file = file
    this.strict = strict
    this.refresh()
  }

  /** Reads the file when it is another than before; throws as the constructor does, and then all is as before. Returns whether it was. */
  refresh (): boolean {
    let text: string, stamp: string
    try {
      const { mtimeMs, size, ino } = statSync(this.file)
      stamp = `${mtimeMs} ${size} ${ino}`
      if (stamp === this.stamp) return false
      text = readFileSync(this.file, 'utf8')
    } catch (cause) {
      throw new MillraceError('usage/file', `broker: the credentials ${this.file} cannot be read: ${(cause as Error).message}`, { help: CREDENTIALS, cause })
    }
    this.stamp = stamp                 // what is wrong with it is said once
    const devices = devicesOf(text, this.file)
    if (this.strict) for (const { username, digest } of devices.values()) {
      if (digest !== undefined && guesses(username).some(guess => passwordDigest(guess).equals(digest))) throw new MillraceError('config/weak-secret', `broker: the password of "${username}" in ${this.file} is one of those that are tried first`, { help: 'millrace devices add makes another' })
    }
    this.devices = devices
    return true
  }

  /**
   * The device, when it is one: by `certified`, the common name of a certificate that was verified, or by password. What is
   * unknown costs as much as what is wrong.
   */
  admit (username: string | undefined, password: Uint8Array | undefined, certified: string | undefined): Device | undefined {
    if (certified !== undefined) return username === undefined || username === certified ? this.devices.get(certified) : undefined
    const device = this.devices.get(username ?? ''), same = sameDigest(passwordDigest(password ?? ''), device?.digest ?? NOBODY)
    return same && password !== undefined && device?.digest !== undefined ? device : undefined
  }

  /** Whether a device that was admitted still is what it was. */
  isCurrent ({ username, digest, topics }: Device): boolean {
    const now = this.devices.get(username)
    return now !== undefined && now.topics.join(' ') === topics.join(' ') && (now.digest === undefined ? digest === undefined : digest?.equals(now.digest) === true)
  }
}

const KNOWN = 1000                   // topics of a device that are remembered as its own
const own = new WeakMap<Device, Set<string>>()

/** Whether everything that `topic`, or a filter, stands for is within one of the filters of the device. A device publishes to few topics, again and again: those cost one look into a Set. */
export function mayUse (device: Device, topic: string): boolean {
  let known = own.get(device)
  if (known === undefined) own.set(device, known = new Set())
  if (known.has(topic)) return true
  const levels = topic.split('/'), may = device.topics.some(filter => covers(filter.split('/'), levels))
  if (may && known.size < KNOWN) known.add(topic)
  return may
}

function covers (filter: readonly string[], topic: readonly string[]): boolean {
  for (let i = 0; i < filter.length; i++) {
    if (filter[i] === '#') return true
    if (i >= topic.length || topic[i] === '#' || (filter[i] !== '+' && filter[i] !== topic[i])) return false
  }
  return filter.length === topic.length
}
