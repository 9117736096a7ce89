/* oxlint-disable typescript/unbound-method -- methods are put into others here, which call them with their own this */
/**
 * Preloaded (--import) into an engine that is to die at a named point: MILLRACE_FAILPOINT=<point>:<how-manieth passing>. It wraps
 * methods of the engine from outside, so that the engine knows nothing of it and pays nothing for it. The log's segments are small
 * and snapshots frequent, so that every point is passed soon.
 */
import { promises, type PathLike } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { ServerResponse } from 'node:http'
import { Checkpoints } from '../../engine/checkpoint.ts'
import { disk } from '../../engine/files.ts'
import { Wal } from '../../engine/wal.ts'
import { RedisKeys } from '../../connectors/redis-keys.ts'
import { PostgresStore } from '../../sinks/postgres-store.ts'
import { Session } from '../../sinks/postgres-session.ts'

const SEGMENT = 48 * 1024            // bytes
const SNAPSHOTS = 300                // ms between them

const [point, nth] = (process.env.MILLRACE_FAILPOINT ?? ':0').split(':')
let passed = 0

/** Here the process ends, if it is to. */
function pass (name: string): void {
  if (name !== point || ++passed < Number(nth)) return
  process.kill(process.pid, 'SIGKILL')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}

const before = <A extends unknown[], R>(method: (...args: A) => R, here: (...args: A) => string | undefined) => function (this: unknown, ...args: A): R {
  const name = here.call(this, ...args)
  if (name !== undefined) pass(name)
  return method.apply(this, args)
}
const after = <A extends unknown[], R>(method: (...args: A) => Promise<R>, here: (...args: A) => string | undefined) => async function (this: unknown, ...args: A): Promise<R> {
  const result = await method.apply(this, args)
  const name = here.call(this, ...args)
  if (name !== undefined) pass(name)
  return result
}

/** Puts `around` in the place of a method. */
function wrap<T extends object, K extends keyof T> (owner: T, method: K, around: (original: T[K]) => T[K]): void { owner[method] = around(owner[method]) }

// the log
const open = Wal.open.bind(Wal)
Wal.open = (folder, options, signal) => open(folder, { ...options, segment: SEGMENT, durable: upTo => { options.durable?.(upTo); pass('log.told') } }, signal)

const { open: openFile, unlink, writeFile, rename } = promises
const segments = new WeakSet<FileHandle>()
const isSegment = (path: PathLike) => /\/\d{16}\.log$/.test(String(path))
const isKeys = (path: unknown) => /\/keys(?:\.new)?$/.test(String(path))
promises.open = async (path, ...rest) => {
  const handle = await openFile(path, ...rest)
  if (isSegment(path)) segments.add(handle)
  return handle
}
promises.unlink = after(unlink, path => isSegment(path) ? 'log.dropped' : undefined)
promises.writeFile = after(writeFile, path => isKeys(path) ? 'keys.written' : undefined) as typeof writeFile
promises.rename = after(rename, path => isKeys(path) ? 'keys.renamed' : undefined)
syncBuiltinESMExports()
Object.assign(disk, { open: promises.open, unlink: promises.unlink, writeFile: promises.writeFile, rename: promises.rename })       // it has taken them already
const some = await openFile('/dev/null')
const files = Object.getPrototypeOf(some) as { write: (...args: any[]) => Promise<any>, datasync: () => Promise<void> }
await some.close()
files.write = after(files.write, function (this: FileHandle, _bytes, _from, _length, at) { return segments.has(this) ? at === 0 ? 'log.segment' : 'log.written' : undefined })
files.datasync = after(files.datasync, function (this: FileHandle) { return segments.has(this) ? 'log.synced' : undefined })

// the commit
const isEnd = (sql: string) => sql.endsWith(' COMMIT')
wrap(Session.prototype, 'script', script => after(before(function (this: Session, sql: string) {
  const sent = script.call(this, sql)
  if (isEnd(sql)) setImmediate(() => pass('commit.sent'))
  return sent
}, sql => isEnd(sql) ? 'commit.ready' : undefined), sql => isEnd(sql) ? 'commit.done' : sql.startsWith('BEGIN; UPDATE checkpoint') ? 'commit.begun' : undefined))
wrap(Session.prototype, 'copyScript', script => after(before<Parameters<Session['copyScript']>, Promise<boolean>>(function (this: unknown, ...args) {
  const sent = script.apply(this, args)
  setImmediate(() => pass('commit.sent'))
  return sent
}, () => 'commit.ready'), () => 'commit.done'))
wrap(Session.prototype, 'copy', copy => after(copy, sql => sql.startsWith('COPY snapshot_pages') ? 'commit.pages' : 'commit.copied'))
wrap(Session.prototype, 'query', query => after(query, sql => sql.includes('INSERT INTO alerts ') ? 'commit.alerts' : sql.startsWith('INSERT INTO snapshots') ? 'commit.snapshot' : undefined) as typeof query)

// what becomes of an alert
wrap(PostgresStore.prototype, 'settle', settle => before(settle, (_, { state }) => state === 'delivered' ? 'alert.sent' : undefined))

// keys that instances share, of a source without a path
wrap(RedisKeys.prototype, 'reserve', reserve => after(reserve, space => space === '' ? 'key.reserved' : undefined))
wrap(RedisKeys.prototype, 'take', take => after(before(take, space => space === '' ? 'key.taking' : undefined), space => space === '' ? 'key.taken' : undefined))

// the answer to a request
const isTaken = (response: ServerResponse) => response.statusCode === 202
wrap(ServerResponse.prototype, 'end', end => function (this: ServerResponse, ...args: any[]) {
  if (isTaken(this)) pass('reply.ready')
  const result = (end as (...args: any[]) => ServerResponse).apply(this, args)
  if (isTaken(this)) pass('reply.sent')
  return result
} as typeof end)

let last = performance.now()
wrap(Checkpoints.prototype, 'due', due => function (this: Checkpoints, crowded) {
  if (this.isUnderWay || performance.now() - last < SNAPSHOTS) return due.call(this, crowded)
  last = performance.now()
  return true
})
