/** B11: names that are SQL, COPY, CSV, subjects and control lines. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
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
const PART = 20_000, OF_TENANT = 10  // names that are made at once; and about so many have a tenant, but for the half that is of one
const HOLDS = 500, LANES = 16        // readings of a request; requests under way
const PAGE = 50_000                  // rows that are looked at together
const BY_TOPIC = 1, BY_REQUEST = 2   // the value of the reading that came so: their sum says which ways a name has come
/** What no name may have in it: refused as a dead letter. All else is to arrive to the letter. */
const isRefused = (text: string): boolean => /[\p{Cc}\ufeff+#]/u.test(text) || ['__proto__', 'constructor', 'prototype'].includes(text)

interface Named { readonly tenant: string, readonly device: string, readonly metric: string }
/** A series with how many rows it has, and the sum of their values. */
interface Looked extends Named { readonly series: number, readonly n: number, readonly sum: number }
const shown = ({ tenant, device, metric }: Named): string => JSON.stringify([tenant, device, metric])
const isGood = (n: Named): boolean => !Object.values(n).some(isRefused)

/** So many names, some of them twice. Another `seed`, others. */
function namesOf (seed: number, count: number): Named[] {
  const sample = fc.sample(fc.record({ at: fc.oneof(fc.constant(null), fc.nat()), device: name, metric: name }), { seed, numRuns: count }), tenants = fc.sample(name, { seed, numRuns: Math.ceil(count / OF_TENANT / 2) })
  return sample.map(({ at, device, metric }) => ({ tenant: at === null ? 'acme' : tenants[at % tenants.length], device, metric }))
}

export async function injected (bench: Bench): Promise<Report> {
  const { rounds, seed, stretch, closing, signal, progress } = bench, folder = temporary('faults-nats'), server = await startNats({ args: ['-js', '-sd', folder] })
  closing.push(async () => { await server.stop(); rmSync(folder, { recursive: true, force: true }) })
  const connection = await connect({ servers: server.url })
  closing.push(() => connection.close())
  const jsm = await jetstreamManager(connection)
  await jsm.streams.add({ name: 'ROWS', subjects: ['rows.>'] })
  let strange = 0
  const ours = /^(rows\.|\$JS\.|_INBOX\.)/
  connection.subscribe('>', { callback: (_, message) => { if (!ours.test(message.subject)) strange++ } })

  const total = rounds * 100, limits = join(folder, 'limits.yaml')
  writeFileSync(limits, 'key: { ingests: 1000000000 }\n')
  const plane = await Plane.open(bench, { more: [{ nats: { servers: server.url, stream: 'ROWS' } }], args: ['--max-series', String(2 * total + PART), '--limits', limits] }), { key } = await plane.key(null)
  const tables = async () => JSON.stringify(await plane.rows("SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace AND NOT relispartition AND relkind <> 'i' ORDER BY 1"))
  const before = await tables()
  const fates = async (pipeline: string) => (await plane.rows("SELECT received::float8, dead_lettered::float8 AS dead FROM counts WHERE branch = '' AND pipeline = $1", [pipeline]))[0] as { received: number, dead: number } | undefined ?? { received: 0, dead: 0 }

  // by topic, where MQTT allows such a name, and by request
  const sent = new Map<string, number>(), publisher = await Publisher.connect(plane.port), wrong: string[] = [], refused: string[] = []
  let topics = 0, taken = 0, came = 0             // taken: readings in requests; came: what they count as: a request of a tenant that cannot be is one
  const post = async (tenant: string, names: readonly Named[]): Promise<void> => {
    const { status, body } = await plane.ask('POST', `/api/v1/ingest?tenant=${encodeURIComponent(tenant)}`, { key, body: names.map(({ device, metric }) => ({ device, metric, value: BY_REQUEST })) })
    if (status === 202) {
      taken += names.length
      came += isRefused(tenant) ? 1 : names.length
      for (const n of names) sent.set(shown(n), sent.get(shown(n))! + BY_REQUEST)
    } else if (status === 400) refused.push(`${JSON.stringify(tenant)}: ${body.slice(0, 200)}`)
    else wrong.push(`${status} for ${JSON.stringify(tenant)}: ${body.slice(0, 200)}`)
  }
  const settled = (what: string, topics: number, came: number) => until(`${what} is settled`, async () => { signal.throwIfAborted(); return (await fates('p')).received >= topics && (await fates('h')).received >= came }, 120_000 * stretch)
  let owed: readonly [topics: number, came: number] = [0, 0]            // before the part that is under way
  for (let part = 0; sent.size < total; part++) {
    const tenants = new Map<string, Named[]>()
    for (const n of namesOf(seed * 100_003 + part, Math.min(PART, total))) {
      if (sent.size >= total || sent.has(shown(n))) continue
      const byTopic = Object.values(n).every(inTopic)
      sent.set(shown(n), byTopic ? BY_TOPIC : 0)
      if (byTopic) {
        topics++
        publisher.publish(`${n.tenant}/${n.device}/${n.metric}`, String(BY_TOPIC), 1)
        await publisher.atMost(500)
      }
      const names = tenants.get(n.tenant)
      if (names === undefined) tenants.set(n.tenant, [n])
      else names.push(n)
    }
    await publisher.atMost(0)
    const requests = [...tenants].flatMap(([tenant, names]) => Array.from({ length: Math.ceil(names.length / HOLDS) }, (_, k) => [tenant, names.slice(k * HOLDS, (k + 1) * HOLDS)] as const))
    await Promise.all(Array.from({ length: LANES }, async () => { for (let next; (next = requests.pop()) !== undefined && !signal.aborted;) await post(...next) }))
    await settled('the part before', ...owed)
    owed = [topics, came]
    progress(`${sent.size} of ${total} names`)
  }
  await publisher.close()
  await settled('all', topics, came)
  const { dead } = await fates('p'), { dead: deadH } = await fates('h'), { rss } = await plane.process.rest()

  // each name is there, to the letter, with one row for each way it came
  const some: Record<'foreign' | 'odd' | 'lost' | 'doubled', string[]> = { foreign: [], odd: [], lost: [], doubled: [] }, missing = new Set(sent.keys())
  let rows = 0
  for (let page: readonly Looked[], after = 0; (page = await plane.rows(`SELECT series, tenant, device, metric, n, sum FROM series_named s, LATERAL (SELECT count(*)::int AS n, sum(value)::float8 AS sum FROM (SELECT series, value FROM readings UNION ALL SELECT series, value FROM posted) r WHERE r.series = s.series) r WHERE series > $1 ORDER BY series LIMIT ${PAGE}`, [after])).length > 0; after = page.at(-1)!.series) {
    signal.throwIfAborted()
    for (const row of page) {
      const text = shown(row), ways = sent.get(text)
      missing.delete(text)
      rows += row.n
      if (ways === undefined) some.foreign.push(text)
      else if (!isGood(row)) some.odd.push(text)
      else if (row.sum < ways) some.lost.push(text)
      else if (row.sum > ways || row.n !== (ways & BY_TOPIC) + (ways & BY_REQUEST) / BY_REQUEST) some.doubled.push(text)
    }
    progress(`${rows} rows looked at`)
  }
  for (const text of missing) {
    const [tenant, device, metric] = JSON.parse(text) as [string, string, string]
    if (sent.get(text)! > 0 && isGood({ tenant, device, metric })) some.lost.push(text)
  }
  const says = { foreign: 'names that nobody sent', odd: 'names that should have been refused', lost: 'names that are not there as often as they came', doubled: 'names that are there more often' }
  for (const [what, texts] of Object.entries(some)) if (texts.length > 0) wrong.push(`${texts.length} ${says[what as 'lost']}: ${texts.slice(0, 3).join(' ')}`)
  if (await tables() !== before) wrong.push('tables have changed')

  // as subjects, and in an export
  await until('the stream has all', async () => (await jsm.streams.info('ROWS')).state.messages >= topics - dead, 120_000 * stretch)
  const { state } = await jsm.streams.info('ROWS')
  let lines = 0, unknown = 0
  for await (const line of exported(`${plane.url}/api/v1/tables/posted/export?format=ndjson&columns=value`, key, signal)) {
    lines++
    if (!sent.has(shown(JSON.parse(line) as Named))) unknown++
  }
  return {
    figures: { names: sent.size, by_topic: topics, by_request: taken, requests_refused: refused.length, dead_letters: dead + deadH, rows, lost: some.lost.length, duplicated: some.doubled.length, messages: state.messages, foreign_subjects: strange, exported: lines, rss_mb: Math.round(rss / 2 ** 20) },
    wrong: [
      ...wrong, ...unless(strange === 0, `${strange} messages on subjects that are not ours`), ...unless(taken > sent.size / 4, `only ${taken} of ${sent.size} were taken by request: ${refused[0]}`),
      ...unless(lines === came - deadH && unknown === 0, `the export has ${lines} rows for ${came - deadH}, ${unknown} of them of names that nobody sent`)
    ]
  }
}

/** The lines of an answer as they come: all of it may be more than fits. */
async function* exported (url: string, key: string, signal: AbortSignal): AsyncGenerator<string> {
  const { status, body } = await fetch(url, { headers: { authorization: `Bearer ${key}` }, signal }), text = new TextDecoder()
  if (status !== 200) throw new Error(`${status} for ${url}`)
  let rest = ''
  for await (const piece of body as unknown as AsyncIterable<Uint8Array>) {
    const lines = (rest + text.decode(piece, { stream: true })).split('\n')
    rest = lines.pop()!
    yield* lines
  }
  if (rest !== '') yield rest
}
