import t from 'tap'
import { merged } from '../../engine/outputs.ts'
import { DEVICES, Driven, START, type Step } from '../support/flow.ts'

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
