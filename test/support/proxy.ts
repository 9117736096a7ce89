/** A TCP proxy that can misbehave between a client and a server. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/**
 * What to do with bytes of the client: `pass` them on, `cut` the connection instead, pass them on and cut the connection before the
 * answer (`mute`), or keep the connection and swallow everything from now on, both ways (`hole`; `mute-hole`: these bytes still pass).
 */
export type Fate = 'pass' | 'cut' | 'mute' | 'hole' | 'mute-hole'

export interface Proxy { readonly port: number, fate: (bytes: Buffer) => Fate, close (): Promise<void> }

export async function openProxy (host: string, port: number): Promise<Proxy> {
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    const upstream = connect(port, host)
    let deaf = false
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => sockets.delete(socket))
    }
    client.on('data', bytes => {
      if (deaf) return
      const fate = proxy.fate(bytes)
      if (fate === 'pass' || fate === 'mute' || fate === 'mute-hole') upstream.write(bytes)
      if (fate === 'cut') { client.destroy(); upstream.destroy() }
      if (fate === 'mute') { deaf = true; upstream.once('data', () => { client.destroy(); upstream.destroy() }) }
      if (fate === 'hole' || fate === 'mute-hole') deaf = true
    })
    upstream.on('data', bytes => { if (!deaf) client.write(bytes) })
    upstream.on('close', () => { if (!deaf) client.destroy() })
    client.on('close', () => { if (!deaf) upstream.destroy() })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  const proxy: Proxy = {
    port: (server.address() as AddressInfo).port,
    fate: () => 'pass',
    close: () => new Promise(resolve => {
      server.close(() => resolve())
      for (const socket of sockets) socket.destroy()
    })
  }
  return proxy
}
