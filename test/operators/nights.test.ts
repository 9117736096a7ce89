import t from 'tap'
import { checks } from '../../models/hygiene.ts'
import { key, Random } from '../../models/random.ts'
import { anomaly, fault, hygiene, peers, verdict } from '../../operators/index.ts'
import { DAY, HOUR, names, nights, residual, shift, START, WEEK, type Machine, type Off, type Planted } from './nights.ts'

const MINUTE = 60_000, BUDGET = { alarms: 0.1, per: '1w' } as const      // of faults-found
const offs: readonly Off[] = ['zeros', 'noise', 'silent'], machine = (off: Off, seed: number, every = MINUTE): Machine => ({ seed, every, off, jitter: HOUR / 2 })

/**
 * What a healthy machine is told, in each week: onsets of hygiene, each row with a code where the row before of its series has none, and the
 * share of rows that have one; onsets of fault; how often a verdict came on a series. And how much those that may speak had to say of each reading of the last week.
 */
function healthy (of: Machine, all: boolean) {
  const told = { hygiene: [0, 0, 0, 0], fault: [0, 0, 0, 0], verdict: [0, 0, 0, 0] }, rows = [0, 0, 0, 0], readings = [0, 0, 0, 0], codes = new Float64Array(names.length), verdicts = new Float64Array(names.length)
  const speaks = all ? ['hygiene', 'hygiene_rate', 'anomaly', 'peers'] : ['hygiene', 'hygiene_rate'], known = speaks.map(() => 0), odd = speaks.map(() => 0)
  nights(of, 4, all ? [hygiene(), anomaly(BUDGET), peers(BUDGET), fault(), verdict()] : [hygiene()], ({ length, series, time, value, columns: c }) => {
    for (let i = 0; i < length; i++) {
      const week = Math.floor((time[i] - START) / WEEK), code = c.hygiene[i] > 0 ? c.hygiene[i] : 0
      readings[week]++
      if (code > 0) {
        rows[week]++
        if (codes[series[i]] === 0) told.hygiene[week]++
      }
      codes[series[i]] = code
      if (week === 3 && !Number.isNaN(value[i])) speaks.forEach((name, k) => { if (!Number.isNaN(c[name][i])) known[k]++; if (c[name][i] > 0) odd[k]++ })
      if (!all) continue
      if (c.fault[i] > 0 && c.fault_readings[i] === 1) told.fault[week]++
      const now = c.verdict[i] > 0 ? c.verdict[i] : 0
      if (now > 0 && now !== verdicts[series[i]]) told.verdict[week]++
      verdicts[series[i]] = now
    }
  })
  return { told, rows: rows.map((n, week) => n / readings[week]), alive: speaks.map((name, k) => ({ name, known: known[k] / readings[3], odd: odd[k] / readings[3] })) }
}
const later = (weeks: readonly number[]) => weeks.slice(1).reduce((a, b) => a + b), allowed = 3 * names.length

/** Few are told, and not because nobody looked: the readings of the last week were judged, and some were found unusual; but peers finds none where the device is silent at night. */
function quiet (t: Pick<typeof import('tap').t, 'ok' | 'comment'>, what: string, { told, rows, alive }: ReturnType<typeof healthy>, silent = false) {
  for (const [name, weeks] of Object.entries(told)) t.ok(later(weeks) <= allowed && weeks[2] + weeks[3] <= 2 * names.length, `${what}, ${name}, week by week: ${weeks.join()}`)
  t.ok(rows[2] < 0.05 && rows[3] < 0.01, `${what}, share of rows, week by week: ${rows.join()}`)
  for (const { name, known, odd } of alive) t.ok(known > (name === 'peers' ? 0.75 : 0.99) && (name === 'hygiene' || odd > 1e-3 || name === 'peers' && silent), `${what}: ${name} is there for ${known} of the readings, and above 0 for ${odd}`)
  t.comment(what, JSON.stringify({ ...told, rows, alive }))
}

for (const off of offs) {
  t.test(`a healthy machine that is off at night and on weekends, ${off}: from the second week on no more than one a week and series, of hygiene, fault and verdict each`, async t => {
    for (const seed of off === 'zeros' ? [101, 102] : [101]) quiet(t, `${seed}`, healthy(machine(off, seed), true), off === 'silent')
  })
}

t.test('likewise when a switch takes some readings', async t => {
  for (const off of ['zeros', 'noise'] as const) for (const ramp of [2.5 * MINUTE, 8 * MINUTE]) quiet(t, `${off}, ${ramp / MINUTE} min`, healthy({ ...machine(off, 105), ramp }, false))
})

t.test('likewise with a reading every ten seconds', async t => {
  for (const off of offs) {
    const of = healthy(machine(off, 103, 10_000), false)
    t.ok(of.told.hygiene[0] > 4)
    quiet(t, off, of)
  }
})

/** By day in the fourth week, one a day and metric. */
const plants: Readonly<Record<string, (metric: number, sign: number) => { readonly readings: number, readonly read: Planted['read'], readonly said: readonly string[] }>> = {
  spike: (metric, sign) => ({ readings: 1, read: x => x + sign * 20 * residual(metric), said: ['spike'] }),
  stuck: () => ({ readings: 60, read: (_x, _k, last) => last, said: ['stuck'] }),
  dropout: () => ({ readings: 30, read: () => NaN, said: ['gap'] }),
  rate: (metric, sign) => ({ readings: 60, read: x => x + sign * 20 * residual(metric), said: ['rate'] }),
  unit: () => ({ readings: 60, read: x => 10 * x, said: ['rate', 'unit'] })
}
for (const off of offs) {
  t.test(`the same machine, ${off}: faults by day in the fourth week are found, nine in ten of each kind`, async t => {
    const kinds = Object.keys(plants), found = Object.fromEntries(kinds.map(kind => [kind, 0])), SEEDS = [111, 112, 113]
    let each = 0
    for (const seed of SEEDS) {
      const of = machine(off, seed), random = new Random(key(seed, 77))
      const faults = Array.from({ length: 5 * names.length }, (_, k) => {
        const day = 21 + k % 5, metric = Math.floor(k / 5), kind = kinds[(day + metric) % kinds.length], [on] = shift(of, day)!
        const { readings, read, said } = plants[kind](metric, random.next() < 0.5 ? -1 : 1), from = START + Math.round((on + random.between(1, 9) * HOUR - START) / MINUTE) * MINUTE
        return { kind, said, metric, from, to: from + readings * MINUTE, read }
      })
      const hits = new Set<number>()
      each += faults.length / kinds.length
      nights(of, 4, [hygiene()], ({ length, series, time, columns: c }) => {
        for (let i = 0; i < length; i++) if (c.hygiene[i] > 0 && time[i] > START + 3 * WEEK) {
          faults.forEach(({ metric, from, to, said }, k) => { if (metric === series[i] && time[i] >= from && time[i] <= to && said.includes(checks[c.hygiene[i] - 1])) hits.add(k) })
        }
      }, faults)
      for (const k of hits) found[faults[k].kind]++
    }
    t.equal(each, 12)
    for (const kind of kinds) t.ok(found[kind] >= 0.9 * each, `${kind}: ${found[kind]} of ${each}`)
    t.comment(JSON.stringify(found))
  })
}

t.test('stuck where it rests is found when it has lasted half as long again as that ever did, twice', async t => {
  const of = machine('zeros', 104), [on] = shift(of, 21)!, begin = Math.ceil((on + 3 * HOUR) / MINUTE) * MINUTE, at: number[] = []
  nights(of, 5, [hygiene()], ({ length, series, time, columns: c }) => {
    for (let i = 0; i < length; i++) if (series[i] === 0 && c.hygiene[i] === 1 && time[i] >= begin) at.push(time[i] - begin)
  }, [{ metric: 0, from: begin, to: begin + 7 * DAY, read: () => 0 }])
  t.ok(at[0] > 60 * HOUR && at[0] < 100 * HOUR, `behind ${at[0] / HOUR} h`)
})
