/** S1: nobody sees or moves what is another tenant's, over HTTP or MQTT; what is another's looks like what is not there. */
import { operationsOf, type Operation } from '../../test/support/openapi-fuzz.ts'
import { until } from '../services.ts'
import type { Answer } from './plane.ts'
import { unless, type Bench, type Report } from './row.ts'
import { connected, twoTenants, VALUE, type Client, type Names } from './two-tenants.ts'

const PIPELINE = 'name: p\nfrom: { http: {} }\nto: [ stdout ]\n'
const FORGED = 666.5                 // what the intruder tries to publish as another

/** The value of each parameter, and the body of each operation that has one. An operation that is new and names something else needs its line here. */
const parameterOf = (names: Names): Readonly<Record<string, string>> => ({
  ...names, name: 'p', table: 'readings', column: 'value', columns: 'value', pipeline: 'p', version: '1', source: 'ingest', position: '1', endpoint: 'webhook:1', from: new Date(Date.now() - 3_600_000).toISOString(), to: new Date(Date.now() + 60_000).toISOString()
})
const bodyOf = (path: string, { tenant, device, metric, event }: Names): unknown => {
  const to = new Date(Date.now() + 3_600_000).toISOString(), data = { value: Array.from({ length: 30 }, (_, i) => i % 7) }
  const known: Readonly<Record<string, unknown>> = {
    comments: { text: 'intruder' }, feedback: { verdict: 'false alarm' }, silences: { tenant, device, to, reason: 'intruder' }, maintenance: { tenant, device, to, reason: 'intruder' }, replay: { event, receiver: 'high/webhook' },
    predict: { data, options: { every: '1s', seasons: ['7s'] } }, detect_anomaly: { data }, check_drift: { data, last: 5 }, ingest: { tenant, device, metric, value: FORGED }, keys: { tenant, name: 'intruder', scopes: ['query:read'] }, rollback: { version: 1 }, try: { pipeline: PIPELINE, given: '00:00:00 a/b 1' }
  }
  return known[path.split('/').findLast(part => Object.hasOwn(known, part)) ?? ''] ?? {}
}

/** A request of an operation that names all that it can, or as little as it may. */
function requestOf ({ method, path, parameters, body }: Operation, names: Names, all: boolean): { readonly method: string, readonly url: string, readonly body?: unknown } {
  const values = parameterOf(names), id = path.startsWith('/api/v1/keys') ? names.apiKey : path.startsWith('/api/v1/maintenance') ? names.maintenance : names.silence
  const url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(name === 'id' ? id : values[name] ?? 'x'))
  const query = parameters.filter(p => p.in === 'query' && (all ? values[p.name] !== undefined : p.required === true)).map(p => `${p.name}=${encodeURIComponent(values[p.name])}`).join('&')
  return { method, url: query === '' ? url : `${url}?${query}`, ...body === undefined ? {} : { body: bodyOf(path, names) } }
}

export async function tenantMatrix (bench: Bench): Promise<Report> {
  const there = await twoTenants(bench), { plane, client, device, secret, names } = there, { mine } = there.keys
  const absent: Names = { tenant: 'nobody', device: `pump-${'0'.repeat(12)}`, metric: 'temp', incident: `x${names.incident.slice(1)}`, event: `x${names.event.slice(1)}`, silence: '999999', maintenance: '999999', apiKey: 'nobody00' }
  const state = async () => [
    await plane.rows("SELECT action, target, actor FROM audit WHERE tenant = 'theirs' ORDER BY id"), await plane.rows("SELECT * FROM api_keys WHERE tenant IS DISTINCT FROM 'mine' ORDER BY id"), await plane.rows("SELECT * FROM alert_comments WHERE tenant IS DISTINCT FROM 'mine' ORDER BY id"), await plane.rows("SELECT * FROM silences WHERE tenant IS DISTINCT FROM 'mine' ORDER BY id"),
    await plane.rows("SELECT time, device, metric, value FROM readings_named WHERE tenant <> 'mine' UNION ALL SELECT time, device, metric, value FROM posted_named WHERE tenant <> 'mine' ORDER BY 1")
  ].map(rows => JSON.stringify(rows))
  const before = await state()

  // every route, as one who has a key of another tenant with every scope
  const wrong: string[] = [], secrets = [secret, String(VALUE), names.incident]
  const operations = operationsOf(JSON.parse((await plane.ask('GET', '/openapi.json')).body)).filter(o => o.path.startsWith('/api/') && !o.path.endsWith('alert-schema'))
  let asked = 0, denied = 0, answered = 0
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
    const [foreign, nothing, plain] = [requestOf(operation, names, true), requestOf(operation, absent, true), requestOf(operation, { ...absent, tenant: 'mine', device: 'own' }, false)]
    const sent = [JSON.stringify(foreign), JSON.stringify(nothing), JSON.stringify(plain)], answers: Answer[] = []
    for (const { method, url, body } of [foreign, nothing, plain]) answers.push(await plane.ask(method, url, { key: mine.key, body }))
    asked += 3
    if (answers[0].status >= 400) denied++
    if (answers[2].status < 300) answered++
    answers.forEach((answer, i) => { for (const s of told(answer, sent[i])) wrong.push(`${route} tells ${s}: ${answer.body.slice(0, 200)}`) })
    const same = (text: string, of: Names) => [of.incident, of.device, of.tenant, of.apiKey].reduce((rest, name) => rest.replaceAll(name, '*'), text).replaceAll(/\\"\d+\\"/g, '*').replaceAll(/"(id|request|instance)":"[^"]*"/g, '')
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
