import { once } from 'node:events'
import { copyFileSync, writeFileSync } from 'node:fs'
import { connect, createServer, type TLSSocket } from 'node:tls'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { keyPair, renewing } from '../../engine/tls.ts'
import { certificates } from '../support/mosquitto.ts'
import { temporary } from '../support/program.ts'

t.test('a certificate is read anew when its files are others; what does not fit is said once and changes nothing; connections go on', async t => {
  const { serverCert: cert, serverKey: key, clientCert, clientKey } = certificates(temporary(t)), said: string[] = []
  const log = { info: (_: unknown, text: string) => { said.push(text) }, warn: (_: unknown, text: string) => { said.push(text) } }
  const server = createServer(keyPair({ cert, key }), socket => { socket.on('error', () => {}).pipe(socket) }).listen(0, '127.0.0.1'), stop = renewing({ cert, key }, server, log as never)
  await once(server, 'listening')
  const sockets: TLSSocket[] = []
  t.teardown(() => { stop(); for (const socket of sockets) socket.destroy(); server.close() })
  const nameAt = async () => {
    const socket = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, rejectUnauthorized: false })
    sockets.push(socket)
    await once(socket, 'secureConnect')
    return socket.getPeerCertificate().subject.CN
  }
  const until = async (n: number) => { for (const end = Date.now() + 60_000; said.length < n && Date.now() < end;) await new Promise(resolve => { setTimeout(resolve, 50) }) }
  t.equal(await nameAt(), 'server')
  copyFileSync(clientCert, cert)
  await until(1)
  t.strictSame(said, ['the certificate stays what it was'], 'a new certificate with the old key')
  t.equal(await nameAt(), 'server')
  copyFileSync(clientKey, key)
  await until(2)
  t.equal(said[1], 'the certificate was read anew')
  t.equal(await nameAt(), 'client')
  sockets[0].write('still here')
  t.equal(String((await once(sockets[0], 'data'))[0]), 'still here')
  writeFileSync(cert, 'none')
  await until(3)
  await new Promise(resolve => { setTimeout(resolve, 2200) })
  t.equal(said.length, 3)
  t.equal(await nameAt(), 'client')
})
