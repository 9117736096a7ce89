import t from 'tap'
import { SeriesTable } from '#engine'
import { PARTITIONS, partitionOf } from '../../engine/partition.ts'

/** From the test vectors of its authors, http://www.isthe.com/chongo/src/fnv/test_fnv.c, FNV-1a of 32 bits. */
const vectors: Readonly<Record<string, number>> = {
  '': 0x811c9dc5, a: 0xe40c292c, b: 0xe70c2de5, c: 0xe60c2c52, d: 0xe10c2473, e: 0xe00c22e0, f: 0xe30c2799,
  fo: 0x6222e842, foo: 0xa9f37ed7, foob: 0x3f5076ef, fooba: 0x39aaa18a, foobar: 0xbf9cf968
}

t.test('the partition of a device is FNV-1a of tenant and device, one behind the other, modulo 64', async t => {
  t.equal(PARTITIONS, 64)
  for (const [text, hash] of Object.entries(vectors)) {
    for (let cut = 0; cut <= text.length; cut++) t.equal(partitionOf(text.slice(0, cut), text.slice(cut)), hash % 64, JSON.stringify([text.slice(0, cut), text.slice(cut)]))
  }
})

t.test('it is of the UTF-8 of the names', async t => {
  const fnv = (bytes: readonly number[]) => Number(bytes.reduce((hash, byte) => (hash ^ BigInt(byte)) * 0x01000193n % 2n ** 32n, 0x811c9dc5n)) % 64
  t.equal(partitionOf('ä', '😀'), fnv([0xc3, 0xa4, 0xf0, 0x9f, 0x98, 0x80]))
  t.equal(partitionOf('werk', 'süd'), fnv([...Buffer.from('werksüd')]))
})

t.test('devices spread over 0 to 63, each about as often', async t => {
  const counts = Array.from({ length: 64 }, () => 0)
  for (let i = 0; i < 64_000; i++) counts[partitionOf('default', `device-${i}`)]++
  t.equal(counts.length, 64, 'none lies outside')
  t.ok(Math.min(...counts) > 850 && Math.max(...counts) < 1150, `${Math.min(...counts)} to ${Math.max(...counts)} of 1000`)
})

t.test('a table knows the partition of each of its devices', async t => {
  const series = new SeriesTable(10)
  for (const device of ['foobar', 'foo']) t.equal(series.partitionOf[series.device('', device)], vectors[device] % 64)
})
