import t from 'tap'
import { key, normal } from '../../models/random.ts'
import { signals } from '../../models/portfolio.ts'
import { anomaly } from '../../operators/anomaly.ts'
import { Batch, SeriesTable } from '#engine'

const HOUR = 3_600_000, DAY = 24 * HOUR, WEEK = 7 * DAY, MONDAY = Date.UTC(2026, 0, 5), EVERY = 300_000, RUNS = 10
const dayOf = (since: number) => Math.floor(since / DAY) % 7, hourOf = (since: number) => since % DAY / HOUR

/** In UTC or eight hours before it: 50 from 6 to 22 h from Monday to Friday, 10 else, noise of 1, a reading every five minutes; in week 6 other on one day. Times since the beginning of alarms and of those that the season gives, and what is usual at noon of each day of week 6. */
function run (seed: number, weeks: number, odd: number, zone?: 'Asia/Shanghai'): { readonly alarms: readonly number[], readonly seasonal: readonly number[], readonly noons: readonly number[] } {
  const monday = zone === undefined ? MONDAY : MONDAY - 8 * HOUR, k = key(seed, 77), table = new SeriesTable(1), length = weeks * WEEK / EVERY
  const time = Float64Array.from({ length }, (_, i) => monday + i * EVERY), series = new Int32Array(length).fill(table.id('t', 'plant', 'power'))
  const value = time.map((t, i) => {
    const since = t - monday, day = dayOf(since), works = day < 5 !== (since >= 6 * WEEK && day === odd)
    return (works && hourOf(since) >= 6 && hourOf(since) < 22 ? 50 : 10) + normal(k, i)
  })
  const out = anomaly({ per: '1d', ...zone === undefined ? {} : { zone } }).open({ series: table, late () {}, aggregated () {} }).process(new Batch({ time, series, value })).columns
  const noons = Array.from({ length: 7 }, (_, day) => out.anomaly_usual[(6 * WEEK + day * DAY + 12 * HOUR) / EVERY])
  const alarms = Array.from(out.anomaly_alarm.keys()).filter(i => out.anomaly_alarm[i] === 1), at = (i: number) => time[i] - monday
  return { noons, alarms: alarms.map(at), seasonal: alarms.filter(i => out.anomaly_signal[i] === 1 + signals.indexOf('season')).map(at) }
}

t.test('a plant that runs on Sunday, or stands still on Tuesday, is found, and what is usual is right', async t => {
  const found = { 1: 0, 6: 0 }
  for (const day of [1, 6] as const) {
    for (let seed = 1; seed <= RUNS; seed++) {
      const { seasonal, noons } = run(seed, 7, day)
      const during = (from: number, to: number, day: number) => seasonal.some(at => at >= 6 * WEEK + day * DAY + from * HOUR && at < 6 * WEEK + day * DAY + to * HOUR)
      if (during(6, 22, day)) found[day]++
      noons.forEach((usual, d) => { t.ok(Math.abs(usual - (d < 5 ? 50 : 10)) < 0.05 * (d < 5 ? 50 : 10), `day ${d}: ${usual}`) })
    }
    t.ok(found[day] >= 9, `day ${day}: found in ${found[day]} of ${RUNS}`)
  }
})

t.test('healthy weeks keep the budget of an alarm a day', async t => {
  for (let seed = 1; seed <= RUNS; seed++) {
    const { alarms } = run(seed + 100, 9, NaN)
    for (let week = 4; week <= 8; week++) {
      const count = alarms.filter(at => Math.floor(at / WEEK) === week).length
      t.ok(count <= 7, `week ${week}: ${count}`)
    }
  }
})

t.test('eight hours away all is told as in UTC, when the zone is given', async t => {
  for (const day of [1, 6]) t.strictSame(run(31, 7, day, 'Asia/Shanghai'), run(31, 7, day))
})

t.test('an hour of the day stays what it is when clocks change', async t => {
  const local = new Intl.DateTimeFormat('en-GB', { timeZone: 'America/New_York', hourCycle: 'h23', hour: 'numeric', minute: 'numeric' })
  const from = Date.UTC(2026, 1, 2), length = 8 * WEEK / EVERY, table = new SeriesTable(1), k = key(41), series = new Int32Array(length).fill(table.id('t', 'plant', 'power'))
  const time = Float64Array.from({ length }, (_, i) => from + i * EVERY), minute = time.map(at => { const [h, m] = local.format(at).split(':'); return 60 * Number(h) + Number(m) })
  const value = minute.map((m, i) => (m >= 360 && m < 1320 ? 50 : 10) + normal(k, i)), batch = new Batch({ time, series, value })
  const usualOf = (zone: string | undefined) => anomaly({ zone }).open({ series: table, late () {}, aggregated () {} }).process(batch).columns.anomaly_usual
  const here = usualOf('America/New_York'), utc = usualOf(undefined), changed = Date.UTC(2026, 2, 8, 7)
  const wrong = (usual: ArrayLike<number>) => Array.from(time.keys()).filter(i => time[i] >= changed + DAY && time[i] < changed + 2 * DAY && !(Math.abs(usual[i] - value[i]) < 15)).length
  t.equal(wrong(here), 0)
  t.ok(wrong(utc) >= 24, `by UTC two hours are wrong: ${wrong(utc)} readings`)
})

t.test('a zone that there is none of is refused', async t => { t.throws(() => anomaly({ zone: 'Europe/Atlantis' }), /there is no time zone "Europe\/Atlantis"/) })
