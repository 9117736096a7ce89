import t from 'tap'
import { call, files, good } from './call.ts'

const here = files({ 'good.yaml': good, 'failing.yaml': good.replace('expect: { hot: [] }', 'expect: { hot: [ { time: 00:00:01, state: firing } ] }'), 'bad.yaml': good.replace('ewma ]', 'ewam ]'), 'none.yaml': good.slice(0, good.indexOf('tests:')), 'unset.yaml': good.replace('http://x', '"${MILLRACE_TEST_UNSET:?set it}"').replace('from: { plant: { ', 'from: { plant: { qos: "${MILLRACE_TEST_UNSET}", ') })
t.teardown(() => here.remove())

void t.test('tests that agree are listed, exit code 0', async t => {
  t.strictSame(await call('test', here.path('good.yaml')), { code: 0, out: `ok      ${here.path('good.yaml')}: a spike is averaged away\nok      ${here.path('good.yaml')}: heat is not\n`, err: '2 tests, 0 failed\n' })
})

void t.test('a test that fails shows what was expected and what came, exit code 1', async t => {
  const { code, out, err } = await call('test', here.path('failing.yaml'), here.path('good.yaml'))
  t.equal(code, 1)
  t.ok(out.startsWith(`failed  ${here.path('failing.yaml')}: a spike is averaged away\n          hot\n            - { time: 00:00:01, state: firing }\nok `))
  t.match(err, /4 tests, 1 failed/)
})

void t.test('--json gives the results as data', async t => {
  const { code, out } = await call('test', '--json', here.path('failing.yaml'))
  t.equal(code, 1)
  t.strictSame(JSON.parse(out).map((r: any) => [r.name, r.ok, r.differences.length]), [['a spike is averaged away', false, 1], ['heat is not', true, 0]])
})

void t.test('tests need no environment, but a pipeline without errors', async t => {
  t.equal((await call('test', here.path('unset.yaml'))).code, 0)
  t.match(await call('test', here.path('bad.yaml')), { code: 78, err: /did you mean "ewma"/ })
  t.match(await call('test', here.path('none.yaml')), { code: 1, err: /there are no tests/ })
})
