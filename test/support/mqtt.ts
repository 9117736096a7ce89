/** What tests of MQTT share: a real broker, sources that read it, clients that publish, and a hop between. */
import { mkdtempSync, rmSync } from 'node:fs'
import { connect as dial, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type IClientOptions, type MqttClient } from 'mqtt'
import { broker } from '../../connectors/broker.ts'
import { mqtt } from '../../connectors/mqtt.ts'
import { mosquitto, noMosquitto, type Broker } from './mosquitto.ts'
import { read, type Reader } from './reader.ts'

export type T = { teardown (f: () => unknown): void }
export const TS = Date.now() - 1000
export const pause = (ms: number) => new Promise(resolve => { setTimeout(resolve, ms) })
export const needed = { skip: noMosquitto }

export async function real (t: T, options: Parameters<typeof mosquitto>[0] = {}): Promise<Broker & { url: string }> {
  const running = await mosquitto(options)
  t.teardown(() => running.stop())
  return { ...running, url: `mqtt://127.0.0.1:${running.port}` }
}
export function source (t: T, options: Record<string, unknown>, setting: Parameters<typeof read>[1] = {}): Reader {
  const reader = read(mqtt({ topic: '{tenant}/{device}/{metric}', ...options }), setting)
  t.teardown(() => reader.stop())
  return reader
}
export async function client (t: T, url: string, options: IClientOptions = {}): Promise<MqttClient> {
  const client = connect(url, { reconnectPeriod: 0, ...options })
  t.teardown(() => { client.end(true) })
  await new Promise((resolve, reject) => { client.once('connect', resolve).once('error', reject) })
  return client
}
/** A folder for the log of several sources, one after the other. */
export function folder (t: T): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-mqtt-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return join(path, 'log')
}
export const ready = (reader: Reader) => reader.until(() => reader.source.trouble() === undefined)
export const say = (value: number) => JSON.stringify({ value, ts: TS })

/** A TCP hop before a broker that looks at what the client sends, can lose some of it, and can cut its connections. */
export async function tap (t: T, to: Broker & { url: string }, sent: (bytes: Buffer) => void, loses: (bytes: Buffer) => boolean = () => false) {
  const sockets = new Set<Socket>()
  const hop = createServer(client => {
    const up = dial(to.port, '127.0.0.1')
    for (const socket of [client, up]) sockets.add(socket.on('error', () => {}).on('close', () => { client.destroy(); up.destroy() }))
    client.on('data', (data: Buffer) => {
      sent(data)
      if (!loses(data)) up.write(data)
    })
    client.on('end', () => up.end())
    up.pipe(client)
  })
  await new Promise<void>(resolve => { hop.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => hop.close())
  return { url: `mqtt://127.0.0.1:${(hop.address() as { port: number }).port}`, direct: to.url, cut: () => { for (const socket of sockets) socket.destroy() } }
}

/** The embedded broker as a source, and where it listens. */
export async function listen (t: T, options: Record<string, unknown> = {}, setting: Parameters<typeof read>[1] = {}): Promise<{ reader: Reader, url: string, port: number }> {
  const reader = read(broker({ port: 0, ...options }), setting)
  t.teardown(() => reader.stop())
  await reader.until(() => reader.source.trouble() === undefined)
  const url = reader.source.address!()!
  return { reader, url, port: Number(new URL(url).port) }
}

/** A device that says its own bytes. */
export const raw = (port: number): Promise<Socket> => new Promise((resolve, reject) => {
  const socket = dial(port, '127.0.0.1', () => resolve(socket)).once('error', reject)
  socket.on('error', () => {}).resume()
})
export const CONNECT = Buffer.concat([Buffer.from([0x10, 14, 0, 4]), Buffer.from('MQTT'), Buffer.from([4, 2, 0, 60, 0, 2]), Buffer.from('d1')])
export const heard = (socket: Socket): Promise<unknown> => new Promise(resolve => { socket.once('data', resolve) })
