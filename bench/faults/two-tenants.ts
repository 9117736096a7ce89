/** A plane with two tenants, each with a device, a key of every scope, readings, an alert with a comment, a silence, a maintenance window, and an export and an evaluation that are done. */
import { randomBytes } from 'node:crypto'
import mqtt, { type MqttClient } from 'mqtt'
import { passwordDigest, writtenDevices } from '../../engine/credentials.ts'
import { until } from '../services.ts'
import { Plane } from './plane.ts'
import type { Bench } from './row.ts'

export const VALUE = 731.0625        // what only the tenant `theirs` has published

/** Of everybody: what evaluations are of, as those are of pipelines that were put. */
const JUDGED = 'name: e\nfrom: { http: { path: e } }\nalerts: { high: { when: { value: { above: 100 } } } }\nto: [ postgres: { table: evaluated } ]\n'

/** What a request may name, and what a secret of the other tenant is called where it is asked for by name. */
export type Names = Readonly<Record<'tenant' | 'device' | 'metric' | 'incident' | 'event' | 'silence' | 'maintenance' | 'apiKey' | 'exported' | 'evaluated', string>>
export type Client = (username: string, password: string, more?: object) => MqttClient

/** `secret`: stands in all that is of `theirs`; `names`: what `theirs` has. The device of `mine` is `own`, with the password `first`. */
export interface TwoTenants { readonly plane: Plane, readonly client: Client, readonly secret: string, readonly device: string, readonly names: Names, readonly keys: Readonly<Record<'mine' | 'theirs', { readonly key: string, readonly id: string }>> }

export async function twoTenants (bench: Bench): Promise<TwoTenants> {
  const secret = randomBytes(6).toString('hex'), device = `pump-${secret}`, reason = `because-${secret}`, to = new Date(Date.now() + 3_600_000).toISOString()
  const passwords = { 'mine/own': 'first', [`theirs/${device}`]: 'second' }
  const plane = await Plane.open(bench, { devices: writtenDevices(Object.entries(passwords).map(([username, password]) => ({ username, digest: passwordDigest(password), topics: [`${username}/#`] }))) })
  const keys = { mine: await plane.key('mine'), theirs: await plane.key('theirs') }
  const client: Client = (username, password, more = {}) => mqtt.connect({ host: '127.0.0.1', port: plane.port, username, password, reconnectPeriod: 0, connectTimeout: 5000, ...more })
  for (const [tenant, name, password] of [['mine', 'own', 'first'], ['theirs', device, 'second']] as const) {
    const publisher = client(`${tenant}/${name}`, password)
    await connected(publisher)
    await publisher.publishAsync(`${tenant}/${name}/temp`, JSON.stringify({ value: tenant === 'mine' ? 700 : VALUE }), { qos: 1 })
    await publisher.endAsync()
  }
  const alerts = async (key: string) => (JSON.parse((await plane.ask('GET', '/api/v1/alerts', { key })).body) as { rows: any[] }).rows
  await until('both have an alert', async () => (await alerts(keys.mine.key)).length === 1 && (await alerts(keys.theirs.key)).length === 1)
  const made = async (what: string, key: string, body: object) => String(JSON.parse((await plane.ask('POST', `/api/v1/${what}`, { key, body })).body).id)
  const furnish = async ({ key }: { readonly key: string }, device: string, reason: string) => {
    const [{ incident, id: event }] = await alerts(key)
    await plane.ask('POST', `/api/v1/alerts/${incident as string}/comments`, { key, body: { text: reason } })
    const range = { from: new Date(Date.now() - 3_600_000).toISOString(), to }, jobs = { exported: await made('jobs', key, { kind: 'export', table: 'readings' }), evaluated: await made('jobs', key, { kind: 'evaluate', pipeline: 'e', table: 'readings', healthy: true, ...range }) }
    for (const id of Object.values(jobs)) await until(`the job ${id} is done`, async () => {
      const { body } = await plane.ask('GET', `/api/v1/jobs/${id}`, { key })
      if (/"state":"failed"/.test(body)) throw new Error(body)
      return /"state":"done"/.test(body)
    }, 60_000, 250)
    return { ...jobs, incident, event, silence: await made('silences', key, { device, to, reason }), maintenance: await made('maintenance', key, { device, to, reason }) }
  }
  const { status, body } = await plane.ask('PUT', '/api/v1/pipelines/e', { key: (await plane.key(null)).key, headers: { 'content-type': 'application/yaml' }, body: JUDGED })
  if (status !== 201) throw new Error(body)
  await furnish(keys.mine, 'own', 'ours')
  return { plane, client, secret, device, keys, names: { tenant: 'theirs', device, metric: 'temp', apiKey: keys.theirs.id, ...await furnish(keys.theirs, device, reason) } }
}

export const connected = (client: MqttClient): Promise<boolean> => new Promise(resolve => { client.once('connect', () => resolve(true)).once('error', () => resolve(false)).once('close', () => resolve(false)) })
