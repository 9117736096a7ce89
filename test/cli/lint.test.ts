import t from 'tap'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { MAIN } from '../support/program.ts'
import { call, files, good } from './call.ts'

const here = files({
  'good.yaml': good,
  'bad.yaml': good.replace('ewma ]', 'ewam ]').replace('lateness: 5s', 'lateness: 5'),
  'warned.yaml': good.replace('lateness: 5s', 'lateness: 5m'),
  'unset.yaml': good.replace('plant://me:pw@host', '${MILLRACE_TEST_UNSET}'),
  'broken.mjs': "throw new Error('no way')",
  'other.mjs': 'export default 3'
})
t.teardown(() => here.remove())

void t.test('a good file has no findings and exit code 0', async t => {
  t.strictSame(await call('lint', here.path('good.yaml')), { code: 0, out: '', err: '1 pipeline: 0 errors, 0 warnings\n' })
})

void t.test('errors come as blocks on stdout, with exit code 78', async t => {
  const { code, out, err } = await call('lint', here.path('good.yaml'), here.path('bad.yaml'))
  t.equal(code, 78)
  t.match(out, /error\[config\/invalid\].*\n {2}--> .*bad.yaml:3:19\n/)
  t.match(out, /error\[config\/unknown-component\].*\n {2}--> .*bad.yaml:4:9\n {3}4 \| pipe: \[ ewam \]\n {5}\| {9}\^\^\^\^ did you mean "ewma"\?\n/)
  t.equal(err, '2 pipelines: 2 errors, 0 warnings\n')
})

void t.test('warnings do no harm unless they are denied', async t => {
  t.equal((await call('lint', here.path('warned.yaml'))).code, 0)
  t.equal((await call('validate', '--deny-warnings', here.path('warned.yaml'))).code, 1)
  t.equal((await call('lint', '--deny-warnings', here.path('good.yaml'))).code, 0)
})

void t.test('--json gives the findings as data', async t => {
  const { code, out } = await call('lint', '--json', here.path('bad.yaml'))
  t.equal(code, 78)
  t.strictSame(JSON.parse(out).map(({ code, line, column, path }: any) => [code, line, column, path]), [['config/invalid', 3, 19, 'time.lateness'], ['config/unknown-component', 4, 9, 'pipe[0].ewam']])
})

void t.test('a variable that is not set is an error, unless the environment does not matter', async t => {
  t.equal((await call('lint', here.path('unset.yaml'))).code, 78)
  t.equal((await call('lint', '--no-environment', here.path('unset.yaml'))).code, 0)
})

void t.test('a module with a pipeline as default export is checked like a file', async t => {
  const catalog = pathToFileURL(join(import.meta.dirname, '../engine/catalog.ts')).href, engine = pathToFileURL(join(import.meta.dirname, '../../engine/index.ts')).href
  const module = (rest: string) => `import { pipeline } from '${engine}'\nimport { plant, print, doubled, within } from '${catalog}'\nexport default pipeline('p').from(plant())${rest}\n`
  const modules = files({ 'good.ts': module('.to(print())'), 'bad.ts': module(".pipe(doubled({ of: 'nope' }) as any).to(print())"), 'throws.ts': module('.pipe(within({ min: 3, max: 1 })).to(print())') })
  t.teardown(() => modules.remove())
  t.equal((await call('lint', modules.path('good.ts'))).code, 0)
  t.match(await call('lint', modules.path('bad.ts')), { code: 78, out: /config\/unknown-column.*bad\.ts: step "doubled" needs the column "nope"/ })
  t.match(await call('lint', modules.path('throws.ts')), { code: 78, out: /within: min \(3\) is above max \(1\)/ })
  t.match(await call('lint', here.path('other.mjs')), { code: 78, out: /has no pipeline as its default export/ })
  t.match(await call('lint', here.path('broken.mjs')), { code: 78, out: /cannot be loaded: no way/ })
})

void t.test('a file that is not there, and a command called wrongly, are exit code 2', async t => {
  t.match(await call('lint', here.path('none.yaml')), { code: 2, err: /error\[usage\/file\]: the file ".*none.yaml" cannot be read: ENOENT/ })
  t.match(await call('lint', here.path('none.ts')), { code: 2, err: /error\[usage\/file\]/ })
  t.match(await call('lint'), { code: 2, err: /missing required argument/ })
  t.match(await call('lnt', 'x'), { code: 2, err: /Did you mean lint/ })
  t.match(await call('lint', '--nope', 'x'), { code: 2, err: /unknown option/ })
  t.match(await call('lint', '-e', here.path('none.env'), here.path('good.yaml')), { code: 2, err: /none.env/ })
  t.match(await call('--version'), { code: 0, out: /^\d+\.\d+\.\d+/ })
})

void t.test('the program itself ends with the exit code', async t => {
  const { status, stdout } = spawnSync(process.execPath, [MAIN, 'lint', here.path('bad.yaml')], { env: { ...process.env, NODE_OPTIONS: undefined }, encoding: 'utf8' })
  t.equal(status, 78)
  t.match(stdout, /there is no source "plant"/)
})
