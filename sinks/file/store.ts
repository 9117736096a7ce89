import { mkdir, readFile, readdir, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { backoff, isoMicros, Lock, MillraceError, sleep, Transient, type AlertEvent, type Commit, type Counts, type Letter, type LetterQuery, type Outcome, type OutboxEntry, type Recovered, type Settled, type SinkHost, type Store, type StorePlan } from '#engine'
import { RowText } from '../format/rows.ts'
import { DataFiles, dayFile, tableFile } from './data.ts'
import { LogWriter, readFrames, syncFolder } from './log.ts'
import { lettersOf, markRequeued } from './letters.ts'
import { PageFiles } from './pages.ts'

interface Pending { readonly event: AlertEvent, readonly receiver: string, readonly attempts: number, readonly due: number }

/** What the records of the log come to. */
interface State {
  version: number
  epoch: number
  position: number | undefined
  origin: string | undefined
  marks: Recovered['marks']
  snapshots: Header[]              // newest first
  ingest: number
  counts: Record<string, Counts>
  readonly files: Record<string, number>     // file -> committed bytes
  readonly pending: Map<string, Pending>     // deliveries still to be made, by event and receiver
  readonly done: Map<string, number>         // deliveries made or given up in the last day, with the ingest time
}
type Header = NonNullable<NonNullable<Commit['snapshot']>['complete']>
interface CommitRecord extends Pick<Commit, 'position' | 'origin' | 'marks' | 'ingest'> {
  readonly snapshot?: Header | undefined     // complete with this commit
  readonly version: number                   // after it
  readonly counts: Record<string, Counts>
  readonly files: Record<string, number>
  readonly alerts: Commit['alerts']
}
type Change = { readonly commit: CommitRecord } | { readonly settled: readonly { readonly key: string, readonly how: Settled }[] }
type LogRecord = { readonly state: State } | Change

const LEASE = 60_000                 // ms
const DAY = 864e5
const FULL = ['ENOSPC', 'EDQUOT']
const key = (id: string, receiver: string): string => `${id}\0${receiver}`

/**
 * A pipeline's store in local files. A commit appends its rows to `<table>.ndjson`, makes them durable, then appends one
 * record to the log, which holds the position, the counts, the alerts to be sent and the lengths of all files: that record
 * is the commit. Opening reads the log, cuts every file to its committed length and goes on in a new segment of the log
 * that begins with all the state, so older ones are not needed any more. Two syncs per commit, about 1 to 2 ms.
 *
 * It has no index: rows are exact by position, and a reading that a source hands over again is stored again.
 */
export class FileStore implements Store {
  private readonly folder: string
  private readonly plan: StorePlan
  private readonly host: SinkHost
  private readonly text: RowText
  private readonly retention: number         // ms
  private readonly segment: number           // bytes
  private readonly leases = new Map<string, number>()
  private readonly pages: PageFiles
  private state: State = { version: 0, epoch: 0, position: undefined, origin: undefined, marks: [], snapshots: [], ingest: 0, counts: {}, files: {}, pending: new Map(), done: new Map() }
  private settling: { readonly key: string, readonly how: Settled }[] = []
  private last: Promise<unknown> = Promise.resolve()
  private segments = 0
  private lock: Lock | undefined
  private log: LogWriter | undefined
  private data: DataFiles | undefined
  private ailing: string | undefined

  /** `retention`: ms that late rows, dead letters and alerts are kept. `segment`: bytes of log after which a new segment begins. */
  constructor (folder: string, plan: StorePlan, host: SinkHost, { retention = 30 * DAY, segment = 4 * 2 ** 20 } = {}) {
    this.folder = folder
    this.plan = plan
    this.host = host
    this.text = new RowText(host.series)
    this.retention = retention
    this.segment = segment
    this.pages = new PageFiles(join(folder, 'snapshots'))
  }

  readonly whole = true

  async open (signal: AbortSignal, epoch?: number): Promise<Recovered> {
    for (const wait of backoff()) {
      try {
        return await this.openOnce(signal, epoch)
      } catch (cause) {
        const error = this.explained(cause)
        if (!(error instanceof Transient) || signal.aborted) throw error
        this.ailing = error.message
        this.host.log.warn({ err: error.message }, 'the file store cannot be opened, trying again')
        await sleep(wait, signal)
      }
    }
    throw new Error('unreachable')
  }

  private async openOnce (signal: AbortSignal, only: number | undefined): Promise<Recovered> {
    await mkdir(join(this.folder, 'log'), { recursive: true, mode: 0o700 })
    this.lock = await Lock.take(join(this.folder, 'lock'), { name: 'file store', code: 'store/locked', help: 'stop that process, or give this pipeline another name or folder' }, signal)
    try {
      await this.recover()
      if (only !== undefined && this.state.epoch !== only) throw this.fenced()
      for (const { key: now, former } of this.plan.receivers ?? []) for (const before of former) rekey(this.state, before, now)
      this.data = new DataFiles(this.folder, this.state.files, this.retention)
      await this.data.recover(this.plan.tables.map(t => t.name))
      this.state.epoch++
      await this.begin()
      await this.pages.recover(this.state.snapshots.map(s => s.generation))
    } catch (error) {
      await this.close()
      throw error
    }
    this.ailing = undefined
    const { position, origin, ingest, version, epoch, counts, marks, snapshots } = this.state
    return { position, origin, ingest, version, epoch, counts, marks, snapshots: snapshots.map(s => ({ ...s, content: () => this.pages.read(s.generation) })) }
  }

  commit (commit: Commit): Promise<readonly Outcome[]> {
    return this.alone(async () => {
      await this.guard(commit)
      const outcomes = commit.writes.map(({ batch }) => ({ written: batch.length, duplicates: 0, refused: 0 }))
      const counts = commit.counts(outcomes)
      const files = await this.data!.append(this.lines(commit))
      const { position, origin, marks, ingest, snapshot } = commit
      if (snapshot !== undefined) await this.pages.append(snapshot.generation, snapshot.pages, snapshot.complete !== undefined)
      const alerts = commit.alerts.filter(a => a.receivers.length > 0)
      await this.record({ commit: { version: commit.version + 1, position, origin, marks, ingest, counts, files, alerts, snapshot: snapshot?.complete } })
      this.data!.committed(files)
      if (snapshot !== undefined) this.pages.committed()
      if (snapshot?.complete !== undefined) await this.pages.keepOnly(this.state.snapshots.map(s => s.generation)).catch(error => this.host.log.warn({ err: error }, 'file store: an old snapshot cannot be deleted, the next one tries again'))
      if (this.log!.size >= this.segment) await this.begin().catch(error => this.host.log.warn({ err: error }, 'file store: no new segment of the log, going on in the old one'))
      return outcomes
    })
  }

  async due (limit: number, now: number, except: readonly string[] = []): Promise<readonly OutboxEntry[]> {
    const entries: OutboxEntry[] = []
    if (this.state.pending.size > 0 && await this.lock?.mine() === false) throw this.fenced()
    for (const [of, { event, receiver, attempts, due }] of this.state.pending) {
      if (entries.length >= limit) break
      if (due > now || (this.leases.get(of) ?? -Infinity) > now || except.includes(receiver)) continue
      if (event.state === 'resolved' && this.state.pending.has(key(`${event.incident}.firing`, receiver))) continue      // an end is not told before its beginning
      this.leases.set(of, now + LEASE)
      entries.push({ id: event.id, events: [event], receiver, attempts })
    }
    return entries
  }

  async waiting (until = Infinity): Promise<number> { return [...this.state.pending.values()].filter(({ due }) => due <= until).length }

  /** All that wait to be settled become one record. */
  settle (entry: OutboxEntry, how: Settled): Promise<void> {
    this.settling.push({ key: key(entry.id, entry.receiver), how })
    return this.alone(async () => {
      const settled = this.settling
      this.settling = []
      if (settled.length === 0) return
      try {
        await this.record({ settled })
      } catch (error) {
        this.settling.unshift(...settled)
        throw error
      }
      for (const { key } of settled) this.leases.delete(key)
    })
  }

  letters (query: LetterQuery): Promise<readonly Letter[]> { return lettersOf(this.folder, query) }
  requeued (letters: readonly Letter[]): Promise<void> { return markRequeued(this.folder, letters) }

  /** Its files stay, in a folder beside this one whose name ends in the time. */
  async forget (): Promise<void> {
    await rename(this.folder, `${this.folder}.${new Date().toISOString().replaceAll(':', '')}`).catch(error => { if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error })
  }

  async close (): Promise<void> {
    await this.last
    await this.log?.close()
    await this.data?.close()
    await this.pages.close()
    await this.lock?.release()
    this.log = this.data = this.lock = undefined
  }

  trouble (): string | undefined { return this.ailing }

  private async guard (commit: Commit): Promise<void> {
    const { epoch, version } = this.state
    if (commit.epoch !== epoch || !await this.lock!.mine()) throw this.fenced()
    if (commit.version !== version) throw new MillraceError('store/fenced', `file store: a commit after version ${commit.version} of "${this.plan.pipeline}", which is at version ${version}`)
  }

  private fenced (): MillraceError {
    return new MillraceError('store/fenced', `file store: another process has taken over "${this.plan.pipeline}" in ${this.folder}`)
  }

  /** Durable in the log, then true of the state. */
  private async record (record: Change): Promise<void> {
    await this.log!.append(record)
    if (!await this.lock!.mine()) throw this.fenced()
    apply(this.state, record)
  }

  private lines ({ writes, late, deadLetters, alerts, ingest, origin = '' }: Commit): Map<string, string[]> {
    const lines = new Map<string, string[]>()
    const add = (file: string, text: readonly string[]) => {
      const known = lines.get(file)
      if (known === undefined) lines.set(file, [...text])
      else for (const line of text) known.push(line)
    }
    for (const { table, batch } of writes) add(tableFile(table), this.text.lines(batch))
    for (const { branch, step, batch } of late) {
      const where = `{"branch":${JSON.stringify(branch)},"step":${JSON.stringify(step)},"origin":${JSON.stringify(origin)},`
      add(dayFile('late', ingest), this.text.lines(batch).map((line, i) => `${where}"position":${batch.position[i]},"ingest":"${isoMicros(ingest)}",${line.slice(1)}`))
    }
    add(dayFile('dead_letters', ingest), deadLetters.map(d => JSON.stringify({ origin, ...d, ingest: isoMicros(d.ingest), payload: Buffer.from(d.payload).toString('base64') })))
    add(dayFile('alerts', ingest), alerts.map(({ event, receivers, stale = false }) => JSON.stringify({ ...event, since: isoMicros(event.since), time: isoMicros(event.time), stale, receivers })))
    return lines
  }

  /** A disk that is full is waited for: each file of a commit is written over from where the last commit ended. */
  private explained (error: unknown): unknown {
    return FULL.includes((error as NodeJS.ErrnoException).code ?? '') ? new Transient(`file store: the disk of ${this.folder} is full`, { cause: error }) : error
  }

  /** The newest segment whose first record is whole says everything; a newer one was never finished. */
  private async recover (): Promise<void> {
    const names = (await readdir(join(this.folder, 'log'))).filter(name => /^\d+\.log$/.test(name)).toSorted((a, b) => Number.parseInt(b) - Number.parseInt(a))
    this.segments = names.length === 0 ? 0 : Number.parseInt(names[0])
    for (const name of names) {
      const file = join(this.folder, 'log', name)
      const bytes = await readFile(file)
      const { records, end } = readFrames(bytes, file)
      if (end < bytes.length) this.host.log.warn({ file, at: end, bytes: bytes.length - end }, 'file store: the log ends in a record that was never finished; it is left out')
      if (records.length === 0) continue
      for (const record of records as LogRecord[]) {
        if ('state' in record) this.state = record.state
        else apply(this.state, record)
      }
      return
    }
    const rows = (await readdir(this.folder)).find(name => name.endsWith('.ndjson'))
    if (rows !== undefined && (await readFile(join(this.folder, rows))).length > 0) throw new MillraceError('store/damaged', `file store: ${this.folder} has ${rows} but no log that says what of it is committed`, { help: 'restore the log, or move the files away to begin anew' })
  }

  /** A new segment, with all the state as its first record. The one before stays until the next. */
  private async begin (): Promise<void> {
    const { state } = this
    for (const [key, at] of state.done) if (at + DAY < state.ingest) state.done.delete(key)
    const name = String(++this.segments).padStart(8, '0')
    const log = await LogWriter.create(join(this.folder, 'log', `${name}.log`))
    try {
      await log.append({ state })
      await syncFolder(join(this.folder, 'log'))
    } catch (error) {
      await log.close()
      await unlink(log.file).catch(() => {})
      throw error
    }
    if (!await this.lock!.mine()) throw this.fenced()
    const before = this.log
    this.log = log
    await before?.close()
    for (const old of await readdir(join(this.folder, 'log'))) if (Number.parseInt(old) < this.segments - 1) await unlink(join(this.folder, 'log', old))
  }

  /** One after the other. Keeps in mind whether the last one failed, for trouble(). */
  private alone<T> (act: () => Promise<T>): Promise<T> {
    const result = this.last.then(() => {
      if (this.log === undefined) throw new MillraceError('store/failed', 'file store: it is not open')
      return act()
    }).catch((error: unknown) => { throw this.explained(error) })
    this.last = result.then(() => { this.ailing = undefined }, (error: Error) => { this.ailing = error.message })
    return result
  }
}

/** A receiver goes by another key from now on. */
function rekey ({ pending, done }: State, before: string, now: string): void {
  for (const [of, entry] of [...pending].filter(([, entry]) => entry.receiver === before)) {
    pending.delete(of)
    pending.set(key(entry.event.id, now), { ...entry, receiver: now })
  }
  for (const [of, at] of [...done].filter(([of]) => of.endsWith(key('', before)))) {
    done.delete(of)
    done.set(`${of.slice(0, -before.length)}${now}`, at)
  }
}

/** What a record changes: the same when it is written and when it is read again. */
function apply (state: State, record: Change): void {
  if ('commit' in record) {
    const { version, position, origin, marks, ingest, counts, snapshot, files, alerts } = record.commit
    Object.assign(state, { version, position, origin, ingest, counts })
    if (snapshot !== undefined) state.snapshots = [snapshot, ...state.snapshots.slice(0, 1)]
    state.marks = [...state.marks, ...marks.map(mark => ({ ...mark, position, version }))].filter(mark => mark.version > (state.snapshots.at(-1)?.version ?? -1))
    Object.assign(state.files, files)
    for (const { event, receivers } of alerts) {
      for (const receiver of receivers) {
        const of = key(event.id, receiver)
        if (!state.done.has(of) && !state.pending.has(of)) state.pending.set(of, { event, receiver, attempts: 0, due: -Infinity })
      }
    }
    return
  }
  for (const { key, how } of record.settled) {
    const entry = state.pending.get(key)
    if (entry === undefined) continue
    if (how.state === 'retry') state.pending.set(key, { ...entry, attempts: entry.attempts + 1, due: how.after ?? -Infinity })
    else {
      state.pending.delete(key)
      state.done.set(key, state.ingest)
    }
  }
}
