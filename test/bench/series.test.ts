import t from 'tap'
import { measure } from '../../bench/series-size.ts'

t.test('at a small size the answer is the one that is known, and every phase has been gone through', async t => {
  const figures = measure({ series: 400, warm: 60, runs: 2, least: 1000 }, () => {})
  t.equal(figures.series, 400)
  t.equal(figures.devices, 40)
  t.ok(Number(figures.ns_per_reading) > 100 && Number(figures.bytes_per_series) > 1024)
  const { growth, steady, snapshot, expiry } = figures.stall_ms as Record<string, number>
  for (const ms of [growth, steady, snapshot, expiry]) t.ok(ms > 0)
})
