/** A journal whose source is a test. */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Credits, defineSource, SeriesTable, sleep, Type, type Delivery, type Listener, type ListenerHost, type Message } from '#engine'
import { Journal, type JournalOptions } from '../../engine/journal.ts'
import { readMessage } from '../../engine/message.ts'
import { kinds } from '../../engine/wal-segment.ts'
import { quiet } from './collect.ts'

type T = { teardown (f: () => unknown): void }
type Sender = Message['sender']
export const never = new AbortController().signal
export const HOUR = 3_600_000

export function temporary (t: T): string {
  const parent = mkdtempSync(join(tmpdir(), 'millrace-journal-')), folder = join(parent, 'log')      // alone: a log looks at those beside it
  mkdirSync(folder)
  t.teardown(() => rmSync(parent, { recursive: true, force: true }))
  return folder
}

/** A listener that hears what a test says, and keeps what it has not acknowledged yet. */
class Ear implements Listener {
  readonly host: ListenerHost
  readonly acknowledged: string[] = []
  held: { readonly at: number, readonly text: string }[] = []
  constructor (host: ListenerHost) {
    this.host = host
    host.listening(true)
  }
  hear (text: string, sender?: Sender): number | undefined {
    const at = this.host.append({ topic: 'd/m', payload: Buffer.from(text), sender })
    if (at !== undefined) this.held.push({ at, text })
    if (at !== undefined && at <= this.host.durableUpTo) this.durable(this.host.durableUpTo)
    return at
  }
  durable (upTo: number): void {
    while (this.held.length > 0 && this.held[0].at <= upTo) this.acknowledged.push(this.held.shift()!.text)
  }
  lost (): void { this.held = [] }
  trouble (): string | undefined { return undefined }
  stop (): void {}
  async close (): Promise<void> {}
}

export interface Open { readonly journal: Journal, readonly ear: Ear, readonly lines: ReturnType<typeof quiet>['lines'] }
export async function open (t: T, folder: string, options: Partial<JournalOptions> = {}): Promise<Open> {
  let ear!: Ear
  const spec = defineSource({
    name: 'ear', summary: 'Hears what a test says.', options: Type.Object({}),
    listen: (_, host) => ear = new Ear(host),
    decode: (_, series, intake) => (topic, payload, ingest, _stamp, position) => {
      const at = intake.message(topic, payload, ingest, position)
      intake.reading(series.id('default', 'd', 'm'), ingest, Number(Buffer.from(payload).toString()))
      return at
    }
  })()
  const { log, lines } = quiet()
  const journal = await Journal.open(spec, { folder, log, client: 'me', pipelines: ['p'], tick: HOUR, ...options }, never)
  t.teardown(() => journal.close().catch(() => {}))
  journal.listen()
  return { journal, ear, lines }
}

/** What another process finds that starts when this one is killed. */
export function killed (t: T, folder: string): string {
  const copy = temporary(t)
  cpSync(folder, copy, { recursive: true })
  rmSync(join(copy, 'lock'), { recursive: true, force: true })
  return copy
}

interface Record { readonly position: number, readonly kind: string, readonly ingest: number, readonly text: string }
const nameOf = Object.fromEntries(Object.entries(kinds).map(([name, kind]) => [kind, name]))
/** All that is durable in it. */
export async function records ({ wal }: Journal): Promise<Record[]> {
  await wal.flush()
  const found: Record[] = [], reader = wal.reader(wal.first - 1)
  while (reader.position < wal.durable) await reader.read((position, kind, ingest, bytes, from, to) => { found.push({ position, kind: nameOf[kind], ingest, text: kind === kinds.message ? bytes.toString('utf8', readMessage(bytes, from).payload, to) : '' }) })
  await reader.close()
  return found
}
export const messages = async (journal: Journal): Promise<string[]> => (await records(journal)).filter(r => r.kind === 'message').map(r => r.text)
export const until = async (holds: () => boolean, ms = 60_000) => {
  for (const end = Date.now() + ms; !holds();) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${String(holds)}`)
    await sleep(5)
  }
}
export const from = (client: string, packet: number, again = false): Sender => ({ client, packet, again })
/** Fills the log until `share` of its budget is used, segment by segment. */
export async function fill ({ journal, ear }: Open, share: number): Promise<void> {
  while (journal.wal.bytes < share * journal.budget) {
    ear.hear('1'.padStart(1000, '0'))
    await journal.wal.flush()
  }
}
export const budget = 200_000

/** A pipeline at work: reads the log after `from`; with `stuck` it commits nothing. */
export function reading (journal: Journal, pipeline: string, from: number, stuck = false) {
  const series = new SeriesTable(10), credits = new Credits(), stop = new AbortController()
  const source = journal.source({ pipeline, series, ahead: HOUR, log: journal.log, now: Date.now, origin: undefined })
  const values: number[] = [], held: Delivery[] = []
  const done = (delivery: Delivery) => {
    source.done!(delivery.upTo)
    credits.give(delivery.bytes)
  }
  let failure: unknown
  const subscription = source.open(from, credits, stop.signal).subscribe({
    next (delivery) {
      values.push(...delivery.rows.value)
      if (stuck) held.push(delivery)
      else setImmediate(done, delivery)
    },
    error (error) { failure = error }
  })
  return {
    values,
    get failure () { return failure },
    go () { stuck = false; for (const delivery of held.splice(0)) done(delivery) },
    stop () { subscription.unsubscribe(); void source.close!() }
  }
}
