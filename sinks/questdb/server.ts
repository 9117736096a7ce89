import { MillraceError, Transient, withoutSecrets } from '#engine'

const MOST = 2 ** 22                 // bytes of an answer, unpacked: a table with ten thousand columns says less

/** The HTTP side of QuestDB: SQL and lines. Every request ends within `timeout` ms, and nothing of it goes on after that on this side. */
export class Server {
  readonly origin: string
  private readonly headers: Readonly<Record<string, string>>
  private readonly timeout: number
  private readonly secrets: readonly (string | undefined)[]
  private readonly closing = new AbortController()

  /** `secrets`: what of `authorization` no message may say, should the server say it back. */
  constructor (origin: string, authorization: string | undefined, timeout: number, secrets: readonly (string | undefined)[] = []) {
    this.origin = origin
    this.headers = authorization === undefined ? {} : { authorization }
    this.timeout = Math.ceil(timeout)
    this.secrets = [authorization, ...secrets]
  }

  /** Cuts short what is under way. */
  close (): void { this.closing.abort(new Error('closed')) }

  /** Rows of a statement's result. */
  async sql (statement: string): Promise<Record<string, unknown>[]> {
    const { columns = [], dataset = [] } = parsed(await this.ask(`/exec?${new URLSearchParams({ query: statement }).toString()}`))
    return dataset.map(row => Object.fromEntries(row.map((cell, i) => [columns[i].name, cell])))
  }

  /** One request is one transaction: all of the lines, or none. */
  async write (lines: Uint8Array): Promise<void> { await this.ask('/write?precision=n', lines) }

  /** Version 2 of the line protocol, in which doubles are binary, must be known there. */
  async check (): Promise<void> {
    const versions = parsed(await this.ask('/settings')).config?.['line.proto.support.versions'] ?? []
    if (!versions.map(String).includes('2')) throw new MillraceError('sink/failed', `questdb at ${this.origin} does not know version 2 of the line protocol`, { help: 'QuestDB 9.0 or newer does' })
  }

  private async ask (path: string, body?: Uint8Array): Promise<string> {
    let status: number, answer: string
    try {
      const response = await fetch(this.origin + path, { headers: this.headers, signal: AbortSignal.any([this.closing.signal, AbortSignal.timeout(this.timeout)]), redirect: 'manual', ...body === undefined ? {} : { method: 'POST', body } })
      status = response.status
      answer = await textOf(response)
    } catch (error) {
      const { name, message, cause } = error as Error
      throw new Transient(`questdb at ${this.origin}: ${name === 'TimeoutError' ? `no answer within ${this.timeout} ms` : cause instanceof Error ? cause.message : message}`, { cause: error })
    }
    if (status === 200 || status === 204) return answer
    const { error, message = answer } = parsed(answer)
    const why = withoutSecrets(error ?? message, this.secrets).slice(0, 500).trim()
    throw refusal(`questdb at ${this.origin} answered ${status}${why === '' ? '' : `: ${why}`}`, status)
  }
}

async function textOf ({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body ?? []) {
    if ((size += chunk.length) > MOST) throw new Error(`its answer is larger than ${MOST} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

interface Answer {
  readonly columns?: readonly { readonly name: string }[]
  readonly dataset?: readonly unknown[][]
  readonly config?: Readonly<Record<string, readonly unknown[]>>
  readonly error?: string
  readonly message?: string
}
const parsed = (answer: string): Answer => { try { return JSON.parse(answer) as Answer } catch { return {} } }

/** What an answer other than success means. A table that another writer holds is worth another try. */
const refusal = (message: string, status: number): Error =>
  status >= 500 || status === 408 || status === 429 || /\bbusy\b|could not lock|timed? ?out/i.test(message) ? new Transient(message) : new MillraceError('sink/failed', message)
