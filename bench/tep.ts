import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { hotelling } from '../operators/index.ts'
import { rowsOf } from './device-rows.ts'
import { atMost, missed, mustEqual, mustLie, round, type Benchmark, type Figures } from './measure.ts'
import { dataIn, tepOf, tepRows } from './real-data.ts'

/** Rows of the run d00 to learn from, and the row of a test run at which its fault begins. */
const LEARNED = 500, ONSET = 160
/** Faults that were asked for. */
const ASKED = [1, 4]
/** The budget that was fixed in advance: a false alarm a day, 480 rows. */
const BUDGET = { alarms: 1, per: '1d' } as const, P = 1 / 480

/** What the operator says of each row of a run that follows the normal one as if the same plant went on. */
function after (normal: readonly number[][], run: readonly number[][]) {
  const { columns } = rowsOf(tepOf('plant', [...normal, ...run]), '3m', columns => hotelling({ columns, samples: LEARNED, ...BUDGET }))
  check(columns.hotelling_p, columns.hotelling_alarm, normal.length, run.length)
  return { alarm: columns.hotelling_alarm.slice(normal.length), p: columns.hotelling_p.slice(normal.length) }
}

/** Throws unless rows have no p-value while they are learned and each behind them has one, and only a row that has evidence is an alarm. */
export function check (p: Float64Array, alarm: Float64Array, learned: number, rows: number): void {
  for (let i = 0; i < learned; i++) mustEqual(`the p-value of row ${i}, which is learned,`, p[i], NaN)
  mustLie('p-values', p.slice(learned), rows, 0, 1)
  for (let i = learned; i < p.length; i++) mustEqual(`an alarm at row ${i}`, Number(alarm[i] === 1 && p[i] > P), 0)
}

/** Samples from the onset to a row; -1 for none. */
const since = (row: number) => row < 0 ? -1 : row - ONSET
const shareBelow = (p: Float64Array) => round(p.filter(x => x <= P).length / p.length)

export const tep: Benchmark = {
  summary: 'the operator hotelling on the Tennessee Eastman process: samples from a fault to the alarm, and rows at the alarm level in a normal run',
  unit: 'fault',
  options: { data: { type: 'string', default: dataIn('tep') } },
  async run (say, { data }) {
    const folder = resolve(data), normal = tepRows(join(folder, 'd00.dat'), true)
    if (normal.length !== LEARNED) throw new Error(`${join(folder, 'd00.dat')}: ${normal.length} columns, expected ${LEARNED}`)
    const quiet = after(normal, tepRows(join(folder, 'd00_te.dat')))
    const faults = readdirSync(folder).flatMap(name => /^d(\d\d)_te\.dat$/.exec(name)?.[1] ?? []).filter(fault => fault !== '00').sort()
    say(`${faults.length} faults; learned from the ${LEARNED} rows of d00, false alarms on the ${quiet.p.length} of d00_te: ${quiet.alarm.filter(a => a === 1).length} alarms`)
    return faults.map((fault): Figures => {
      const { alarm, p } = after(normal, tepRows(join(folder, `d${fault}_te.dat`)))
      return {
        fault: Number(fault), delay_samples: since(alarm.indexOf(1, ONSET)), false_alarm_rate: shareBelow(quiet.p), false_alarm_rate_before: shareBelow(p.slice(0, ONSET)),
        first_at_level: since(p.findIndex((x, i) => i >= ONSET && x <= P)), detected_share: shareBelow(p.slice(ONSET))
      }
    })
  },
  fault (figures, { data } = {}) {
    if (data !== dataIn('tep') || !ASKED.includes(Number(figures.fault))) return undefined
    const wrong = missed(figures, { delay_samples: [0, 10], false_alarm_rate: atMost(0.01) })
    return wrong === undefined ? undefined : `fault ${Number(figures.fault)}: ${wrong}`
  }
}
