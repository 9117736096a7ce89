import t from 'tap'
import { checks } from '../../models/hygiene.ts'
import { key, Random } from '../../models/random.ts'
import { anomaly, fault, hygiene, peers, verdict } from '../../operators/index.ts'
import { DAY, HOUR, names, nights, residual, shift, START, WEEK, type Machine, type Off, type Planted } from './nights.ts'

const MINUTE = 60_000, BUDGET = { alarms: 0.1, per: '1w' } as const      // of faults-found
const offs: readonly Off[] = ['zeros', 'noise', 'silent'], machine = (off: Off, seed: number, every = MINUTE): Machine => ({ seed, every, off, jitter: HOUR / 2 })

/** What a healthy machine is told, in each week: events of hygiene, a code that was not there for a hundred readings; those of fault; and how often a verdict came on a series. */
function healthy (of: Machine, all: boolean) {
  const told = { hygiene: [0, 0, 0, 0], fault: [0, 0, 0, 0], verdict: [0, 0, 0, 0] }, last = new Map<string, number>(), verdicts = new Float64Array(names.length)
  nights(of, 4, all ? [hygiene(), anomaly(BUDGET), peers(BUDGET), fault(), verdict()] : [hygiene()], ({ length, series, time, columns: c }) => {
    for (let i = 0; i < length; i++) {
      const week = Math.floor((time[i] - START) / WEEK), code = c.hygiene[i], name = `${series[i]} ${code}`
      if (code > 0) {
        if (!(time[i] - last.get(name)! <= 100 * of.every)) told.hygiene[week]++
        last.set(name, time[i])
      }
      if (!all) continue
      if (c.fault[i] > 0 && c.fault_readings[i] === 1) told.fault[week]++
      const now = c.verdict[i] > 0 ? c.verdict[i] : 0
      if (now > 0 && now !== verdicts[series[i]]) told.verdict[week]++
      verdicts[series[i]] = now
    }
  })
  return told
}
const later = (weeks: readonly number[]) => weeks.slice(1).reduce((a, b) => a + b), allowed = 3 * names.length

for (const off of offs) {
  t.test(`a healthy machine that is off at night and on weekends, ${off}: from the second week on no more than one a week and series, of hygiene, fault and verdict each`, async t => {
    for (const seed of off === 'zeros' ? [101, 102] : [101]) {
      const told = healthy(machine(off, seed), true)
      for (const [name, weeks] of Object.entries(told)) t.ok(later(weeks) <= allowed && weeks[3] <= names.length, `${name}, week by week: ${weeks.join()}`)
      t.comment(JSON.stringify(told))
    }
  })
}

t.test('likewise when a switch takes some readings', async t => {
  for (const off of ['zeros', 'noise'] as const) for (const ramp of [2.5 * MINUTE, 8 * MINUTE]) {
    const { hygiene: weeks } = healthy({ ...machine(off, 105), ramp }, false)
    t.ok(later(weeks) <= allowed && weeks[3] <= names.length, `${off}, ${ramp / MINUTE} min, week by week: ${weeks.join()}`)
    t.comment(`${off}, ${ramp / MINUTE} min: ${weeks.join()}`)
  }
})

t.test('likewise with a reading every ten seconds', async t => {
  for (const off of offs) {
    const { hygiene: weeks } = healthy(machine(off, 103, 10_000), false)
    t.ok(weeks[0] > 4 && later(weeks) <= allowed && weeks[3] <= names.length, `${off}, week by week: ${weeks.join()}`)
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
