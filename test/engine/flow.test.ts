import t from 'tap'
import { merged } from '../../engine/outputs.ts'
import { normalise } from '../../engine/lint.ts'
import { pipeline } from '#engine'
import * as components from '../../index.ts'
import { DEVICES, Driven, START, type Step } from '../support/flow.ts'
import { given } from '../support/source.ts'
const { ewma, file, tumbling, where, zscore } = components

const all: Step = { do: 'readings', ingest: START, of: DEVICES.flatMap((_, device) => [0, 1].map(metric => [device, metric, START, device % 3] as const)) }

/** Rows of each table in the order of their series: those of a slice come out together. */
const bySeries = (plain: any) => ({ ...plain, rows: ['r', 'w'].map(table => plain.rows.filter((of: any[]) => of[0] === table).map(([, rows, provisional = []]: any[]) => [rows, provisional]).reduce((sum: any, one: any) => sum.map((of: any[], k: number) => [...of, ...one[k]].toSorted(([a], [b]) => a < b ? -1 : a > b ? 1 : 0)), [[], []])) })

t.test('a tick in slices gives what it gives at once, device by device', async t => {
  for (const silence of [31_000, 400_000]) {
    const whole = new Driven(), cut = new Driven()
    for (const driven of [whole, cut]) {
      driven.feed(all)
      driven.feed({ do: 'readings', ingest: START + 10_000, of: [[0, 0, START + 10_000, 9], [17, 1, START + 10_000, 2]] })
      if (silence > 300_000) driven.feed({ do: 'tick', time: START + 45_000 })
    }
    const slices = [...cut.flow.ticks(START + silence, 6)]
    t.ok(slices.length >= 7, 'three devices with two series each at a time')
    t.ok(slices.every(({ writes }) => writes.every(({ batch }) => new Set([...batch.series, ...batch.provisional?.series ?? []]).size <= 6)))
    t.strictSame(bySeries(cut.plain(merged(slices))), bySeries(cut.plain(whole.flow.tick(START + silence))))
    t.strictSame([...cut.flow.ticks(START + silence, 6)], [], 'all is done')
    t.strictSame(cut.pages.map(({ data }) => data), whole.pages.map(({ data }) => data), 'and the same is remembered')
  }
})

t.test('each step says how far it has come: behind a window by starts of windows, in a branch by what comes there', t => {
  const driven = new Driven(normalise(pipeline('p')
    .from(given([]).spec, { lateness: '2s', idle: '30s', forget: '5m' })
    .pipe(ewma())
    .branch('tens', b => b.pipe(tumbling({ every: '10s', features: ['mean'] }), zscore({ over: '1m' })).to(file({ table: 'w' })))
    .branch('hot', b => b.pipe(where({ metric: 'm1' }), zscore({ over: '1m' })).to(file({ table: 'h' })))
    .to(file({ table: 'r' })), components as any))
  const feed = (seconds: number, metric: number) => driven.feed({ do: 'readings', ingest: START + seconds * 1000, of: [[0, metric, START + seconds * 1000, 1]] })
  const stands = () => driven.flow.steps.filter(({ id }) => id !== 'dedupe').map(({ branch, id, watermark, newest }) => [`${branch}/${id}`, (watermark - START) / 1000, (newest - START) / 1000])
  t.strictSame(stands().map(([, ...times]) => times), Array.from({ length: 5 }, () => [-Infinity, -Infinity]), 'nothing before the first batch')
  feed(3, 1)
  feed(11, 0)
  t.strictSame(stands(), [['/ewma', 9, 11], ['tens/tumbling', 9, 11], ['tens/zscore', 9, -Infinity], ['hot/where', 9, 11], ['hot/zscore', 9, 3]], 'the window is open yet')
  feed(24, 0)
  t.strictSame(stands(), [['/ewma', 22, 24], ['tens/tumbling', 22, 24], ['tens/zscore', 22, 10], ['hot/where', 22, 24], ['hot/zscore', 22, 3]])
  driven.feed({ do: 'readings', ingest: START + 25_000, of: [[0, 0, START + 23_000, 1]] })
  t.equal(stands()[0][2], 24, 'an older row moves nothing back')
  t.end()
})
