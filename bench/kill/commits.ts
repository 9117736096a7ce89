import pg from 'pg'

const EVERY = 10                     // ms
interface Seen { readonly epoch: number, readonly version: number }

/** Watches the checkpoint: how many commits there were, and how long after a start of the engine the first new one was seen. */
export class Commits {
  /** Commits so far: the greatest version, which is a number of commits and, in any partition, no more than all of them. */
  count = 0
  /** Ms from a start to its first commit, for each start that came so far. */
  readonly firsts: number[] = []
  private readonly url: string
  private client: pg.Client | undefined        // anew when the database was away
  private epoch = 0
  private start: { readonly spawned: number, readonly epoch: number, base: number | undefined } | undefined
  private closed = false
  private readonly running: Promise<void>

  constructor (url: string) {
    this.url = url
    this.running = this.run()
  }

  /** The engine has been started, at this time of performance.now(). */
  started (spawned: number): void { this.start = { spawned, epoch: this.epoch, base: undefined } }

  async close (): Promise<void> {
    this.closed = true
    await this.running
    await this.client?.end().catch(() => {})
  }

  private async run (): Promise<void> {
    while (!this.closed) {
      const row = await this.ask().catch(() => undefined)
      if (row !== undefined) this.see(row)
      await new Promise(resolve => setTimeout(resolve, EVERY))
    }
  }

  private async ask (): Promise<Seen | undefined> {
    if (this.client === undefined) {
      const client = new pg.Client(this.url)
      client.on('error', () => {}).on('end', () => { this.client = undefined })
      await client.connect()
      this.client = client
    }
    return (await this.client.query<Seen>('SELECT coalesce(sum(epoch), 0)::float8 AS epoch, coalesce(max(version), 0)::float8 AS version FROM checkpoint')).rows[0]
  }

  /** A commit of the life before may still arrive after its end, but not once the next one has raised the epoch. */
  private see ({ epoch, version }: Seen): void {
    this.epoch = epoch
    this.count = version
    const { start } = this
    if (start === undefined || epoch <= start.epoch) return
    start.base ??= version
    if (version === start.base) return
    this.firsts.push(performance.now() - start.spawned)
    this.start = undefined
  }
}
