/** S1: nobody sees or moves what is another tenant's, over HTTP or MQTT; what is another's looks like what is not there. */
import { operationsOf, type Operation } from '../../test/support/openapi-fuzz.ts'
import { until } from '../services.ts'
import type { Answer } from './plane.ts'
import { unless, type Bench, type Report } from './row.ts'
import { connected, twoTenants, VALUE, type Client, type Names } from './two-tenants.ts'

const PIPELINE = 'name: p\nfrom: { http: {} }\nto: [ stdout ]\n'
const DENIED = [403, 404]            // what is another's: not for this key, or not there
const FORGED = 666.5                 // what the intruder tries to publish as another

/** The value of each parameter, and the body of each operation that has one. An operation that is new and names something else needs its line here. */
const parameterOf = (names: Names): Readonly<Record<string, string>> => ({
  ...names, name: 'p', kind: 'drift-event', table: 'readings', column: 'value', columns: 'value', pipeline: 'p', healthy: 'true', version: '1', source: 'ingest', position: '1', endpoint: 'webhook:1', from: new Date(Date.now() - 3_600_000).toISOString(), to: new Date(Date.now() + 60_000).toISOString()
})
const bodiesOf = (path: string, { tenant, device, metric, event }: Names): readonly unknown[] => {
  const from = new Date(Date.now() - 3_600_000).toISOString(), to = new Date(Date.now() + 3_600_000).toISOString(), csv = 'time,device,metric,value\n2026-01-01,d,m,1\n', data = { value: Array.from({ length: 30 }, (_, i) => i % 7) }
  const jobs = [{ kind: 'export', table: 'readings', tenant }, { kind: 'evaluate', pipeline: 'e', table: 'readings', from, to, healthy: true, tenant }, { kind: 'backfill', pipeline: 'e' }]
  const known: Readonly<Record<string, unknown>> = {
    comments: { text: 'intruder' }, feedback: { verdict: 'false alarm' }, silences: { tenant, device, to, reason: 'intruder' }, maintenance: { tenant, device, to, reason: 'intruder' }, replay: { event, receiver: 'high/webhook' },
    predict: { data, options: { every: '1s', seasons: ['7s'] } }, detect_anomaly: { data }, check_drift: { data, last: 5 }, ingest: { tenant, device, metric, value: FORGED }, keys: { tenant, name: 'intruder', scopes: ['query:read'] }, rotate: {}, rollback: { version: 1 }, try: { pipeline: PIPELINE, given: '00:00:00 a/b 1' },
    simulate: { pipeline: 'h', tenant, device, metric }, requeue: { every: true }, validate: PIPELINE, evaluate: csv, backfill: csv
  }
  return path === '/api/v1/jobs' ? jobs : [known[path.split('/').findLast(part => Object.hasOwn(known, part)) ?? ''] ?? {}]
}

/** Requests of an operation that name all that it can, or as little as it may: one for each thing that its id may be of, and for each body. */
function requestsOf ({ method, path, parameters, body }: Operation, names: Names, all: boolean): readonly { readonly method: string, readonly url: string, readonly body?: unknown, readonly headers: Readonly<Record<string, string>> }[] {
  const jobs = path.startsWith('/api/v1/jobs'), values = { ...parameterOf(names), ...jobs ? { pipeline: 'e' } : {} } as Readonly<Record<string, string>>, ids = !path.includes('{id}') ? [''] : jobs ? [names.exported, names.evaluated] : [path.startsWith('/api/v1/keys') ? names.apiKey : path.startsWith('/api/v1/maintenance') ? names.maintenance : names.silence]
  // `kind` in a query is of what is stored, in a path of what is simulated
  const query = parameters.filter(p => p.in === 'query' && p.name !== 'kind' && (all ? values[p.name] !== undefined : p.required === true)).map(p => `${p.name}=${encodeURIComponent(values[p.name])}`).join('&')
  return ids.flatMap(id => {
    const url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(name === 'id' ? id : values[name] ?? 'x')), whole = query === '' ? url : `${url}?${query}`
    return body === undefined ? [{ method, url: whole, headers: {} }] : bodiesOf(path, names).map(sent => ({ method, url: whole, headers: { 'content-type': body.type }, body: sent }))
  })
}

export async function tenantMatrix (bench: Bench): Promise<Report> {
  const there = await twoTenants(bench), { plane, client, device, secret, names } = there, { mine } = there.keys
  const absent: Names = { tenant: 'nobody', device: `pump-${'0'.repeat(12)}`, metric: 'temp', incident: `x${names.incident.slice(1)}`, event: `x${names.event.slice(1)}`, silence: '999999', maintenance: '999999', apiKey: 'absent00', exported: crypto.randomUUID(), evaluated: crypto.randomUUID() }
  const state = async () => [
    await plane.rows("SELECT action, target, actor FROM audit WHERE tenant = 'theirs' ORDER BY id"), await plane.rows("SELECT * FROM api_keys WHERE tenant IS DISTINCT FROM 'mine' ORDER BY id"), await plane.rows("SELECT * FROM alert_comments WHERE tenant IS DISTINCT FROM 'mine' ORDER BY id"), await plane.rows("SELECT * FROM silences WHERE tenant IS DISTINCT FROM 'mine' ORDER BY id"),
    await plane.rows("SELECT time, device, metric, value FROM readings_named WHERE tenant <> 'mine' UNION ALL SELECT time, device, metric, value FROM posted_named WHERE tenant <> 'mine' ORDER BY 1")
  ].map(rows => JSON.stringify(rows))
  const before = await state()

  // every route, as one who has a key of another tenant with every scope
  const wrong: string[] = [], secrets = [secret, String(VALUE), names.incident]
  const operations = operationsOf(JSON.parse((await plane.ask('GET', '/openapi.json')).body)).filter(o => o.path.startsWith('/api/') && !o.path.endsWith('alert-schema'))
  let asked = 0, denied = 0, answered = 0
  /** As many jobs as may be are under way: one more would be refused for that. */
  const idle = () => until('no job is under way', async () => (JSON.parse((await plane.ask('GET', '/api/v1/jobs?state=running', { key: mine.key })).body) as { rows?: unknown[] }).rows?.length === 0, 60_000, 250)
  const told = (answer: Answer, sent: string) => secrets.filter(s => !sent.includes(s) && answer.body.includes(s))
  for (const operation of operations) {
    const route = `${operation.method} ${operation.path}`
    if (/^(PUT|DELETE) .*pipelines/.test(route) || /(pause|resume|rollback)$/.test(route)) {          // pipelines belong to nobody: a key of a tenant may not
      const { status, body } = await plane.ask(operation.method, operation.path.replaceAll(/\{\w+\}/g, 'p'), { key: mine.key, headers: { 'if-match': '*', ...operation.method === 'PUT' ? { 'content-type': 'application/yaml' } : {} }, body: operation.method === 'PUT' ? PIPELINE : operation.body === undefined ? undefined : { version: 1 } })
      asked++
      if (status === 403) denied++
      else wrong.push(`${route}: ${status} for a key of one tenant: ${body.slice(0, 300)}`)
      continue
    }
    const [foreign, nothing, plain] = [requestsOf(operation, names, true), requestsOf(operation, absent, true), requestsOf(operation, { ...absent, tenant: 'mine', device: 'own' }, false)]
    for (let i = 0; i < foreign.length; i++) await compare(operation, route, [foreign[i], nothing[i], plain[i]])
  }
  async function compare (operation: Operation, route: string, requests: readonly ReturnType<typeof requestsOf>[number][]): Promise<void> {
    const sent = requests.map(request => JSON.stringify(request)), answers: Answer[] = []
    for (const { method, url, ...given } of requests) {
      if (operation.path.startsWith('/api/v1/jobs')) await idle()
      answers.push(await plane.ask(method, url, { key: mine.key, ...given }))
    }
    asked += 3
    if (DENIED.includes(answers[0].status)) denied++
    else if (answers[0].status >= 400) wrong.push(`${route}: ${answers[0].status} is no denial, the request was none that the route takes: ${answers[0].body.slice(0, 300)}`)
    if (answers[2].status < 300) answered++
    answers.forEach((answer, i) => { for (const s of told(answer, sent[i])) wrong.push(`${route} tells ${s}: ${answer.body.slice(0, 200)}`) })
    const same = (text: string, of: Names) => [of.incident, of.device, of.tenant, of.apiKey, of.exported, of.evaluated].reduce((rest, name) => rest.replaceAll(name, '*'), text).replaceAll(/\\"\d+\\"/g, '*').replaceAll(/"(id|request|instance)":"[^"]*"/g, '')
    if (answers[0].status !== answers[1].status || (answers[0].status >= 400 && same(answers[0].body, names) !== same(answers[1].body, absent))) wrong.push(`${route}: ${answers[0].status} for what is another's, ${answers[1].status} for what is not there: ${answers[0].body.slice(0, 200)} / ${answers[1].body.slice(0, 200)}`)
    if (operation.path.includes('{incident}') && answers[0].status !== 404) wrong.push(`${route}: ${answers[0].status} for an alert of another tenant`)
  }
  if (asked < 3 * 25 || answered < 12) wrong.push(`only ${asked} requests, of which ${answered} were answered: this shows little`)

  // MQTT: as another device, to its topics, by its will
  const attempts = await forged(client, device)
  for (const [what, done] of Object.entries(attempts)) if (!done) wrong.push(`MQTT: ${what} was not refused`)
  await until('what was sent is settled', async () => (await plane.rows("SELECT count(*)::int AS n FROM dead_letters WHERE reason = 'not_allowed'"))[0].n >= 1)
  const after = await state()
  for (let i = 0; i < before.length; i++) if (after[i] !== before[i]) wrong.push(`what is theirs has changed: ${before[i]} / ${after[i]}`)
  const [{ n }] = await plane.rows('SELECT count(*)::int AS n FROM readings_named WHERE value = $1', [FORGED])
  return { figures: { routes: operations.length, requests: asked, denied, answered, mqtt_attempts: Object.keys(attempts).length }, wrong: [...wrong, ...unless(n === 0, `${n} forged readings became rows`)] }
}

/** What the device mine/own tries; true: it was refused. */
async function forged (client: Client, device: string): Promise<Record<string, boolean>> {
  const payload = JSON.stringify({ value: FORGED }), topic = `theirs/${device}/temp`, out: Record<string, boolean> = {}
  const refused = async (what: string, username: string, password: string) => { const one = client(username, password).on('error', () => {}); out[what] = !await connected(one); one.end(true) }
  await refused('the name of another with one\'s own password', `theirs/${device}`, 'first')
  await refused('no password', `theirs/${device}`, '')
  await refused('a name of nobody', 'theirs/other', 'second')
  const testator = client('mine/own', 'first', { will: { topic, payload, qos: 1, retain: false } }).on('error', () => {})         // either it is not let in, or its will is not published: there is no row of it
  await connected(testator)
  testator.stream.destroy()
  const publisher = client('mine/own', 'first').on('error', () => {})
  await connected(publisher)
  const closed = new Promise<boolean>(resolve => { publisher.once('close', () => resolve(true)); setTimeout(() => resolve(false), 5000).unref() })
  publisher.publish(topic, payload, { qos: 1 }, () => {})
  out['publishing to a topic of another'] = await closed
  publisher.end(true)
  for (const filter of [`theirs/${device}/#`, '#', '+/+/temp', '$SYS/#', '$share/g/theirs/#']) {
    const reader = client('mine/own', 'first').on('error', () => {})
    await connected(reader)
    out[`subscribing to ${filter}`] = await Promise.race([
      new Promise<boolean>(resolve => { reader.once('close', () => resolve(true)) }),
      new Promise<boolean>(resolve => { reader.subscribe(filter, { qos: 1 }, (error, granted) => { resolve(error !== null || (granted ?? []).every(g => g.qos >= 128)) }) })
    ])
    reader.end(true)
  }
  return out
}
