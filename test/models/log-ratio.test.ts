import t from 'tap'
import { logRatioAbove } from '../../models/log-ratio.ts'
import { uniform } from './random.ts'

t.test('is the logarithm of the ratio, or 0 where that does not exceed the threshold', async t => {
  const u = uniform(1)
  let exact = 0
  for (let i = 0; i < 200_000; i++) {
    const scale = 10 ** (u() * 200 - 100), a = scale * u(), b = i % 3 === 0 ? a * (1 + 1e-7 * u()) : scale * u(), threshold = i % 2 === 0 ? u() : Math.abs(Math.log(a / b)) * (1 + 1e-8 * (u() - 0.5))
    const log = Math.abs(Math.log(a / b)), got = logRatioAbove(threshold, a, b)
    if (got === log) exact++
    else if (!(got === 0 && log <= threshold)) t.fail(`${a} / ${b} with ${threshold}: ${got}, not ${log}`)
  }
  t.ok(exact > 50_000 && exact < 190_000, `both occur: ${exact}`)
})

t.test('is the logarithm whatever it is when the threshold is 0 or Infinity', async t => {
  t.equal(logRatioAbove(0, 3, 3), 0)
  t.equal(logRatioAbove(0, 3, 3.0000000000000004), Math.abs(Math.log(3 / 3.0000000000000004)))
  t.equal(logRatioAbove(Infinity, 2, 1), Math.LN2)
})
