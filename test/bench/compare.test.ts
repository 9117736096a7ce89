import t from 'tap'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compare, readResults, tableOf } from '../../bench/compare.ts'

const lines = (...rows: object[]) => rows.map(row => JSON.stringify(row)).join('\n') + '\n'

t.test('rows of the same name are held side by side; what differs beyond the spreads is marked', async t => {
  const dir = t.testdir({
    a: lines({ benchmark: 'ingest', flow: 'PASS', qos: 0, cpu_us_per_message: 40, cpu_us_per_message_spread: [38, 44], lost: 0 }, { benchmark: 'ingest', flow: 'PASS', qos: 1, cpu_us_per_message: 50, cpu_us_per_message_spread: [49, 51] }, { benchmark: 'latency', rate: 5000, publish_to_row_ms: { p50: 10, p99: 20, p99_spread: [18, 22] } }),
    b: lines({ benchmark: 'latency', rate: 5000, publish_to_row_ms: { p50: 10, p99: 30, p99_spread: [25, 31] } }, { benchmark: 'ingest', flow: 'PASS', qos: 0, cpu_us_per_message: 43, cpu_us_per_message_spread: [41, 48], lost: 2 }, { benchmark: 'ingest', flow: 'PASS', qos: 1, cpu_us_per_message: 60, cpu_us_per_message_spread: [52, 61] }, { benchmark: 'new', x: 1 })
  })
  const found = compare(readResults(join(dir, 'a')), readResults(join(dir, 'b')))
  t.strictSame(found.map(({ row, key, a, b, ratio, beyond }) => [row, key, a, b, ratio, beyond]), [
    ['flow PASS, qos 0', 'cpu_us_per_message', 40, 43, 43 / 40, false], ['flow PASS, qos 0', 'lost', 0, 2, Infinity, false],
    ['flow PASS, qos 1', 'cpu_us_per_message', 50, 60, 1.2, true],
    ['rate 5000', 'publish_to_row_ms.p50', 10, 10, 1, false], ['rate 5000', 'publish_to_row_ms.p99', 20, 30, 1.5, true]
  ])
  t.match(tableOf(found), /ingest \(flow PASS, qos 1\) +cpu_us_per_message +50 +60 +1\.20 \*\n/)
})

t.test('a file of --save goes with one of --json; another file is refused by name', async t => {
  const dir = t.testdir({ 'operators.json': `${JSON.stringify({ date: 'x', results: [{ series: 10, ns_per_reading: 5 }] }, null, 2)}\n`, lines: lines({ benchmark: 'operators', series: 10, ns_per_reading: 4 }) })
  t.strictSame(compare(readResults(join(dir, 'operators.json')), readResults(join(dir, 'lines'))).map(({ key, ratio }) => [key, ratio]), [['ns_per_reading', 0.8]])
  writeFileSync(join(dir, 'other'), 'nonsense')
  t.throws(() => readResults(join(dir, 'other')), /other: neither lines/)
})

t.test('a name that several rows have says so, what tells them apart is in it, and a saved file has the name of its benchmark', async t => {
  const sizes = (ratio: number) => lines({ benchmark: 'sink', path: 'staged', rows_per_batch: 1000, ratio_to_copy: ratio }, { benchmark: 'sink', path: 'staged', rows_per_batch: 5000, ratio_to_copy: ratio / 2 })
  const dir = t.testdir({ a: sizes(0.5), b: sizes(0.6), twice: lines({ benchmark: 'x', n: 1 }, { benchmark: 'x', n: 2 }), 'before.json': `${JSON.stringify({ benchmark: 'sink', results: [{ path: 'staged', rows_per_batch: 5000, ratio_to_copy: 0.3 }] }, null, 2)}\n` })
  t.strictSame(compare(readResults(join(dir, 'a')), readResults(join(dir, 'b'))).map(({ row, a, b }) => [row, a, b]), [['path staged, rows_per_batch 1000', 0.5, 0.6], ['path staged, rows_per_batch 5000', 0.25, 0.3]])
  t.strictSame(compare(readResults(join(dir, 'before.json')), readResults(join(dir, 'a'))).map(({ a, b }) => [a, b]), [[0.3, 0.25]])
  t.throws(() => compare(readResults(join(dir, 'twice')), readResults(join(dir, 'twice'))), /x: there are several rows ""/)
})
