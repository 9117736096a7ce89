/** What the fault matrix is made of: a fault that is not injected would let every row pass. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { FaultProxy } from '../bench/faults/proxy.ts'

/** A server that sends everything back, a proxy before it, and a client of that. */
async function open (t: Test): Promise<{ proxy: FaultProxy, dial: () => Promise<Socket>, seen: () => number, ends: () => number }> {
  let seen = 0, ends = 0
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {}).on('end', () => { ends++ })
    socket.on('data', bytes => { seen += bytes.length; socket.write(bytes) })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = await FaultProxy.open((server.address() as AddressInfo).port)
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await proxy.close()
  })
  const dial = async () => {
    const socket = connect(proxy.port, '127.0.0.1').setNoDelay().on('error', () => {})
    sockets.add(socket)
    await once(socket, 'connect')
    return socket
  }
  return { proxy, dial, seen: () => seen, ends: () => ends }
}

/** Sends and waits until all of it is back; returns after how many ms, and in how many pieces. */
async function roundTrip (socket: Socket, bytes: number): Promise<{ ms: number, pieces: number, text: string }> {
  const began = performance.now(), got: Buffer[] = []
  const back = new Promise<void>((resolve, reject) => {
    socket.on('data', piece => { got.push(piece); if (got.reduce((n, g) => n + g.length, 0) >= bytes) resolve() }).once('close', () => reject(new Error('closed')))
  })
  socket.write(Buffer.from(Array.from({ length: bytes }, (_, i) => 97 + i % 26)))
  await back
  return { ms: performance.now() - began, pieces: got.length, text: Buffer.concat(got).toString() }
}
const alphabet = (n: number): string => Array.from({ length: n }, (_, i) => String.fromCharCode(97 + i % 26)).join('')
const closed = (socket: Socket) => new Promise<void>(resolve => { socket.once('close', () => resolve()) })
const silent = (socket: Socket, ms: number) => Promise.race([once(socket, 'data').then(() => false), closed(socket).then(() => false), new Promise<boolean>(resolve => { setTimeout(resolve, ms, true) })])

t.test('without toxics everything passes, both ways, and so do the ends', async t => {
  const { dial, ends } = await open(t), socket = await dial()
  t.equal((await roundTrip(socket, 100_000)).text, alphabet(100_000))
  socket.end()
  await closed(socket)
  t.equal(ends(), 1)
})

t.test('latency, bandwidth and slices: later, slower, in pieces, but the same bytes in order', async t => {
  const { proxy, dial } = await open(t)
  proxy.down = { latency: 150, jitter: 50 }
  const { ms } = await roundTrip(await dial(), 10)
  t.ok(ms >= 95, `${ms} ms`)
  proxy.down = { bandwidth: 50_000 }
  const slow = await roundTrip(await dial(), 10_000)
  t.ok(slow.ms >= 190 && slow.text === alphabet(10_000), `${slow.ms} ms`)
  proxy.up = { slicer: 100 }
  proxy.down = { latency: 20, jitter: 20, slicer: 100 }
  const sliced = await roundTrip(await dial(), 5000)
  t.equal(sliced.text, alphabet(5000))
})

t.test('a hole swallows bytes and ends in its direction only, and opens again for new connections', async t => {
  const { proxy, dial, seen, ends } = await open(t), socket = await dial()
  await roundTrip(socket, 10)
  proxy.down = { timeout: 0 }
  socket.write('lost on its way back')
  t.ok(await silent(socket, 200))
  t.equal(seen(), 30, 'the server has it')
  proxy.up = { timeout: 0 }
  socket.write('lost at once')
  socket.destroy()
  await new Promise(resolve => setTimeout(resolve, 100))
  t.strictSame([seen(), ends()], [30, 0], 'the server knows of nothing')
  proxy.heal()
  t.equal((await roundTrip(await dial(), 10)).text, alphabet(10))
  proxy.down = { timeout: 50 }
  const other = await dial()
  other.write('x')
  await closed(other)
})

t.test('a reset comes after so many bytes, and a limit closes', async t => {
  const { proxy, dial } = await open(t)
  proxy.down = { resetPeer: [500, 600] }
  let error: NodeJS.ErrnoException | undefined, got = 0
  const socket = (await dial()).on('error', e => { error = e }).on('data', bytes => { got += bytes.length })
  socket.write(Buffer.alloc(2000))
  await closed(socket)
  t.equal(error?.code, 'ECONNRESET')
  t.ok(got <= 600, `${got} bytes`)
  t.equal(proxy.resets, 1)
  proxy.down = { limitData: 300 }
  const limited = await dial()
  let few = 0
  limited.on('data', bytes => { few += bytes.length }).write(Buffer.alloc(2000))
  await closed(limited)
  t.equal(few, 300)
})

t.test('down: nobody is let in, and who is there is thrown out; slow to close: the end comes late', async t => {
  const { proxy, dial, ends } = await open(t), socket = await dial()
  await roundTrip(socket, 10)
  const out = closed(socket)
  proxy.isDown = true
  await out
  await t.rejects(dial().then(socket => roundTrip(socket, 10)))
  proxy.heal()
  proxy.up = { slowClose: 200 }
  const slow = await dial()
  await roundTrip(slow, 10)
  const before = ends(), began = performance.now()
  slow.end()
  while (ends() === before && performance.now() - began < 5000) await new Promise(resolve => setTimeout(resolve, 5))
  t.ok(ends() > before && performance.now() - began >= 190)
})
