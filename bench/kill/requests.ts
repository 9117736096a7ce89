import { Agent, request } from 'node:http'

const WINDOW = 250                   // messages that were not acknowledged
const AGAIN = 20                     // ms from a request that failed to the next try
const PATIENCE = 5000                // ms for an answer

interface Sent { readonly topic: string, readonly payload: string, readonly key: string, readonly acknowledged: () => void }

/**
 * Posts readings as a gateway does: one after the other on one connection, each under an Idempotency-Key of its own, and what was
 * not answered 202 again under the same one, until it is.
 */
export class Requests {
  private readonly port: number
  private readonly authorization: string
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 1 })
  private readonly waiting: Sent[] = []
  replayed = 0                       // requests that the engine said it had taken before
  private closed = false
  private running = false

  constructor (port: number, key: string) {
    this.port = port
    this.authorization = `Bearer ${key}`
  }

  get room (): boolean { return this.waiting.length < WINDOW }
  get left (): number { return this.waiting.length }

  publish (topic: string, payload: string, acknowledged: () => void, id: string): void {
    this.waiting.push({ topic, payload, key: `message-${id}`, acknowledged })
    if (!this.running) void this.run()
  }

  close (): void {
    this.closed = true
    this.agent.destroy()
  }

  private async run (): Promise<void> {
    this.running = true
    while (this.waiting.length > 0 && !this.closed) {
      const [next] = this.waiting
      if (await this.post(next)) {
        this.waiting.shift()
        next.acknowledged()
      } else await new Promise(resolve => { setTimeout(resolve, AGAIN) })
    }
    this.running = false
  }

  private post ({ topic, payload, key }: Sent): Promise<boolean> {
    const [, device, metric] = topic.split('/')
    return new Promise(resolve => {
      const asked = request({
        host: '127.0.0.1', port: this.port, agent: this.agent, method: 'POST', path: `/api/v1/ingest?device=${device}&metric=${metric}`, timeout: PATIENCE,
        headers: { authorization: this.authorization, 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload), 'idempotency-key': key }
      }, response => {
        if (response.headers['idempotency-replayed'] === 'true') this.replayed++
        response.resume().on('end', () => { resolve(response.statusCode === 202) }).on('error', () => { resolve(false) }).on('close', () => { resolve(false) })
      })
      asked.on('error', () => { resolve(false) }).on('timeout', () => { asked.destroy() }).end(payload)
    })
  }
}
