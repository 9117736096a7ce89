import { timingSafeEqual } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { CREDENTIALS, devicesOf, MillraceError, passwordDigest, type Device } from '#engine'

const NOBODY = passwordDigest('')

/**
 * Who may publish what on the embedded broker, by a file: see engine/credentials.ts. It needs no database, so devices can connect
 * while there is none, and it is read anew when it has changed.
 */
export class Access {
  private readonly file: string
  private devices = new Map<string, Device>()
  private stamp = ''

  /** Throws config/invalid, with the line, for a file that is not such a table; usage/file for one that cannot be read. */
  constructor (file: string) {
    this.file = file
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
    this.devices = devicesOf(text, this.file)
    return true
  }

  /**
   * The device, when it is one: by `certified`, the common name of a certificate that was verified, or by password. What is
   * unknown costs as much as what is wrong.
   */
  admit (username: string | undefined, password: Uint8Array | undefined, certified: string | undefined): Device | undefined {
    if (certified !== undefined) return username === undefined || username === certified ? this.devices.get(certified) : undefined
    const device = this.devices.get(username ?? ''), same = timingSafeEqual(passwordDigest(password ?? ''), device?.digest ?? NOBODY)
    return same && password !== undefined && device?.digest !== undefined ? device : undefined
  }

  /** Whether a device that was admitted still is what it was. */
  isCurrent ({ username, digest, topics }: Device): boolean {
    const now = this.devices.get(username)
    return now !== undefined && now.topics.join(' ') === topics.join(' ') && (now.digest === undefined ? digest === undefined : digest?.equals(now.digest) === true)
  }
}

/** Whether everything that `topic`, or a filter, stands for is within one of the filters of the device. */
export const mayUse = ({ topics }: Device, topic: string): boolean => topics.some(filter => covers(filter.split('/'), topic.split('/')))

function covers (filter: readonly string[], topic: readonly string[]): boolean {
  for (let i = 0; i < filter.length; i++) {
    if (filter[i] === '#') return true
    if (i >= topic.length || topic[i] === '#' || (filter[i] !== '+' && filter[i] !== topic[i])) return false
  }
  return filter.length === topic.length
}
