/** A bug that safety depends on not being there. `find` stands once in `file`; `by`: what has to catch it. */
export interface Mutant { readonly name: string, readonly row: string, readonly by: `test/${string}.test.ts`, readonly file: string, readonly find: string, readonly replace: string }

export const mutants: readonly Mutant[] = [
  {
    name: 'the log is dropped up to the newest snapshot, as if it could not be damaged', row: 'K/D3', by: 'test/engine/checkpoint.test.ts', file: 'engine/checkpoint.ts',
    find: '? 0 : older.position', replace: '? 0 : newer.position'
  },
  {
    name: 'no fence: a commit of an old epoch passes', row: 'K12', by: 'test/sinks/postgres-laws.test.ts', file: 'sinks/postgres-snapshots.ts',
    find: ' AND epoch = ${epoch} AND', replace: ' AND'
  },
  {
    name: 'guard without version', row: 'K9', by: 'test/sinks/postgres.test.ts', file: 'sinks/postgres-snapshots.ts',
    find: "AND (partition, version) IN (${movedBy(partitions).map(p => `(${p}, ${versions[p]})`).join(', ')})", replace: "AND partition IN (${movedBy(partitions).join(', ')})"
  },
  {
    name: 'an unknown outcome is taken for a failure', row: 'K9', by: 'test/sinks/postgres-faults.test.ts', file: 'sinks/postgres-store.ts',
    find: 'const committed = Number(row.version) === version + 1', replace: 'const committed = false'
  },
  {
    name: 'dedupe forgets by number, not by time', row: 'B7', by: 'test/operators/dedupe.test.ts', file: 'operators/dedupe.ts',
    find: '      if (t > latest) seen.expire(s, t - within)\n', replace: '      while (seen.used > 3) seen.shift(s)\n'
  },
  {
    name: 'what may come again is forgotten by number', row: 'K3', by: 'test/engine/redelivery.test.ts', file: 'engine/redelivery.ts',
    find: 'while (this.bytes > this.most && this.clients.size > 1)', replace: 'while (this.count > 32_768 && this.clients.size > 1)'
  },
  {
    name: 'memory is not put back after an operator has thrown', row: 'K11', by: 'test/engine/poison.test.ts', file: 'engine/poison.ts',
    find: '      for (const page of kept) flow.snapshots.load(page)\n      if (to', replace: '      if (to'
  },
  {
    name: 'a torn end of the log is read', row: 'D4', by: 'test/engine/wal-crash.test.ts', file: 'engine/wal-segment.ts',
    find: '  return crc32(bytes.subarray(at + 4, at + size), salt) === bytes.readUInt32LE(at) ? size : 0\n', replace: '  return size\n'
  },
  {
    name: 'a damaged snapshot is taken up', row: 'D3', by: 'test/engine/snapshot.test.ts', file: 'engine/snapshot.ts',
    find: 'digestOf(data).equals(digest)', replace: 'digestOf(data).length === digest.length'
  },
  {
    name: 'dedupe stands only before what remembers', row: 'B7', by: 'test/engine/lint.test.ts', file: 'engine/lint.ts',
    find: 'const at = first < 0 ? steps.length : first', replace: 'if (first < 0) return pipeline\n  const at = first'
  },
  {
    name: 'a stuck pipeline keeps its place while another is behind the newest too', row: 'P3', by: 'test/engine/journal-places.test.ts', file: 'engine/journal-places.ts',
    find: 'Math.max(...others) > (position + newest) / 2', replace: 'Math.min(...others) > (position + newest) / 2'
  },
  {
    name: 'what retention took before the first snapshot is passed over', row: 'B9', by: 'test/connectors/jetstream-lost.test.ts', file: 'connectors/jetstream.ts',
    find: 'if (begun && first_seq > known + 1) gaps.lost(', replace: 'if (begun && read !== undefined && first_seq > known + 1) gaps.lost('
  },
  {
    name: 'what is stored is not looked at when the stream has an older end', row: 'B9', by: 'test/connectors/jetstream-lost.test.ts', file: 'connectors/jetstream.ts',
    find: ' await isOther(jsm) ?', replace: ' false ?'
  },
  {
    name: 'a second log takes the name of the first', row: 'K2', by: 'test/engine/resume.test.ts', file: 'engine/journal-identity.ts',
    find: 'client: taken === undefined ? client', replace: 'client: true ? client'
  },
  {
    name: 'a step that was changed works what came after the snapshot out again', row: 'D7', by: 'test/engine/run.test.ts', file: 'engine/restore.ts',
    find: 'different) checkChanged', replace: 'false) checkChanged'
  },
  {
    name: 'other steps read before they have left a snapshot', row: 'D7', by: 'test/engine/run.test.ts', file: 'engine/run.ts',
    find: 'if (renewed) await', replace: 'if (false) await'
  },
  {
    name: 'another log is read although the former one has messages', row: 'K2', by: 'test/engine/resume.test.ts', file: 'engine/resume.ts',
    find: "if (remembered && (left === 0 || left === 'gone'))", replace: 'if (remembered)'
  },
  {
    name: 'another log is read although what was read is not in the memory', row: 'K2', by: 'test/engine/resume.test.ts', file: 'engine/resume.ts',
    find: 'header?.origin === origin && header.position === position', replace: 'header?.origin === origin'
  },
  {
    name: 'a log that is closed while it is read goes round for ever', row: 'X1', by: 'test/engine/journal.test.ts', file: 'engine/log-source.ts',
    find: 'reading = !more; step()', replace: 'reading = false; step()'
  },
  {
    name: 'no flush timer: what has gathered waits until a delivery is full', row: 'K1', by: 'test/engine/journal.test.ts', file: 'engine/log-source.ts',
    find: ' timer ??= journal.clock.timeout(() => { timer = undefined; ripe = true; step() }, Math.max(0, before + APART - journal.clock.monotonic()))', replace: ' timer = undefined'
  },
  {
    name: 'a position of the former log is taken for one of this one', row: 'K2', by: 'test/engine/resume.test.ts', file: 'engine/checkpoint.ts',
    find: 'older === undefined || older.origin !== newer.origin ? 0', replace: 'older === undefined ? 0'
  },
  {
    name: 'the record of what may come again is trusted before it is durable', row: 'N1', by: 'test/engine/redelivery.test.ts', file: 'engine/redelivery-log.ts',
    find: 'this.saying = position', replace: 'this.position = this.saying = position'
  },
  {
    name: 'a request is answered before its record is durable', row: 'K4http', by: 'test/engine/api-ingest.test.ts', file: 'connectors/http.ts',
    find: 'this.acks.hold(position, held)', replace: 'held.go()'
  },
  {
    name: 'a key is written down whose record may never be durable', row: 'K4http', by: 'test/engine/idempotency.test.ts', file: 'engine/idempotency.ts',
    find: '.filter(({ position }) => position <= durable)', replace: ''
  },
  {
    name: 'segments go although the keys in them are not written down', row: 'K4http', by: 'test/engine/idempotency.test.ts', file: 'engine/journal-room.ts',
    find: 'redeliveries.position - 1, passed, needless', replace: 'redeliveries.position - 1, needless'
  },
  {
    name: 'a key answers for whatever comes under it', row: 'K4http', by: 'test/engine/idempotency.test.ts', file: 'engine/journal-keys.ts',
    find: 'known === undefined || known.hash === hashOf(topic, payload, this.hash).readBigUInt64LE(0) ? known?.position', replace: 'known === undefined || true ? known?.position'
  },
  {
    name: 'keys of the log are not looked for after a start', row: 'K3http', by: 'test/engine/idempotency.test.ts', file: 'engine/journal.ts',
    find: '    await this.keys?.open(wal)\n', replace: ''
  }
]
