import t from 'tap'
import { Writable } from 'node:stream'
import pg from 'pg'
import { pino } from 'pino'
import { Transient } from '#engine'
import { Session } from '../../sinks/postgres-session.ts'
import { until } from '../support/journal.ts'
import { freshDatabase, quiet, rowsOf } from '../support/postgres.ts'
import { openProxy, type Fate, type Proxy } from '../support/proxy.ts'
import { alertEvent, batchOf, Opened, table } from '../support/store.ts'

const ROWS = 50

/** A store behind a proxy, with what it logs. */
async function behind (t: Tap, timeout = '30s') {
  const url = (await freshDatabase(t))!
  const { hostname, port } = new URL(url)
  const proxy = await openProxy(hostname, Number(port))
  const far = new URL(url)
  far.port = `${proxy.port}`
  const lines: any[] = []
  const log = pino(new Writable({ write: (line, _encoding, done) => { lines.push(JSON.parse(line)); done() } }))
  const o = await new Opened(far.href, [table('readings', 'readings', [], { statementTimeout: timeout })], undefined, 'p', log).open()
  t.teardown(async () => { proxy.fate = () => 'pass'; await o.store.close(); await proxy.close() })
  return { url, far: far.href, proxy, o, lines, settled: () => lines.filter(l => 'committed' in l).map(l => l.committed as boolean) }
}

const nth = (o: Opened, n: number) => ({ ...o.write('readings', batchOf(o.series, Array.from({ length: ROWS }, (_, i) => [`d${i % 7}`, 'm', n * ROWS + i, n] as const))), position: n, alerts: [{ event: alertEvent(`${n}`), receivers: ['hook'] }] })

/** As the run loop does: the same commit again while its failure is transient. */
async function insist (o: Opened, n: number): Promise<number> {
  for (let tries = 0; ; tries++) {
    try {
      await o.commit(nth(o, n))
      return tries
    } catch (error) {
      if (!(error instanceof Transient) || tries > 50) throw error
    }
  }
}

const once = (proxy: Proxy, match: string, fate: Fate) => {
  let done = false
  proxy.fate = bytes => {
    if (done || !bytes.includes(match)) return 'pass'
    done = true
    return fate
  }
}

async function ledger (t: Asserts, url: string, commits: number): Promise<void> {
  t.strictSame(await rowsOf(url, 'SELECT count(*)::int AS rows, count(DISTINCT (series, time))::int AS keys, (SELECT count(*)::int FROM alerts) AS alerts, (SELECT count(*)::int FROM alert_outbox) AS outbox FROM readings'),
    [{ rows: commits * ROWS, keys: commits * ROWS, alerts: commits, outbox: commits }])
  t.strictSame(await rowsOf(url, 'SELECT version::int, position::int FROM checkpoint ORDER BY checkpoint.version DESC LIMIT 1'), [{ version: commits, position: commits }])
}

t.test('a commit whose answer is lost is found to have been done, and not done again', async t => {
  const { url, proxy, o, settled } = await behind(t)
  await insist(o, 1)
  once(proxy, 'COMMIT', 'mute')
  t.equal(await insist(o, 2), 0)
  t.strictSame(settled(), [true])
  await insist(o, 3)
  await ledger(t, url, 3)
})

t.test('a commit that never reached the database is found not to have been done, and done again', async t => {
  const { url, proxy, o, settled } = await behind(t)
  await insist(o, 1)
  once(proxy, 'COMMIT', 'cut')
  t.equal(await insist(o, 2), 1)
  t.strictSame(settled(), [false])
  await insist(o, 3)
  await ledger(t, url, 3)
})

t.test('a network that has died without a word is noticed, in a commit and before it', async t => {
  const { url, proxy, o, settled } = await behind(t, '500ms')
  await insist(o, 1)
  for (const [n, [match, fate]] of ([['COMMIT', 'hole'], ['COMMIT', 'mute-hole'], ['PGCOPY', 'hole'], ['BEGIN', 'mute-hole']] as const).entries()) {
    once(proxy, match, fate)
    await insist(o, n + 2)
  }
  t.strictSame(settled(), [false, true])
  await ledger(t, url, 5)
})

t.test('a pipeline taken over while the outcome is unknown is fenced, though the version is as if the commit had been done', async t => {
  const { url, proxy, o } = await behind(t)
  await insist(o, 1)
  let other: Promise<Opened> | undefined
  proxy.fate = bytes => {
    if (other === undefined && bytes.includes('COMMIT')) {
      other = new Opened(url, [table('readings', 'readings')]).open()
      return 'cut'
    }
    return bytes.includes('FOR UPDATE') && !moved ? 'cut' : 'pass'
  }
  let moved = false
  const failed = t.rejects(insist(o, 2), { code: 'store/fenced' })
  while (other === undefined) await new Promise(resolve => setTimeout(resolve, 5))
  const owner = await other
  t.teardown(() => owner.store.close())
  await insist(owner, 2)
  moved = true
  await failed
  await ledger(t, url, 2)
})

t.test('backends killed at any moment lose nothing and double nothing', async t => {
  const { url, o, settled } = await behind(t)
  let working = true, killed = 0
  const killer = (async () => {
    while (working) {
      await new Promise(resolve => setTimeout(resolve, 3 + (killed * 7) % 11))
      const rows = await rowsOf(url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'millrace' AND datname = current_database() AND state <> 'idle'`)
      killed += rows.length
    }
  })()
  let tries = 0
  for (let n = 1; n <= 150; n++) tries += await insist(o, n)
  working = false
  await killer
  t.comment(`${killed} backends killed, ${tries} commits tried again, ${settled().length} of unknown outcome`)
  t.ok(tries > 0)
  await ledger(t, url, 150)
})

t.test('the outbox does not wait behind a commit, and comes back after its connection was lost', async t => {
  const { url, o } = await behind(t)
  await insist(o, 1)
  const client = new pg.Client(url)
  await client.connect()
  await client.query('BEGIN; LOCK TABLE readings IN SHARE MODE')
  let committed = false
  const commit = insist(o, 2).then(() => { committed = true })
  t.equal((await o.store.due(10, 1e12)).length, 1)
  t.notOk(committed)
  await client.query('COMMIT')
  await Promise.all([client.end(), commit])
  await rowsOf(url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'millrace' AND datname = current_database()`)
  await until(() => o.store.trouble() !== undefined)
  t.match(o.store.trouble(), /:\/\/postgres@127\.0\.0\.1:\d+\/.*(terminat|end)/)
  t.equal((await o.store.due(10, 1e12)).length, 1)
  await insist(o, 3)
  t.equal(o.store.trouble(), undefined)
})

t.test('a database that is not there at the start is waited for, and named', async t => {
  const url = (await freshDatabase(t))!
  const { hostname, port } = new URL(url)
  const proxy = await openProxy(hostname, Number(port))
  t.teardown(() => proxy.close())
  proxy.fate = () => 'cut'
  const far = new URL(url)
  far.port = `${proxy.port}`
  far.password = 'secret'
  const o = new Opened(far.href, [table('readings', 'readings')])
  const opening = o.open()
  await until(() => o.store.trouble()?.includes(`:${proxy.port}/`) === true)
  t.match(o.store.trouble(), new RegExp(`postgres:\\*\\*\\*@127.0.0.1:${proxy.port}/\\w+: .`))
  proxy.fate = () => 'pass'
  await opening
  t.equal(o.store.trouble(), undefined)
  await o.commit()
  await o.store.close()
  await t.rejects(o.commit(), Transient)
  proxy.fate = () => 'cut'
  const stop = new AbortController()
  const given = t.rejects(new Opened(far.href, [table('readings', 'readings')], undefined, 'p', quiet).open(stop.signal), { code: 'store/unreachable', message: /\*\*\*/ })
  stop.abort()
  await given
})

type Tap = Pick<typeof t, 'teardown' | 'comment'>
type Asserts = Pick<typeof t, 'strictSame'>

t.test('rows that cannot be encoded are an error of their script, and the connection goes on', async t => {
  const url = (await freshDatabase(t))!, session = await Session.connect(url, 20_000)
  t.teardown(() => session.close())
  await session.query('CREATE TABLE r (x integer)')
  const script = (rows: () => Iterable<Uint8Array>) => session.copyScript('BEGIN; COPY r FROM STDIN; COMMIT', [rows], () => true)
  await t.rejects(script(function* () { yield Buffer.from('1\n'); throw new Error('planted') }), { message: 'planted' })
  await session.rollback()
  t.equal(await script(() => [Buffer.from('2\n')]), true)
  t.strictSame(await rowsOf(url, 'SELECT x FROM r'), [{ x: 2 }])
})
