/**
 * Completes package-lock.json: an optional dependency for another platform that the registry did not know when the lock was
 * made is missing there, and `npm ci` refuses such a lock. Its entry needs the version and the platform only.
 * Run after every `npm install` that changes the lock: `npm run lock`.
 */
import { readFileSync, writeFileSync } from 'node:fs'

const PLATFORM = /(aix|android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32)-(arm64|arm|ia32|loong64|mips64el|ppc64|riscv64|s390x|x64)(?:-(gnu|musl))?/

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'))
const added: Record<string, unknown> = {}
for (const { dev, optionalDependencies } of Object.values<any>(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies ?? {})) {
    const [, os, cpu, libc] = PLATFORM.exec(name) ?? []
    if (lock.packages[`node_modules/${name}`] !== undefined || os === undefined) continue
    added[`node_modules/${name}`] = { version, cpu: [cpu], ...dev && { dev }, ...libc && { libc: [libc === 'gnu' ? 'glibc' : libc] }, optional: true, os: [os] }
  }
}
lock.packages = Object.fromEntries(Object.entries({ ...lock.packages, ...added }).sort(([a], [b]) => a.localeCompare(b, 'en')))
writeFileSync('package-lock.json', `${JSON.stringify(lock, null, 2)}\n`)
console.log(`${Object.keys(added).length} entries added`)
