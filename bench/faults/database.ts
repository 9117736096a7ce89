/** The database: it crashes, it ends connections, and what became of a commit is not known. */
import { setTimeout as sleep } from 'node:timers/promises'
import { uniform } from '../kill/readings.ts'
import { Stage } from '../kill/stage.ts'
import { query } from '../services.ts'
import { figuresOf } from './kills.ts'
import { exact, unless, type Bench, type Report, type Row } from './row.ts'

export const UNKNOWN = 'the outcome of a commit was unknown and is settled'
const COMMIT_TAKES = 30_000          // us that the server waits in COMMIT, so that faults meet it there

/**
 * Faults at random moments of the load. With commit_delay the server spends most of its time in COMMIT: without that hardly any
 * fault would leave a commit whose outcome nobody knows.
 */
async function crash ({ rounds, progress, seed, say, signal, closing, server }: Bench): Promise<Report> {
  const database = await server()
  await query(database.url, `ALTER SYSTEM SET commit_delay = ${COMMIT_TAKES}`)
  await query(database.url, 'ALTER SYSTEM SET commit_siblings = 0')
  await query(database.url, 'SELECT pg_reload_conf()')
  closing.push(async () => {
    await query(database.url, 'ALTER SYSTEM RESET ALL')
    await query(database.url, 'SELECT pg_reload_conf()')
  })
  const stage = await Stage.open({ source: 'mqtt', seed, series: 64, rate: 800, server: database }, say, signal, closing)
  const life = await stage.begin(), name = new URL(stage.database).pathname.slice(1)
  let crashes = 0, terminations = 0
  for (let k = 0; k < rounds; k++) {
    progress(`round ${k + 1} of ${rounds}`)
    await sleep(100 + 400 * uniform(seed, k, 1), undefined, { signal })
    if (k % 4 === 3) {
      await database.crash()
      crashes++
      await sleep(500 * uniform(seed, k, 2), undefined, { signal })
      await database.start()
    } else terminations += await database.terminate(name)
    await stage.progress()
  }
  const outcome = await stage.finish()
  const unknown = life.times(UNKNOWN)
  return {
    figures: { crashes, terminated: terminations, commit_unknown: unknown, ...figuresOf(outcome) },
    wrong: [...exact(outcome), ...unless(unknown > 0, 'no commit was left with an unknown outcome: the faults show nothing'), ...unless(terminations > 0, 'no connection was ended')]
  }
}

export const database: readonly Row[] = [{
  id: 'K9', name: 'the database crashes, and ends connections', fault: 'pg_terminate_backend, every fourth time pg_ctl stop -m immediate and a start, under load', expected: 'tried again; every commit with an unknown outcome is settled by reading',
  tiers: { commit: 8, nightly: 100, release: 200 },
  run: crash
}]
