/** A pipeline that devices publish to, in a process whose jobs can be waited for. */
import type { Test } from 'tap'
import { open, rows, until, valueOf, type Process } from './control.ts'
import { freePort } from './mosquitto.ts'
import { freshDatabase } from './postgres.ts'
import { temporary } from './program.ts'

interface Given { readonly name?: string, readonly table?: string, readonly more?: string, readonly alpha?: number, readonly topics?: string, readonly to?: string }
export const text = (port: number, { name = 'p', table = 'readings', more = '', alpha = 0.5, topics = '{tenant}/{device}/{metric}', to = '' }: Given = {}) =>
  `name: ${name}\nfrom: { broker: { port: ${port}, topics: "${topics}" } }\npipe: [ ewma: { alpha: ${alpha} }${more} ]\nalerts: { high: { when: { value: { above: 50 } }${to} } }\nto: [ postgres: { table: ${table} } ]\nbranches: { tens: { pipe: [ tumbling: { every: 1s, features: [ count, mean ] } ], to: [ postgres: { table: ${table}_tens } ] } }\n`
export const csv = { 'content-type': 'text/csv' }
export const numbers = (n: number) => Array.from({ length: n }, (_, i) => valueOf(i))

export async function begin (t: Test) {
  const url = (await freshDatabase(t))!, folder = temporary(t), port = await freePort()
  return { url, folder, port, process: await open(t, url, folder) }
}
/** A job that has ended. */
export async function ended (process: Process, id: string): Promise<any> {
  let job: any
  await until('the job has ended', async () => (job = (await process.call('GET', `/jobs/${id}`)).json).state !== 'running')
  return job
}
export const stored = (url: string, n: number, table?: string) => until(`${n} rows`, async () => (await rows(url, 'value', table)).length === n)
/** Has a device send all the time; stops when so many more have been sent. */
export function sending (d: { sent: number, send (n: number): Promise<void> }): (more: number) => Promise<void> {
  let going = true
  const done = (async () => { while (going) await d.send(1) })()
  return async more => {
    const enough = d.sent + more
    await until('it goes on', () => d.sent >= enough)
    going = false
    await done
  }
}
