import { disk, type FileSystem } from '../../engine/files.ts'
import type { FileHandle } from 'node:fs/promises'

/** The real file system, which waits or refuses when a test says so. */
export class Disk {
  full = false                       // there is no room: writing fails
  private writes = Infinity          // until it is
  syncs = 0                          // of records, that are done
  readonly fs: FileSystem
  private held: Promise<void> | undefined
  private go = () => {}

  constructor () {
    this.fs = {
      ...disk,
      open: async (...args) => {
        if (this.full && args[1] === 'wx') throw noSpace()
        return this.handle(await disk.open(...args))
      }
    }
  }

  /** There is room for so many writes. */
  fullAfter (writes: number): void { this.writes = writes }
  room (): void {
    this.full = false
    this.writes = Infinity
  }

  /** Nothing becomes durable from now on. */
  hold (): void { this.held ??= new Promise(resolve => { this.go = resolve }) }

  release (): void {
    this.held = undefined
    this.go()
  }

  private handle (real: FileHandle): FileHandle {
    return new Proxy(real, {
      get: (handle, key: keyof FileHandle) => {
        if (key === 'write') return async (...args: Parameters<FileHandle['write']>) => {
          if (this.writes-- <= 0) this.full = true
          if (this.full) throw noSpace()
          return await handle.write(...args)
        }
        if (key === 'datasync') return async () => {
          await this.held
          await handle.datasync()
          this.syncs++
        }
        const value: unknown = handle[key]
        return typeof value === 'function' ? value.bind(handle) : value
      }
    })
  }
}

const noSpace = (): Error => Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
