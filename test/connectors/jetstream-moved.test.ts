/** A pipeline that has read a log of ours and is to read a stream. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { pipeline, type SourceSpec } from '#engine'
import { normalise } from '../../engine/lint.ts'
import { Run } from '../../engine/run.ts'
import type { RunOptions } from '../../engine/run-options.ts'
import * as components from '../../index.ts'
import { fileStore } from '../../sinks/file.ts'
import { quiet } from '../support/collect.ts'
import { make, serve, upTo } from '../support/jetstream.ts'
import { never, open, temporary, until } from '../support/journal.ts'
import { withoutNats } from '../support/nats.ts'

const { ewma, file, jetstream } = components

void t.test('from a log to a stream', { skip: withoutNats }, async t => {
  const folder = temporary(t), server = await serve(t), { jsm, publish } = await server.client()
  const go = (source: SourceSpec, more: Partial<RunOptions> = {}) => {
    const { log, lines } = quiet()
    return { lines, run: new Run(normalise(pipeline('p').from(source).pipe(ewma({ alpha: 0.5 })).to(file({ table: 'r' })), components as any), { log, folder, fallback: fileStore, ...more }) }
  }
  /** Reads until so many readings have been stored in all, then stops. */
  const reads = async ({ run, lines }: ReturnType<typeof go>, written: number) => {
    const stop = new AbortController(), running = run.run(stop.signal)
    await until(() => run.counts[''].written === written)
    stop.abort()
    await running
    return lines.filter(line => line.level !== 'info' && !line.text.includes('nats-server')).map(line => line.text)
  }
  const hear = async (values: readonly string[], written?: number) => {
    const { journal, ear } = await open(t, join(folder, 'log', 'a'))
    for (const value of values) ear.hear(value)
    await journal.wal.flush()
    if (written !== undefined) await reads(go(journal.spec, { journal, journals: [journal] }), written)
    await journal.close()
  }
  await make(jsm)
  await publish(upTo(8))
  await jsm.streams.purge('S', { seq: 4 })          // its first message has not the position 1
  const stream = jetstream({ servers: server.url, stream: 'S', subject: 't.{tenant}.{device}.{metric}' })

  await hear(['101', '102'], 2)
  await hear(['103', '104'])
  await t.rejects(go(stream).run.run(never), { code: 'log/missing', message: /of which it has 2 messages still to read; its source is now jetstream/ })
  await hear([], 4)
  t.match(await reads(go(stream), 9), [/^reads another log or stream than before; what it remembers is kept/], 'and nothing is said to be missing, or made anew')
  await publish([9])
  t.strictSame(await reads(go(stream), 10), [], 'from now on it is a stream as any')
  const { journal, ear } = await open(t, join(folder, 'log', 'a'))
  ear.hear('105')
  t.match(await reads(go(journal.spec, { journal, journals: [journal] }), 11), [/Whether the former one had more for it was not looked at/])
  await journal.close()
  const values = readFileSync(join(folder, 'store', 'p', 'r.ndjson'), 'utf8').trim().split('\n').map(line => JSON.parse(line).value)
  t.strictSame(values, [101, 102, 103, 104, 4, 5, 6, 7, 8, 9, 105])
})
