import { chmodSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { devices } from '../../engine/cli/devices.ts'
import { main } from '../../engine/cli/program.ts'
import type { Parts } from '../../engine/components.ts'
import { devicesOf, passwordDigest } from '../../engine/credentials.ts'
import { temporary } from '../support/program.ts'

function setUp (t: Test) {
  const file = join(temporary(t), 'devices.csv')
  return {
    file,
    known: () => [...devicesOf(readFileSync(file, 'utf8'), file).values()],
    ask: async (...args: string[]): Promise<{ code: number, out: string, err: string }> => {
      let out = '', err = ''
      const code = await main(['devices', ...args, '--file', file], {} as Parts, [devices], { writeOut: text => { out += text }, writeErr: text => { err += text }, getOutHasColors: () => false, getErrHasColors: () => false })
      return { code, out, err }
    }
  }
}

t.test('a device is added, listed, given a new password, and removed', async t => {
  const { file, known, ask } = setUp(t)
  const { code, out } = await ask('add', 'acme/pump-1'), password = out.trim()
  t.equal(code, 0)
  t.match(password, /^[0-9A-Za-z]{43}$/)
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.strictSame(known(), [{ username: 'acme/pump-1', digest: passwordDigest(password), topics: ['acme/pump-1/#'] }])
  t.notMatch(readFileSync(file, 'utf8'), password)
  t.match(await ask('add', 'gateway', '--certificate', '--topics', 'acme/+/temp', 'acme/+/flow'), { code: 0, out: '' })
  t.equal((await ask('list')).out, 'acme/pump-1  password  acme/pump-1/#\ngateway  certificate  acme/+/temp acme/+/flow\n')
  t.match(await ask('add', 'acme/pump-1'), { code: 2, err: /already[\s\S]*--again/ })
  const again = (await ask('add', 'acme/pump-1', '--again')).out.trim()
  t.not(again, password)
  t.strictSame(known()[0].digest, passwordDigest(again))
  t.equal((await ask('remove', 'gateway')).code, 0)
  t.match(await ask('remove', 'gateway'), { code: 2, err: /no "gateway"/ })
})

t.test('what could not be read again is not written', async t => {
  const { known, ask } = setUp(t)
  await ask('add', 'a')
  for (const [name, ...topics] of [['b c'], ['b#'], ['b', 'x/#/y'], ['b', '$SYS/x']]) t.match(await ask('add', name, ...topics.length === 0 ? [] : ['--topics', ...topics]), { code: 78 }, name)
  t.strictSame(known().map(d => d.username), ['a'])
})

t.test('of two changes at once none is lost, and who could read the file still can', async t => {
  const { file, known, ask } = setUp(t)
  await ask('add', 'a')
  chmodSync(file, 0o640)
  const codes = (await Promise.all(['b', 'c', 'd'].map(name => ask('add', name)))).map(r => r.code)
  t.equal(known().length, 1 + codes.filter(code => code === 0).length, 'each that says it was done')
  t.equal(statSync(file).mode & 0o777, 0o640)
})
