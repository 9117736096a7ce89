import { join } from 'node:path'
import t from 'tap'
import { areaUnderCurve } from '../../bench/forest.ts'
import { readSkab } from '../../bench/skab-files.ts'
import { planted } from '../../bench/skab-planted.ts'
import { scoresOf } from '../../bench/skab.ts'
import { normalised, profiles, scoreAt } from '../../bench/nab-score.ts'
import { developmentData } from '../support/development-data.ts'

const { data, skip } = developmentData()

t.test('change points of SKAB: a window is a minute from each, or to the next one; no score knows what follows', { skip }, async t => {
  const files = readSkab(join(data, 'skab'))
  t.strictSame(files.map(f => f.name), ['valve2/0.csv', 'valve2/1.csv', 'valve2/2.csv', 'valve2/3.csv'])
  for (const { device: { micros }, windows } of files) {
    t.ok(windows.length > 0 && windows.every(([first, last], i) => first >= 400 && last > first && micros[last] - micros[first] <= 60e6 && last < (windows[i + 1]?.[0] ?? Infinity)))
  }
  const [file] = files, half = Math.ceil(file.device.micros.length / 2), whole = scoresOf(file)
  const first = scoresOf({ ...file, device: { ...file.device, micros: file.device.micros.slice(0, half), values: file.device.values.slice(0, half) } })
  t.strictSame(whole.slice(0, half), first)
  t.ok(whole.some(x => x > 0) && whole.slice(0, 400).every(x => x === 0))
})

t.test('planted changes move two metrics, and nothing else, within the windows', { skip }, async t => {
  const [one] = planted(join(data, 'skab'), 5), [other] = planted(join(data, 'skab'), 6)
  const moved = [0, 1, 2, 3, 4, 5, 6, 7].filter(m => Math.abs(one.device.values[700][m] - other.device.values[700][m]) > 1e-9).length
  t.ok(moved >= 1 && moved <= 4)
  t.strictSame(one.device.values.slice(0, 570), other.device.values.slice(0, 570))
  t.strictSame(one.device.values.slice(890), other.device.values.slice(890))
})

t.test('the first rows do not count when the protocol says so', async t => {
  const score = Array.from({ length: 100 }, (_, i) => i === 30 || i === 50 ? 1 : 0), of = (unscored?: number) => scoreAt({ score, windows: [[50, 60]], ...unscored === undefined ? {} : { unscored } }, 1, profiles.standard)
  t.equal(of(40).score, 1)
  t.equal(of().score, 1 - 0.11)
  t.equal(normalised(of(40).score, [{ score, windows: [[50, 60]] }], profiles.standard), 100)
})

t.test('the area under the curve is the share of pairs in the right order', async t => {
  const scores = [1, 2, 2, 3, 5, 0], labels = [0, 1, 0, 1, 0, 0]
  let right = 0
  scores.forEach((a, i) => scores.forEach((b, j) => { if (labels[i] === 1 && labels[j] === 0) right += a > b ? 1 : a === b ? 0.5 : 0 }))
  t.equal(areaUnderCurve(scores, labels), right / 8)
})
