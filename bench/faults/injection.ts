/** B11: names that are SQL, COPY, CSV, subjects and control lines. */
import { rmSync } from 'node:fs'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import fc from 'fast-check'
import { startNats } from '../../test/support/nats.ts'
import { Publisher } from '../publisher.ts'
import { temporary, until } from '../services.ts'
import { Plane } from './plane.ts'
import { unless, type Bench, type Report } from './row.ts'

const TOKENS = ["'", '"', '`', '\\', '\\.', '\\N', '\t', '\n', '\r', '\r\n', ';', '--', '/*', '*/', '$1', '$$', "' OR '1'='1", "'; DROP TABLE readings; --", '"; DROP TABLE series; --', '1=1', 'COPY', '\r\nPUB owned 4\r\nevil\r\n', '\r\nSUB > 1\r\n', '.', '>', '*', ' ', '%', '%2e', '%00', '~', ',', '=', ',a=b c=1i 1\n', '{device}', '{{', '${x}', '<script>', '../..', '@', ':', '\u00e9', '\u{1f4a9}', '\u202e', '\ufeff', '\u2028', 'A'.repeat(60), '__proto__', 'constructor', 'NULL', 'nan']
const name = fc.array(fc.oneof(fc.constantFrom(...TOKENS), fc.string({ maxLength: 4 })), { minLength: 1, maxLength: 4 }).map(parts => parts.join('').replaceAll('\0', '')).filter(text => text.trim() !== '' && !/\p{Surrogate}/u.test(text) && Buffer.byteLength(text) <= 200)
const inTopic = (text: string): boolean => !/[+#/$\0]/.test(text)
const HOLDS = 500                    // readings of a request
/** What no name may have in it: refused as a dead letter. All else is to arrive to the letter. */
const isRefused = (text: string): boolean => /[\p{Cc}\ufeff+#]/u.test(text) || ['__proto__', 'constructor', 'prototype'].includes(text)

interface Named { readonly tenant: string, readonly device: string, readonly metric: string }
const shown = ({ tenant, device, metric }: Named): string => JSON.stringify([tenant, device, metric])

export async function injected (bench: Bench): Promise<Report> {
  const { rounds, seed, closing, signal } = bench, folder = temporary('faults-nats'), server = await startNats({ args: ['-js', '-sd', folder] })
  closing.push(async () => { await server.stop(); rmSync(folder, { recursive: true, force: true }) })
  const connection = await connect({ servers: server.url })
  closing.push(() => connection.close())
  const jsm = await jetstreamManager(connection)
  await jsm.streams.add({ name: 'ROWS', subjects: ['rows.>'] })
  let strange = 0
  const ours = /^(rows\.|\$JS\.|_INBOX\.)/
  connection.subscribe('>', { callback: (_, message) => { if (!ours.test(message.subject)) strange++ } })

  const all = fc.sample(fc.record({ tenant: fc.oneof(fc.constant('acme'), name), device: name, metric: name }), { seed, numRuns: rounds * 100 }), distinct = [...new Map(all.map(n => [shown(n), n])).values()]
  const plane = await Plane.open(bench, { more: [{ nats: { servers: server.url, stream: 'ROWS' } }], args: ['--max-series', String(2 * distinct.length + 1000)] }), { key } = await plane.key(null)
  const tables = async () => JSON.stringify(await plane.rows("SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace AND NOT relispartition AND relkind <> 'i' ORDER BY 1"))
  const before = await tables()

  // by topic, where MQTT allows such a name, and by request
  const topics = distinct.filter(n => Object.values(n).every(inTopic)), publisher = await Publisher.connect(plane.port)
  for (const n of topics) { publisher.publish(`${n.tenant}/${n.device}/${n.metric}`, '1', 1); await publisher.atMost(500) }
  await publisher.atMost(0)
  await publisher.close()
  const wrong: string[] = [], refused: string[] = [], tenants = new Map<string, Named[]>()
  for (const n of distinct) {
    const names = tenants.get(n.tenant)
    if (names === undefined) tenants.set(n.tenant, [n])
    else names.push(n)
  }
  let taken = 0, came = 0             // readings in requests; and what they count as: a request of a tenant that cannot be is one
  for (const [tenant, names] of tenants) {
    for (let i = 0; i < names.length; i += HOLDS) {
      signal.throwIfAborted()
      const part = names.slice(i, i + HOLDS), { status, body } = await plane.ask('POST', `/api/v1/ingest?tenant=${encodeURIComponent(tenant)}`, { key, body: part.map(({ device, metric }) => ({ device, metric, value: 2 })) })
      if (status === 202) { taken += part.length; came += isRefused(tenant) ? 1 : part.length }
      else if (status === 400) refused.push(`${JSON.stringify(tenant)}: ${body.slice(0, 200)}`)
      else wrong.push(`${status} for ${JSON.stringify(tenant)}: ${body.slice(0, 200)}`)
    }
  }
  const settled = async (pipeline: string) => (await plane.rows("SELECT received::float8, dead_lettered::float8 AS dead FROM counts WHERE branch = '' AND pipeline = $1", [pipeline]))[0] ?? { received: 0, dead: 0 }
  await until('all is settled', async () => (await settled('p')).received >= topics.length && (await settled('h')).received >= came, 120_000)
  const [{ dead }, { dead: deadH }] = [await settled('p'), await settled('h')]

  // each name is there, to the letter, with one row for each way it came
  const rows = await plane.rows('SELECT tenant, device, metric, count(*)::int AS n, sum(value)::float8 AS sum FROM (SELECT * FROM (SELECT tenant, device, metric, value FROM readings_named) p UNION ALL SELECT tenant, device, metric, value FROM posted_named) r GROUP BY 1, 2, 3')
  const found = new Set(rows.map(row => shown(row as Named))), sent = new Set(distinct.map(shown))
  const foreign = [...found].filter(text => !sent.has(text)), good = (n: Named) => !Object.values(n).some(isRefused), missing = distinct.filter(n => good(n) && !found.has(shown(n))).map(shown), odd = distinct.filter(n => !good(n) && found.has(shown(n))).map(shown)
  if (foreign.length > 0) wrong.push(`${foreign.length} names that nobody sent: ${foreign.slice(0, 3).join(' ')}`)
  if (missing.length > 0) wrong.push(`${missing.length} names are not there: ${missing.slice(0, 3).join(' ')}`)
  if (odd.length > 0) wrong.push(`${odd.length} names that should have been refused: ${odd.slice(0, 3).join(' ')}`)
  if (await tables() !== before) wrong.push('tables have changed')

  // as subjects, and in an export
  await until('the stream has all', async () => (await jsm.streams.info('ROWS')).state.messages >= topics.length - dead, 120_000)
  const { state } = await jsm.streams.info('ROWS')
  const csv = await plane.ask('GET', '/api/v1/tables/posted/export?format=ndjson&columns=value', { key }), lines = csv.body.trim().split('\n').map(line => shown(JSON.parse(line) as Named))
  if (lines.length !== came - deadH || lines.some(line => !sent.has(line))) wrong.push(`the export has ${lines.length} rows for ${came - deadH}, or names that nobody sent`)
  return {
    figures: { names: distinct.length, by_topic: topics.length, by_request: taken, requests_refused: refused.length, dead_letters: dead + deadH, rows: rows.length, messages: state.messages, foreign_subjects: strange },
    wrong: [...wrong, ...unless(strange === 0, `${strange} messages on subjects that are not ours`), ...unless(taken > distinct.length / 4, `only ${taken} of ${distinct.length} were taken by request: ${refused[0]}`)]
  }
}
