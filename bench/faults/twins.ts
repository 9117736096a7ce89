/** Two engines for one pipeline: the first was taken for dead, and was not. */
import { spawnSync } from 'node:child_process'
import { cpSync, readdirSync, rmSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { uniform } from '../kill/readings.ts'
import { fixedPort } from '../kill/source.ts'
import { Stage } from '../kill/stage.ts'
import { query } from '../services.ts'
import { over } from './inside.ts'
import { figuresOf } from './kills.ts'
import { exact, percentiles, Skipped, unless, type Bench, type Report, type Row } from './row.ts'

/** Says of every move of the checkpoint who made it. */
const AUDIT = `
  CREATE TABLE audit (id bigserial, who text, partition int, epoch bigint, version bigint);
  CREATE FUNCTION audited () RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO audit (who, partition, epoch, version) VALUES (current_setting('application_name'), NEW.partition, NEW.epoch, NEW.version); RETURN NULL; END $$;
  CREATE TRIGGER audited AFTER UPDATE ON checkpoint FOR EACH ROW EXECUTE FUNCTION audited ()`
/** Moves by whoever was not the owner any more. */
const STALE = `SELECT count(*)::int AS stale FROM audit a WHERE EXISTS (SELECT FROM audit b WHERE b.partition = a.partition AND b.id < a.id AND b.who > a.who)`
const OVERTAKEN = 40_000             // ms without a sign of life: as old as a lock must be for another host to take it
const OUT = 15_000                   // ms

/**
 * The first is stopped, the second takes over and commits, the first goes on: it must find out before it does any harm. `elsewhere`:
 * the second has the same log, from another host, to which the first seems silent. Otherwise it has a copy of that log: then what the
 * first still hears before it finds out goes to a log that nobody reads, and only the store protects it.
 */
async function twins ({ rounds, progress, seed, stretch, say, signal, closing, server }: Bench, elsewhere: boolean): Promise<Report> {
  if (spawnSync('unshare', ['--uts', 'true']).status !== 0) throw new Skipped('this user may not have a host name of its own: unshare --uts')
  const stage = await Stage.open({
    source: 'mqtt', seed, series: 64, rate: 800, server: await server(),
    change: pipeline => JSON.parse(JSON.stringify(pipeline).replaceAll('{"postgres":{', '{"postgres":{"statementTimeout":"3s",'))
  }, say, signal, closing)
  const named = (n: number) => { const url = new URL(stage.database); url.searchParams.set('application_name', `life-${1000 + n}`); return url.href }
  let folder = join(stage.folder, 'engine'), life = await stage.begin({ database: named(0), folder })
  await query(stage.database, AUDIT)
  const ended: number[] = [], exits = { fenced: 0, overtaken: 0 }, wrong: string[] = []
  for (let k = 0; k < rounds; k++) {
    progress(`round ${k + 1} of ${rounds}`)
    await sleep(500 * uniform(seed, k), undefined, { signal })
    const first = life
    first.child.kill('SIGSTOP')
    if (elsewhere) for (const lock of locks(folder)) utimesSync(lock, new Date(Date.now() - OVERTAKEN), new Date(Date.now() - OVERTAKEN))
    else {
      const before = folder
      folder = join(stage.folder, `engine-${k}`)
      stage.archive.turn(join(folder, 'log'))
      cpSync(before, folder, { recursive: true })
      for (const lock of locks(folder)) rmSync(lock)
    }
    life = await stage.again({ database: named(k + 1), folder, http: await fixedPort(), through: elsewhere ? ['unshare', '--uts', 'sh', '-c', 'hostname "$0" && exec "$@"', `millrace-${k}`] : [] })
    await stage.progress()
    first.child.kill('SIGCONT')
    const began = performance.now()
    await over(first, `the first ends by itself, in round ${k}`, signal, 60_000)
    ended.push(performance.now() - began)
    if (first.child.exitCode === 9) exits.fenced++
    else if (elsewhere && /another process has taken over/.test(first.log)) exits.overtaken++
    else wrong.push(`the first ended with ${first.child.exitCode ?? first.child.signalCode}: ${first.log.slice(-500)}`)
    await stage.progress()
  }
  const [{ stale }] = await query(stage.database, STALE)
  const { lost, ...outcome } = await stage.finish(), apart = elsewhere ? 0 : lost, slowest = Math.round(Math.max(...ended))
  return {
    figures: { rounds, stale_commits: stale, ...exits, ended_ms: percentiles(ended), ...figuresOf({ ...outcome, lost: lost - apart }), ...elsewhere ? {} : { lost_in_copies: apart } },
    wrong: [...wrong, ...exact({ ...outcome, lost: lost - apart }), ...unless(stale === 0, `${stale} moves of the checkpoint by who had lost it`), ...unless(exits.fenced > 0, 'none was fenced by the store'), ...unless(slowest <= OUT * stretch, `the first ended only after ${slowest} ms`)]
  }
}

const locks = (folder: string): string[] => (readdirSync(folder, { recursive: true }) as string[]).filter(name => /(^|\/)lock$/.test(name)).map(name => join(folder, name))

export const twinRows: readonly Row[] = [
  {
    id: 'K12', name: 'two engines for one pipeline and one log', fault: 'SIGSTOP of the first for longer than its lock is good for, a second on another host takes over, SIGCONT', expected: 'the first ends, fenced (exit code 9) or told by the log; no commit by it any more; nothing lost, nothing twice',
    tiers: { nightly: 20, release: 200 },
    run: bench => twins(bench, true)
  },
  {
    id: 'K12copy', name: 'two engines for one pipeline, the second with a copy of the log', fault: 'SIGSTOP of the first, a second takes over, SIGCONT', expected: 'the first is fenced (exit code 9); no commit by it any more; what it heard meanwhile is counted',
    tiers: { nightly: 20, release: 200 },
    run: bench => twins(bench, false)
  }
]
