import t from 'tap'
import { check, falseAlarms, seriesOf } from '../../bench/calibration.ts'
import { check as checkNab, detected } from '../../bench/nab.ts'
import { readNab } from '../../bench/nab-files.ts'
import { check as checkTep } from '../../bench/tep.ts'
import { normal } from '../../models/random.ts'
import { developmentData } from '../support/development-data.ts'

t.test('false alarms are as often as the p-value says, within a factor of two', async t => {
  const ar = (k: number) => { let x = 0; return (i: number) => x = 0.9 * x + normal(k, i) }
  for (const [name, process] of Object.entries({ iid: (k: number) => (i: number) => normal(k, i), ar })) {
    const [{ empirical, news }] = falseAlarms(seriesOf(process, 7, 4, 50_000), [1e-3], 10_000)
    t.ok(empirical > 5e-4 && empirical < 2e-3, `${name}: ${empirical}`)
    t.ok(news < empirical)
  }
})

t.test('a p-value that is missing, or evidence of another, is a wrong answer and no figure', async t => {
  const all = [{ name: 's', time: new Float64Array(4), value: new Float64Array(4) }], columns = (anomaly: number[], p: number[]) => [{ anomaly: Float64Array.from(anomaly), anomaly_p: Float64Array.from(p) }]
  check(columns([0, 0, 2, 0], [NaN, 1, 0.01, 0.001]), all, 1)
  for (const wrong of [columns([0, 0, 0, 0], [1, NaN, 1, 1]), columns([0, 0, 0, 0], [1, 1, 0, 1]), columns([0, 0, 3, 0], [1, 1, 0.01, 1]), columns([0, 0, 0], [1, 1, 1]), []]) t.throws(() => { check(wrong, all, 1) }, /the answer is wrong/)
})

t.test('a row of TEP without a p-value, or an alarm without evidence, is a wrong answer', async t => {
  const p = Float64Array.of(NaN, 1, 1e-3), alarm = Float64Array.of(NaN, 0, 1)
  checkTep(p, alarm, 1, 2)
  t.throws(() => { checkTep(p, alarm, 1, 3) }, /number of p-values/)
  t.throws(() => { checkTep(Float64Array.of(NaN, NaN, 1e-3), alarm, 1, 2) }, /p-values is NaN/)
  t.throws(() => { checkTep(p, Float64Array.of(NaN, 1, 0), 1, 2) }, /alarm at row 1/)
})

const { data, skip } = developmentData('nab')
t.test('a score that is missing or knows what follows is a wrong answer', { skip }, async t => {
  const files = readNab(data).slice(0, 2), columns = detected(files)
  checkNab(data, files, columns)
  const with_ = (at: number, score: number) => columns.map((c, f) => f === 1 ? { ...c, score: c.score.with(at, score) } : c)
  t.throws(() => { checkNab(data, files, with_(1000, NaN)) }, /the answer is wrong/)
  t.throws(() => { checkNab(data, files, with_(1000, 15.5)) }, /without what follows/)
})

t.test('no score knows what follows: the first half of each file alone gets the same', { skip }, async t => {
  const whole = detected(readNab(data)), half = detected(readNab(data, 0.5))
  t.ok(half.length > 0 && half.every(({ score }, f) => score.length > 0 && score.every((s, i) => s === whole[f].score[i])))
  t.ok(whole.some(({ alarm }) => alarm.some(a => a === 1)))
})
