import t from 'tap'
import { assign, Batch, close, evenGrid, SeriesTable, startOf, Tumble, Watermarks, windowMemory, type Closing, type Lists } from '#engine'
import { Memory } from '../../engine/memory.ts'

const EVERY = 10

/** Windows that count, without an operator around them. */
function start () {
  const table = new SeriesTable(10)
  const watermarks = new Watermarks(table, { lateness: 0, idle: 30, forget: 100 })
  const series = new Memory(windowMemory.perSeries('n'), 10), devices = new Memory(windowMemory.perDevice, 10)
  const memory = { ...series.held, ...devices.held }
  let late = 0, aggregated = 0, position = 0
  const host = { series: table, late (rows: Batch) { late += rows.length }, aggregated (n: number) { aggregated += n } }
  const step = (batch: Batch) => {
    series.appear(table.size)
    devices.appear(table.devices)
    const windows: Lists<any> = memory.windows
    const kind = new Tumble(evenGrid(EVERY), memory)
    assign(batch, kind, memory, host, { add (w) { windows.page(w)[windows.offset(w) + windows.field.n]++ } })
    return close(batch, kind, memory, host, ({ series, node, start, position, revision }: Closing) => new Batch({
      time: start, series, value: Float64Array.from(node, w => windows.page(w)[windows.offset(w) + windows.field.n]), position, columns: { revision }, progress: batch.progress
    }))
  }
  const give = (rows: readonly (readonly [device: string, time: number, value?: number])[], ingest = 0) => step(watermarks.arrive({
    time: Float64Array.from(rows, r => r[1]), series: Int32Array.from(rows, r => table.id('t', r[0], 'x')),
    value: Float64Array.from(rows, r => r[2] ?? 1), position: Float64Array.from(rows, () => ++position), ingest: new Float64Array(rows.length).fill(ingest)
  }))
  const shown = (b: Batch<any>) => [...b.time].map((time, i) => [table.deviceName(table.deviceOf[b.series[i]]).device, time, b.value[i]])
  return { watermarks, memory, give, step, shown, counts: () => ({ late, aggregated }) }
}

t.test('a window starts at the multiple of its length at or before the time, for every double', async t => {
  t.equal(startOf(1_700_000_000_123.456, 60_000), 1_699_999_980_000)
  t.equal(startOf(-1, 10), -10)
  t.equal(startOf(12, 10, 3), 3)
  for (const every of [1, 10, 250, 1000, 7000, 60_000, 86_400_000, 604_800_000]) {
    for (let k = 0; k < 1000; k++) {
      const start = (Math.floor(1_700_000_000_000 / every) + k) * every, before = start - 2 ** (Math.floor(Math.log2(start)) - 52)
      if (startOf(start, every) !== start || before >= start || startOf(before, every) !== start - every) t.fail(`${start} of ${every}`)
    }
  }
})

t.test('each device closes its own windows, in the order of the records', async t => {
  const { give, shown } = start()
  t.strictSame(shown(give([['a', 1], ['b', 2], ['a', 3]])), [])
  const out = give([['b', 10], ['b', 11], ['a', 25], ['a', 26]])
  t.strictSame(shown(out), [['b', 0, 1], ['a', 0, 2]])
  t.strictSame([...out.position], [4, 6])
})

t.test('several windows that close within one batch carry the records that closed them', async t => {
  const { give, shown } = start()
  const out = give([['a', 1], ['a', 11], ['a', 12], ['a', 35], ['a', 41]])
  t.strictSame(shown(out), [['a', 0, 1], ['a', 10, 2], ['a', 30, 1]])
  t.strictSame([...out.position], [2, 4, 5])
})

t.test('a reading without a value is taken but opens no window; a late one is reported', async t => {
  const { give, shown, counts } = start()
  t.strictSame(shown(give([['a', 1, NaN], ['a', 10], ['a', 9]])), [])
  t.strictSame(counts(), { late: 1, aggregated: 2 })
})

t.test('lateness is judged by the device\'s progress when the reading arrived, not by what the batch brings later', async t => {
  const { give, shown, counts } = start()
  t.strictSame(shown(give([['a', 9], ['a', 8], ['a', 50]])), [['a', 0, 2]])
  t.equal(counts().late, 0)
})

t.test('silence writes provisionally and keeps the window; the end closes it', async t => {
  const { give, step, shown, watermarks, memory } = start()
  give([['a', 1], ['b', 1]])
  const tick = step(watermarks.tick(watermarks.gone(30), 2)!)
  t.strictSame(shown(tick), [])
  t.strictSame(shown(tick.provisional!), [['a', 0, 1], ['b', 0, 1]])
  t.strictSame([...tick.provisional!.position], [2, 2])
  const end = step(watermarks.end(2))
  t.strictSame(shown(end), [['a', 0, 1], ['b', 0, 1]])
  t.strictSame([...end.columns.revision], [1, 1])
  t.equal(memory.windows.used, 0)
})

t.test('what was forgotten stays closed, even for readings that would not be late', async t => {
  const { give, step, shown, watermarks, counts } = start()
  give([['a', 1], ['a', 2]])
  step(watermarks.tick(watermarks.gone(30), 2)!)
  const forgotten = step(watermarks.tick(watermarks.gone(100), 2)!)
  t.strictSame(shown(forgotten), [['a', 0, 2]])
  t.strictSame([...forgotten.columns.revision], [1])
  t.strictSame(shown(give([['a', 3], ['a', 15], ['a', 21]], 200)), [['a', 10, 1]])
  t.equal(counts().late, 1)
})

t.test('closing costs nothing while nothing is due: the earliest end is known per device', async t => {
  const { give, memory } = start()
  give([['a', 1], ['b', 25]])
  t.strictSame([...memory.due.subarray(0, 2)], [10, 30])
  give([['a', 11]])
  t.equal(memory.due[0], 20)
  give([['a', 31, NaN]])
  t.equal(memory.due[0], Infinity)
})
