/** A pipeline that reads an embedded broker and stores what it reads, put into a process that runs pipelines (control.ts). */
import type { Test } from 'tap'
import { open, rows, until, type Process } from './control.ts'
import { freePort } from './mosquitto.ts'
import { freshDatabase } from './postgres.ts'
import { temporary } from './program.ts'

interface Given { readonly name?: string, readonly more?: string, readonly table?: string, readonly high?: number, readonly alpha?: number, readonly topics?: string }
export const text = (port: number, { name = 'p', more = '', table = 'readings', high = 50, alpha = 0.5, topics = '{tenant}/{device}/{metric}' }: Given = {}) =>
  `name: ${name}\nfrom: { broker: { port: ${port}, topics: "${topics}" } }\npipe: [ ewma: { alpha: ${alpha} }${more} ]\nalerts: { high: { when: { value: { above: ${high} } } } }\nto: [ postgres: { table: ${table} } ]\n`
export const match = (version: number) => ({ 'if-match': `"${version}"` })

export async function begin (t: Test) {
  const url = (await freshDatabase(t))!, folder = temporary(t), port = await freePort()
  return { url, folder, port, process: await open(t, url, folder, { hosts: [new URL(url).hostname] }) }
}
export const put = async (process: Process, body: string, headers?: Record<string, string>, query = '', name = 'p') => await process.ask('PUT', `/${name}${query}`, body, headers)
export const stored = (url: string, n: number, table?: string) => until(`${n} rows`, async () => (await rows(url, 'value', table)).length === n)
