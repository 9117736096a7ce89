/** A TCP proxy that does to a connection what networks do: Toxiproxy's toxics, for each direction, to be changed at any time. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** What is done to the bytes of one direction. Nothing is done by what is not given. */
export interface Toxics {
  /** ms that bytes are on their way, plus or minus up to `jitter`; they stay in order. */
  readonly latency?: number
  readonly jitter?: number
  /** Bytes per second. */
  readonly bandwidth?: number
  /** Pieces of at most so many bytes, each by itself. */
  readonly slicer?: number
  /** ms by which the end of a connection is passed on late. */
  readonly slowClose?: number
  /** Bytes are swallowed, and so is the end of the connection; after so many ms both sides are closed, with 0 never: a black hole. */
  readonly timeout?: number
  /** Both sides get a reset when so many bytes have passed: for each connection a number between these two, small ones as often as large ones by their logarithm. */
  readonly resetPeer?: readonly [least: number, most: number]
  /** Both sides are closed when so many bytes have passed. */
  readonly limitData?: number
}

const QUEUED = 64                    // pieces on their way, in each direction, until no more are read

/** Between whoever connects to `port` and a server at another port of loopback. */
export class FaultProxy {
  readonly port: number
  up: Toxics = {}                    // from the client to the server
  down: Toxics = {}
  connections = 0
  resets = 0
  private refuses = false
  private readonly server: Server
  private readonly random: () => number
  private readonly pairs = new Set<Pair>()

  private constructor (server: Server, to: number, random: () => number) {
    this.server = server
    this.random = random
    this.port = (server.address() as AddressInfo).port
    server.on('connection', client => {
      if (this.refuses) return void client.resetAndDestroy()
      this.connections++
      const pair: Pair = new Pair(client, connect(to, '127.0.0.1'), this, this.random, () => this.pairs.delete(pair))
      this.pairs.add(pair)
    })
  }

  static async open (to: number, random: () => number = Math.random): Promise<FaultProxy> {
    const server = createServer({ allowHalfOpen: true })
    await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
    return new FaultProxy(server, to, random)
  }

  /** Nobody is let in, and who is there is thrown out. */
  get isDown (): boolean { return this.refuses }
  set isDown (yes: boolean) {
    this.refuses = yes
    if (yes) this.cut()
  }

  /** Resets every connection. */
  cut (): void { for (const pair of this.pairs) pair.reset() }

  /** All as it was; what is swallowed already stays so. */
  heal (): void {
    this.up = this.down = {}
    this.isDown = false
  }

  async close (): Promise<void> {
    for (const pair of this.pairs) pair.end()
    await new Promise(resolve => { this.server.close(resolve) })
  }
}

/** One connection of a client, with the one to the server that belongs to it. */
class Pair {
  private readonly client: Socket
  private readonly server: Socket
  private readonly proxy: FaultProxy
  private readonly gone: () => void

  constructor (client: Socket, server: Socket, proxy: FaultProxy, random: () => number, gone: () => void) {
    this.client = client.setNoDelay()
    this.server = server.setNoDelay()
    this.server.allowHalfOpen = true
    this.proxy = proxy
    this.gone = gone
    for (const [from, to, toxics] of [[client, server, () => proxy.up], [server, client, () => proxy.down]] as const) {
      from.on('error', () => {})
      void new Way(from, to, toxics, random, this).run().catch(() => {})
    }
  }

  reset (): void {
    this.proxy.resets++
    this.client.resetAndDestroy()
    this.server.resetAndDestroy()
    this.gone()
  }

  end (): void {
    this.client.destroy()
    this.server.destroy()
    this.gone()
  }
}

/** One direction of a connection. */
class Way {
  private readonly from: Socket
  private readonly to: Socket
  private readonly toxics: () => Toxics
  private readonly random: () => number
  private readonly pair: Pair
  private readonly queue: { readonly bytes: Buffer, readonly at: number }[] = []
  private passed = 0
  private budget: number | undefined           // bytes until the reset
  private over = false
  private wake = (): void => {}

  constructor (from: Socket, to: Socket, toxics: () => Toxics, random: () => number, pair: Pair) {
    this.from = from
    this.to = to
    this.toxics = toxics
    this.random = random
    this.pair = pair
    from.on('data', bytes => {
      this.queue.push({ bytes, at: performance.now() })
      if (this.queue.length >= QUEUED) from.pause()
      this.wake()
    })
    for (const event of ['end', 'close'] as const) from.on(event, () => { this.over = true; this.wake() })
  }

  async run (): Promise<void> {
    for (;;) {
      while (this.queue.length === 0 && !this.over) await new Promise<void>(resolve => { this.wake = resolve })
      const piece = this.queue.shift()
      if (piece === undefined) return await this.finish()
      if (this.queue.length < QUEUED / 2) this.from.resume()
      await this.pass(piece.bytes, piece.at)
      if (this.to.destroyed && this.toxics().timeout === undefined) return this.pair.end()
    }
  }

  private async pass (bytes: Buffer, at: number): Promise<void> {
    const { latency = 0, jitter = 0, slicer = bytes.length } = this.toxics()
    const wait = latency + jitter * (2 * this.random() - 1) - (performance.now() - at)
    if (wait > 1) await sleep(wait)
    for (let from = 0; from < bytes.length && !this.to.destroyed; from += slicer) await this.send(bytes.subarray(from, from + slicer))
  }

  private async send (bytes: Buffer): Promise<void> {
    const { timeout, bandwidth, resetPeer, limitData } = this.toxics()
    if (timeout !== undefined) {
      if (timeout > 0) setTimeout(() => this.pair.end(), timeout).unref()
      return
    }
    if (resetPeer !== undefined) this.budget ??= this.passed + Math.floor(resetPeer[0] * (resetPeer[1] / resetPeer[0]) ** this.random())
    else this.budget = undefined
    const end = Math.min(this.budget ?? Infinity, limitData ?? Infinity)
    const part = this.passed + bytes.length > end ? bytes.subarray(0, Math.max(0, end - this.passed)) : bytes
    if (bandwidth !== undefined) await sleep(part.length / bandwidth * 1000)
    this.passed += part.length
    if (part.length > 0 && !this.to.write(part)) await Promise.race([new Promise(resolve => { this.to.once('drain', resolve) }), new Promise(resolve => { this.to.once('close', resolve) })])
    if (part.length === bytes.length && this.passed < end) return
    await sleep(1)                   // a reset in the same turn as a write would arrive as an ordinary end
    if (end === this.budget) this.pair.reset()
    else this.pair.end()
  }

  /** The other side learns that this one has come to its end; from a hole it learns nothing. */
  private async finish (): Promise<void> {
    const { timeout, slowClose = 0 } = this.toxics()
    if (timeout !== undefined) return
    if (slowClose > 0) await sleep(slowClose)
    this.to.end()
    if (this.from.destroyed) this.to.destroySoon()
    if (this.to.destroyed || this.to.writableEnded && this.from.readableEnded && this.to.readableEnded) this.pair.end()
  }
}
