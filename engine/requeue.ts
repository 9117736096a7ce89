import { createHash } from 'node:crypto'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { clock } from './clock.ts'
import type { FileSystem } from './files.ts'
import { isoMicros } from './iso.ts'
import type { Message } from './listener.ts'
import type { Logger } from './log.ts'
import type { SeriesName } from './series.ts'
import type { Position } from './source.ts'
import type { Letter } from './store.ts'

/** One message that is to be read once more. `file` is named after it: left twice it is one request. `client`: what the request goes by in the log. */
interface Request { readonly file: string, readonly client: string, readonly message: Message }

interface Taker {
  readonly append: (message: Message) => Position | undefined
  readonly flush: () => Promise<void>
  readonly confirm: (client: string) => void
}

const FOLDER = 'requeue'
/** Letters that are one reading, not a message as it came. */
const READINGS: readonly string[] = ['operator_failed', 'rejected_by_store', 'beyond_retention', 'late']

/**
 * Leaves requests for the engine that reads the log in `folder`, which takes them up within a second, or when it starts. A message
 * of which some readings were refused is read again as a whole, once, with those that were not: its bytes stand with its first letter,
 * and which of them gave rows is not known here. A reading that came too late in several branches is read again once. Returns the letters
 * that cannot be read again, and why. A message without a time of its own has that of its first arrival (also when it had one in a
 * property or header, which is not kept).
 */
export async function leaveRequests (folder: string, letters: readonly Letter[]): Promise<ReadonlyMap<Letter, string>> {
  const to = join(folder, FOLDER)
  await mkdir(to, { recursive: true, mode: 0o700 })
  const refused = new Map<Letter, string>()
  for (const letter of letters) {
    const { origin, position, part, reason, topic, payload, ingest } = letter
    const single = !isMessage(letter)
    if (!single && part > 0) {
      if (!letters.some(l => l.part === 0 && l.position === position && l.origin === origin)) refused.set(letter, `the bytes of its message stand with ${position}/0: name the position, without a reason`)
      continue
    }
    const reading = single ? readingOf(payload) : undefined
    if (single && reading === undefined) { refused.set(letter, 'it is a row of a window'); continue }
    const key = reason === 'late' ? `late:${origin}/${position}/${digest(reading)}` : `dead:${origin}/${position}/${part}`
    const name = Buffer.from(key).toString('base64url')
    await writeFile(join(to, `${name}.new`), JSON.stringify({ key, id: clock.id(), topic, reading, payload: Buffer.from(payload).toString('base64'), stamp: isoMicros(ingest) }), { flush: true })
    await rename(join(to, `${name}.new`), join(to, `${name}.json`))
  }
  return refused
}

/** Does it stand for a message as it came, of which other readings may be rows? */
export const isMessage = ({ reason }: Letter): boolean => !READINGS.includes(reason)

/**
 * Takes up what was left: `append` gives the position of a message in the log, undefined when there is no room, `flush` resolves when it is durable. In
 * the log once each, however often this is cut short: a request counts as a sender that sends again until it is confirmed.
 */
export async function takeUp (fs: FileSystem, folder: string, log: Pick<Logger, 'error'>, { append, flush, confirm }: Taker): Promise<void> {
  for (const { file, client, message } of await readRequests(fs, folder, log)) {
    if (append({ ...message, sender: { client, packet: 0, again: true } }) === undefined) return
    await flush()
    await fs.unlink(file)
    confirm(client)
  }
}

/** What was left. A file that is no request is renamed, so that it is in nobody's way. */
export async function readRequests (fs: FileSystem, folder: string, log: Pick<Logger, 'error'>): Promise<Request[]> {
  const from = join(folder, FOLDER), requests: Request[] = []
  for (const name of (await fs.readdir(from).catch(() => [])).filter(name => name.endsWith('.json')).toSorted()) {
    const file = join(from, name), text = await fs.readFile(file, 'utf8')
    try {
      const { key, id = '', topic, reading, payload, stamp } = JSON.parse(text) as { key: string, id?: string, topic: string, reading?: Message['reading'], payload: string, stamp: string }
      if (typeof key !== 'string' || typeof topic !== 'string') throw new TypeError('it has no key or no topic')
      requests.push({ file, client: `requeue:${key} ${id}`, message: { topic, payload: Buffer.from(payload, 'base64'), stamp, ...reading === undefined ? {} : { reading: { ...reading, value: reading.value ?? NaN } } } })
    } catch (error) {
      log.error({ file, err: (error as Error).message }, 'log: this is no message to be read once more; it is renamed to .bad')
      await fs.rename(file, `${file}.bad`)
    }
  }
  return requests
}

const digest = (reading: object | undefined): string => createHash('sha256').update(JSON.stringify(reading)).digest('hex').slice(0, 32)

/** The reading that a letter stands for; undefined when it stands for a row of a window. */
function readingOf (payload: Uint8Array): (SeriesName & { readonly time: number, readonly value: number | null }) | undefined {
  const { tenant, device, metric, time, value, revision } = JSON.parse(Buffer.from(payload).toString()) as Record<string, any>
  return revision === undefined && typeof time === 'number' ? { tenant, device, metric, time, value } : undefined
}
