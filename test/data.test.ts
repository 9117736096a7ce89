import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { checksums, generate } from '../data/generate.ts'
import { replay } from '../connectors/replay.ts'
import { collect } from './support/collect.ts'

const folder = join(import.meta.dirname, '../data')
const read = (name: string) => readFileSync(join(folder, name), 'utf8')

void t.test('making the data again gives the same bytes, and the checksums are theirs', async t => {
  const files = generate()
  t.strictSame(Object.keys(files), ['sensors.csv', 'labels.csv'])
  for (const [name, content] of Object.entries(files)) t.ok(read(name) === content, `${name} is not what generate.ts makes: node --import tsx data/generate.ts`)
  t.equal(read('CHECKSUMS'), checksums(files))
})

void t.test('the data are small, and hold 15 sensors with at least 500 readings each', async t => {
  t.ok(read('sensors.csv').length < 1_000_000)
  const { readings, dead } = await collect(replay({ files: join(folder, 'sensors.csv') }))
  t.strictSame(dead, [])
  const counts = new Map<string, number>()
  for (const [series] of readings) counts.set(series, (counts.get(series) ?? 0) + 1)
  t.equal(counts.size, 15)
  t.equal(Math.max(...counts.values()), 864)
  t.equal(Math.min(...counts.values()), 840)
})

void t.test('there is a label for a fault of each kind', async t => {
  const kinds = read('labels.csv').trim().split('\n').slice(1).map(line => line.split(',')[2])
  t.strictSame(kinds.sort(), ['clip', 'clock', 'drift', 'dropout', 'load', 'noise', 'shift', 'spike', 'stuck', 'unit'])
})
