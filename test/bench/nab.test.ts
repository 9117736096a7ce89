import t from 'tap'
import { falseAlarms, seriesOf } from '../../bench/calibration.ts'
import { detected } from '../../bench/nab.ts'
import { readNab } from '../../bench/nab-files.ts'
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

const { data, skip } = developmentData('nab')
t.test('no score knows what follows: the first half of each file alone gets the same', { skip }, async t => {
  const whole = detected(readNab(data)), half = detected(readNab(data, 0.5))
  t.ok(half.length > 0 && half.every(({ score }, f) => score.length > 0 && score.every((s, i) => s === whole[f].score[i])))
  t.ok(whole.some(({ alarm }) => alarm.some(a => a === 1)))
})
