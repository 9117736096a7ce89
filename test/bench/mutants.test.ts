import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { mutants } from '../../bench/mutants/list.ts'

const root = join(import.meta.dirname, '..', '..')

t.test('each planted bug has its line, and the test that is to catch it', async t => {
  for (const { name, by, file, find, replace } of mutants) {
    t.equal(readFileSync(join(root, file), 'utf8').split(find).length, 2, `${name}: once in ${file}`)
    t.not(find, replace)
    t.ok(existsSync(join(root, by)), by)
  }
  t.equal(new Set(mutants.map(m => m.name)).size, mutants.length)
})
