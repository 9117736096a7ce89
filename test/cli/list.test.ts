import t from 'tap'
import { errors, reasons } from '#engine'
import { call } from './call.ts'

void t.test('without a word it lists all components with what they do', async t => {
  const { code, out } = await call('list')
  t.equal(code, 0)
  t.match(out, /^sources\n {2}plant {2}Readings of a plant\.\n\noperators\n/)
  t.match(out, /\n {2}ewma {5}Exponentially weighted moving average of each series\.\n/)
})

void t.test('errors, reasons and columns come from their tables', async t => {
  t.equal((await call('list', 'errors')).out.trim().split('\n').length, Object.keys(errors).length)
  t.strictSame(JSON.parse((await call('list', 'reasons', '--json')).out).map((r: any) => r.reason), Object.keys(reasons))
  t.strictSame(JSON.parse((await call('list', 'columns', '--json')).out), [{ column: 'doubled', operator: 'doubled' }, { column: 'ewma', operator: 'ewma' }, { column: 'outside', operator: 'outside' }, { column: 'sum', operator: 'sums' }])
})

void t.test('--json lists everything as data', async t => {
  t.strictSame(Object.keys(JSON.parse((await call('list', '--json')).out)), ['sources', 'operators', 'sinks'])
  t.match(await call('list', 'things'), { code: 2, err: /Allowed choices are sources/ })
})
