import t from 'tap'
import { Batch, pipeline, SeriesTable } from '#engine'
import { lint } from '../../engine/lint.ts'
import { causeOf } from '../../bench/verdict/causes.ts'
import { sink, source } from '../../bench/drive.ts'
import { run } from '../../bench/verdict/run.ts'
import { HOUR, names } from '../../bench/verdict/world.ts'
import { anomaly, hygiene, peers, verdict } from '../../operators/index.ts'

const SEED = 24, cause = causeOf(SEED, 'sensor', 'bias'), end = cause.from + HOUR
const detectors = [hygiene(), anomaly({ alarms: 0.1 }), peers({ alarms: 0.1 })]

/** What detectors say of a pump in which a sensor is biased, batch by batch: from half a day before the cause on, as the rest is long. */
const said: Batch<any>[] = []
run(SEED, cause, end, detectors, batch => { if (batch.time[0] >= cause.from - 12 * HOUR) said.push(batch) })

/** These batches, each in pieces of a size, with a snapshot behind each piece when asked, through the step. */
function through (size: number, snapshots: boolean, backwards = false) {
  const table = new SeriesTable(names.length), host = { series: table, late () {}, aggregated () {} }
  for (const name of backwards ? [...names].reverse() : names) table.id('bench', 'pump', name)
  let stage = verdict().open(host)
  const rows: number[][] = []
  for (const batch of said) {
    for (let from = 0; from < batch.length; from += size) {
      const part = batch.take(Int32Array.from({ length: Math.min(size, batch.length - from) }, (_, i) => from + i))
      const out = stage.process(backwards ? new Batch({ ...part, series: part.series.map(s => names.length - 1 - s) }) : part)
      for (let i = 0; i < out.length; i++) rows.push(verdict().adds.map(name => (out.columns as Record<string, Float64Array>)[name][i]))
      if (!snapshots) continue
      const saved = structuredClone(stage.save())
      stage = verdict().open(host)
      stage.load(saved)
    }
  }
  return rows
}
const whole = through(1000, false), SENSOR = 3

t.test('a biased sensor is called a sensor, on its own rows, with evidence for it and little against it', async t => {
  const last = whole.slice(-names.length)
  t.strictSame(last.map(row => row[0]), names.map((_, m) => m === cause.metric ? SENSOR : 0))
  const [, evidence, doubt, metrics, learned, needs] = last[cause.metric]
  t.ok(evidence > 3 && doubt < 2.5 && metrics === 1 && learned === needs, last[cause.metric].join(' '))
})

t.test('it is the same however the stream is cut, with snapshots, and whichever metric came first', async t => {
  t.strictSame(through(7, false), whole)
  t.strictSame(through(333, true), whole)
  t.strictSame(through(1000, false, true), whole)
})

t.test('drift and missed forecasts before it are told with the verdict, and decide nothing', async t => {
  const table = new SeriesTable(names.length), stage = verdict().open({ series: table, late () {}, aggregated () {} }), rows: number[][] = []
  for (const name of names) table.id('bench', 'pump', name)
  const EVERY = 10_000, first = said[0].time[0], at = first + 2 * HOUR, scoredOf = (time: number) => Math.floor((time - first) / (60 * EVERY)), HELD = 36      // an interval is scored every ten minutes, and from the 36th on none holds
  for (const batch of said) {
    const of = (series: number, value: (time: number) => number, else_: number) => Float64Array.from(batch.time, (time, i) => batch.series[i] === series ? value(time) : else_)
    const { columns } = stage.process(batch.with({
      drift: of(0, time => time === at ? 1 : 0, NaN), drift_aspect: of(0, time => time === at ? 2 : 0, NaN), forecast_1_coverage: of(1, () => 1, NaN),
      forecast_36_coverage: of(1, time => { const n = scoredOf(time); return n < 1 || (time - first) % (60 * EVERY) > 0 ? NaN : Math.min(1, HELD / n) }, NaN)
    })) as { columns: Record<string, Float64Array> }
    for (let i = 0; i < batch.length; i++) rows.push([...verdict().adds.map(name => columns[name][i]), batch.time[i], batch.series[i]])
  }
  const [MOVED, MISSED, TIME, SERIES] = [6, 7, 8, 9], decided = (rows: number[][]) => rows.map(row => row.slice(0, MOVED))
  t.strictSame(decided(rows), decided(whole))
  t.ok(whole.every(row => Number.isNaN(row[MOVED]) && Number.isNaN(row[MISSED])), 'nothing where no such step is')
  const told = (series: number, column: number) => rows.filter(row => row[SERIES] === series).map(row => [row[TIME], row[column]])
  t.ok(told(0, MOVED).every(([time, moved]) => moved === (time >= at && time <= at + 6 * HOUR ? 2 : 0)))
  t.ok(told(1, MOVED).every(([, moved]) => moved === 0))
  t.ok(told(0, MISSED).every(([, share]) => Number.isNaN(share)))
  for (const [time, share] of told(1, MISSED)) {
    const n = scoredOf(time)
    if (n < 1 ? !Number.isNaN(share) : Math.abs(share - (n <= HELD ? 0 : 1 - Math.exp(-(n - HELD) / 36))) > 1e-9) return t.fail(`${share} after ${n}`)
  }
})

t.test('while detectors learn there is no verdict, and it says how far they are', async t => {
  const table = new SeriesTable(names.length)
  for (const name of names) table.id('bench', 'pump', name)
  const learned: number[] = [], verdicts: number[] = [], needs: number[] = []
  run(SEED, undefined, cause.from, [...detectors, verdict()], batch => {
    const { verdict_learned: count, verdict_needs: of, verdict: codes } = batch.columns as Record<string, Float64Array>
    learned.push(count.at(-1)!)
    needs.push(of.at(-1)!)
    verdicts.push(codes[0])
  })
  const DAY = 24 * HOUR / 10_000, BLOCKS = 3200
  t.ok(Number.isNaN(verdicts[0]) && needs.every(n => n === DAY + BLOCKS), 'readings of a day, and of blocks, at a reading every 10 s')
  t.ok(learned[0] > 200 && learned[0] <= 250 && learned.at(-1) === DAY + BLOCKS, `${learned[0]}, ${learned.at(-1)}`)
  t.ok(learned.every((n, k) => n <= 250 * (k + 1)), 'no more than have come')
  t.strictSame([...learned].sort((a, b) => a - b), learned, 'it only grows')
})

t.test('a step that it reads and that is missing is named', async t => {
  const missing = (...steps: any[]) => lint(steps.reduce((p, step) => p.pipe(step), pipeline('p').from(source())).pipe(verdict()).to(sink())).map(f => f.message)
  t.strictSame(missing(...detectors), [])
  t.match(missing(hygiene(), anomaly()).join('\n'), 'step "verdict" needs the column "peers", which no step before it adds')
  t.match(missing(anomaly(), peers()).join('\n'), 'needs the column "hygiene"')
  t.throws(() => verdict({ lasts: '0s' }), /`lasts` must be longer than nothing/)
})
