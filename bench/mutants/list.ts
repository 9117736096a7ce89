/** A bug that safety depends on not being there. `find` stands once in `file`; `by`: what has to catch it. */
export interface Mutant { readonly name: string, readonly row: string, readonly by: 'X1' | `test/${string}.test.ts`, readonly file: string, readonly find: string, readonly replace: string }

export const mutants: readonly Mutant[] = [
  {
    name: 'acknowledged before the sync', row: 'X1', by: 'X1', file: 'engine/journal.ts',
    find: '    if (sender !== undefined) this.redeliveries.put(', replace: '    this.listener?.durable(position)\n    if (sender !== undefined) this.redeliveries.put('
  },
  {
    name: 'messages that come again are taken for new', row: 'X1', by: 'X1', file: 'engine/journal.ts',
    find: 'const known = this.redeliveries.find(sender.client, sender.packet, hash.readBigUInt64LE(0))', replace: 'const known = undefined'
  },
  {
    name: 'what may come again is not read at a start', row: 'X1', by: 'X1', file: 'engine/redelivery-log.ts',
    find: 'if (client !== undefined) redeliveries.put(client, packet, hash, position)', replace: ''
  },
  {
    name: 'pages are copied after they were overwritten', row: 'X1', by: 'X1', file: 'engine/snapshot.ts',
    find: '    if (this.pending[page]) this.copy(page)\n', replace: ''
  },
  {
    name: 'a snapshot says a position beyond its memory', row: 'X1', by: 'X1', file: 'engine/checkpoint.ts',
    find: 'position: this.flow.position, version', replace: 'position: this.flow.position + 1, version'
  },
  {
    name: 'what the store has is written once more', row: 'X1', by: 'X1', file: 'engine/run.ts',
    find: 'const rest = recovery === undefined ? delivery : recovery.replay(flow!, delivery, this.feed)', replace: 'const rest: Delivery | undefined = delivery'
  },
  {
    name: 'ticks are not worked out again', row: 'X1', by: 'X1', file: 'engine/recovery.ts',
    find: "  if (kind === 'tick') return flow.tick(time)\n", replace: "  if (kind === 'tick') return undefined\n"
  },
  {
    name: 'silence is counted while nobody listens', row: 'X1', by: 'X1', file: 'engine/recovery.ts',
    find: '  flow.listen(time)\n', replace: ''
  },
  {
    name: 'the log is dropped up to the newest snapshot, as if it could not be damaged', row: 'K/D3', by: 'test/engine/recovery.test.ts', file: 'engine/checkpoint.ts',
    find: 'return this.kept[0]', replace: 'return this.kept.at(-1)'
  },
  {
    name: 'a delivery that is not full waits for ever', row: 'X1', by: 'X1', file: 'engine/log-source.ts',
    find: 'timer = undefined; ripe = true; step()', replace: 'timer = undefined'
  },
  {
    name: 'no fence: a commit of an old epoch passes', row: 'K12', by: 'test/sinks/postgres-laws.test.ts', file: 'sinks/postgres-snapshots.ts',
    find: ' AND epoch = ${epoch} AND', replace: ' AND'
  },
  {
    name: 'guard without version', row: 'K9', by: 'test/sinks/postgres-laws.test.ts', file: 'sinks/postgres-snapshots.ts',
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
    name: 'memory is not put back after an operator has thrown', row: 'K11', by: 'test/engine/poison.test.ts', file: 'engine/poison.ts',
    find: '      for (const page of kept) flow.snapshots.load(page)\n', replace: ''
  },
  {
    name: 'a torn end of the log is read', row: 'D4', by: 'test/engine/wal-crash.test.ts', file: 'engine/wal-segment.ts',
    find: '  return crc32(bytes.subarray(at + 4, at + size), salt) === bytes.readUInt32LE(at) ? size : 0\n', replace: '  return size\n'
  },
  {
    name: 'a damaged snapshot is taken up', row: 'D3', by: 'test/engine/snapshot.test.ts', file: 'engine/snapshot.ts',
    find: 'digestOf(data).equals(digest)', replace: 'digestOf(data).length === digest.length'
  }
]
