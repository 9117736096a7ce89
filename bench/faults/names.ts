/** P4: a device that invents names. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Publisher } from '../publisher.ts'
import { until } from '../services.ts'
import { Plane } from './plane.ts'
import { percentiles, unless, type Bench, type Report } from './row.ts'

const CAP = 10_000, WINDOW = 2000, MB = 2 ** 20
const GROWTH = 192                   // MB that what is over the cap may take: buffers on their way, in which 1,000,000 names took 136 and 400,000 took 111; memory of series would be 2,000
const PAUSE = 20                     // ms between readings of the device that does all well

export async function inventedNames (bench: Bench): Promise<Report> {
  const { rounds, signal, say, progress } = bench, plane = await Plane.open(bench, { args: ['--max-series', String(CAP)] })
  const good = await Publisher.connect(plane.port), bad = await Publisher.connect(plane.port)
  const waits: number[] = []
  const total = 2 * CAP + rounds * 1000
  let over = false, sent = 0
  const well = (async () => {
    for (; !over; sent++) {
      const began = performance.now()
      good.publish('good/pump/temp', JSON.stringify({ value: sent + 1, ts: 1_700_000_000_000 + sent }), 1)
      await good.atMost(0)
      waits.push(performance.now() - began)
      await sleep(PAUSE)
    }
  })()
  const invent = async (from: number, to: number) => {
    for (let k = from; k < to; k++) {
      bad.publish(`bad/d${k}/temp`, '1', 1)
      if (bad.underWay >= WINDOW) { signal.throwIfAborted(); progress(`${k} of ${total} names`); await bad.atMost(WINDOW / 2) }
    }
    await bad.atMost(0)
  }
  const fates = async () => (await plane.rows("SELECT received::float8, written::float8, dead_lettered::float8, (received - written - late - filtered - deduplicated - dead_lettered)::float8 AS imbalance FROM counts WHERE branch = '' AND pipeline = 'p'"))[0] ?? { received: 0 }
  const settled = (n: number) => until(`${n} are settled`, async () => { signal.throwIfAborted(); return (await fates()).received >= n }, 120_000)
  await until('the good device has its series', () => sent > 20)
  await invent(0, 2 * CAP)                       // the cap is reached, code and buffers are warm
  await settled(2 * CAP)
  const before = (await plane.process.rest()).rss
  const began = performance.now()
  await invent(2 * CAP, total)
  const seconds = (performance.now() - began) / 1000
  await settled(total)
  over = true
  await well
  await settled(total + sent)
  const after = (await plane.process.rest()).rss, growth = Math.round((after - before) / MB), { written, dead_lettered: dead, imbalance } = await fates()
  const [{ known, rows, kept }] = await plane.rows("SELECT (SELECT count(*)::int FROM series) AS known, (SELECT count(*)::int FROM readings_named WHERE tenant = 'good') AS rows, (SELECT count(*)::int FROM dead_letters WHERE reason = 'series_limit') AS kept")
  await good.close()
  await bad.close()
  say(`${total} names in ${Math.round(seconds)} s`)
  return {
    figures: { names: total, per_s: Math.round(rounds * 1000 / seconds), series: known, rows: written, dead_letters: dead, rss_mb: Math.round(after / MB), rss_growth_mb: growth, good_messages: sent, good_rows: rows, good_ack_ms: percentiles(waits) },
    wrong: [
      ...unless(known === CAP, `${known} series, with a cap of ${CAP}`), ...unless(written + dead === total + sent, `${written} rows and ${dead} dead letters of ${total + sent} readings`), ...unless(kept === dead, `${kept} of ${dead} dead letters are kept`),
      ...unless(imbalance === 0, `the accounting is off by ${imbalance}`), ...unless(rows === sent, `the good device has ${rows} rows for ${sent} readings`), ...unless(growth <= GROWTH, `${growth} MB more memory`)
    ]
  }
}
