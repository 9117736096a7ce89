/** How commands ask the API of a process that runs. */
import type { Command } from 'commander'
import { errors, MillraceError, type Code } from '../errors.ts'

export interface RemoteOptions { readonly url: string, readonly key?: string }

/** Gives a command the options of those that ask the API. */
export const remote = (command: Command): Command => command
  .option('--url <url>', 'where the process listens', 'http://127.0.0.1:8080')
  .option('--key <key>', 'a key of it (or MILLRACE_KEY, which no list of processes shows)')

export interface Ask { readonly method?: string, readonly body?: string | Blob, readonly path: string, readonly query?: Readonly<Record<string, string | undefined>>, readonly headers?: Readonly<Record<string, string>>, readonly signal?: AbortSignal }

/** Asks; throws what the API says is wrong with its code, source/unreachable when nobody answers. */
export async function ask ({ url, key = process.env.MILLRACE_KEY }: RemoteOptions, { method = 'GET', body, path, query = {}, headers = {}, signal }: Ask): Promise<Response> {
  if (key === undefined) throw new MillraceError('usage/command', 'no key', { help: 'set MILLRACE_KEY, or give --key; millrace keys create makes one' })
  if (!URL.canParse(url) || !/^https?:/.test(url)) throw new MillraceError('usage/command', `--url "${url}" is no URL`, { help: 'such as http://127.0.0.1:8080' })
  const to = new URL(path, url)
  for (const [name, value] of Object.entries(query)) if (value !== undefined) to.searchParams.set(name, value)
  let reply: Response
  try {
    reply = await fetch(to, { method, ...body === undefined ? {} : { body }, headers: { ...headers, authorization: `Bearer ${key}` }, redirect: 'error', ...signal === undefined ? {} : { signal } })
  } catch (cause) {
    if (signal?.aborted) throw cause
    throw new MillraceError('source/unreachable', `nobody answers at ${to.origin}: ${((cause as Error).cause as Error | undefined)?.message ?? (cause as Error).message}`, { help: 'is it running there? --url', cause })
  }
  if (reply.ok) return reply
  const problem = await reply.json().catch(() => ({})) as { code?: string, detail?: string, help?: string }
  throw new MillraceError(problem.code !== undefined && Object.hasOwn(errors, problem.code) ? problem.code as Code : 'api/failed', problem.detail ?? `${to.origin} answered ${reply.status}`, { help: problem.help })
}

export interface ServerEvent { readonly id: string | undefined, readonly event: string, readonly data: string }

/** Server-sent events of a body, as the HTML standard reads them (lines end in \n here: it is our own server). Comments are passed over. */
export async function* eventsOf (body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  let rest = ''
  for await (const text of body.pipeThrough(new TextDecoderStream() as never) as AsyncIterable<string>) {
    const blocks = (rest + text).split('\n\n')
    rest = blocks.pop()!
    for (const block of blocks) {
      const fields = new Map<string, string>()
      for (const line of block.split('\n')) {
        const colon = line.indexOf(':')
        if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).replace(/^ /, ''))
      }
      const data = fields.get('data')
      if (data !== undefined) yield { id: fields.get('id'), event: fields.get('event') ?? 'message', data }
    }
  }
}

const AGAIN = 2000, MOST = 30_000    // ms

/**
 * The stream of a process, on and on: after a connection that was lost it comes back behind the last event. `said` gets notices.
 * Ends at `signal`; throws when it was refused.
 */
export async function* follow (options: RemoteOptions, query: Readonly<Record<string, string | undefined>>, signal: AbortSignal, said: (notice: string) => void): AsyncGenerator<ServerEvent> {
  let last: string | undefined, tries = 0
  while (!signal.aborted) {
    try {
      const reply = await ask(options, { path: '/api/v1/stream', query, signal, headers: { accept: 'text/event-stream', ...last === undefined ? {} : { 'last-event-id': last } } })
      for await (const event of eventsOf(reply.body!)) {
        tries = 0
        if (event.event === 'notice') said((JSON.parse(event.data) as { detail: string }).detail)
        else {
          last = event.id ?? last
          yield event
        }
      }
    } catch (error) {
      if (signal.aborted) return
      const away = error instanceof MillraceError ? ['source/unreachable', 'api/busy', 'store/unreachable'].includes(error.code) && last !== undefined : true
      if (!away) throw error
      said((error as Error).message)
    }
    if (!signal.aborted) await new Promise<void>(resolve => { const timer = setTimeout(resolve, Math.min(MOST, AGAIN * 2 ** tries++)); signal.addEventListener('abort', () => { clearTimeout(timer); resolve() }, { once: true }) })
  }
}
