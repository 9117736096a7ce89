import t from 'tap'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Places } from '../../engine/journal-places.ts'
import { quiet } from '../support/collect.ts'

const HOUR = 3_600_000

/** Places of running pipelines, at a clock that is moved by hand. */
function open (t: any, at: Readonly<Record<string, number>>) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-places-')), { log, lines } = quiet(), clock = { now: 0 }
  const places = new Places(folder, { log, clock: () => clock.now })
  t.teardown(async () => { await places.saved; rmSync(folder, { recursive: true, force: true }) })
  for (const [pipeline, position] of Object.entries(at)) {
    places.attach(pipeline, () => {})
    places.move(pipeline, position)
  }
  return { places, clock, lost: () => lines.flatMap(({ text }) => /"(\w+)" has lost its place/.exec(text)?.[1] ?? []) }
}

t.test('several that are stuck at one place lose theirs one after the other, so that one that goes on can go on', async t => {
  const { places, lost } = open(t, { a: 1000, b: 1000, c: 990_000 })
  t.equal(places.oldest(0.7, 1_000_000), 1000)
  t.strictSame(lost(), [], 'as long as there is room')
  places.oldest(0.99, 1_000_000)
  t.equal(places.oldest(0.99, 1_000_000), 990_000)
  t.strictSame(lost(), ['a', 'b'])
  t.equal(places.oldest(0.99, 1_000_000), 990_000, 'the last one has nobody in its way')
})

t.test('all that are stuck together keep their places: nobody else is stopped', async t => {
  const { places, lost } = open(t, { a: 1000, b: 2000 })
  t.equal(places.oldest(0.99, 1_000_000), 1000)
  t.strictSame(lost(), [])
})

t.test('one that has stopped by itself keeps its place for 24 hours', async t => {
  const { places, clock, lost } = open(t, { a: 1000, b: 2000 })
  clock.now = 30 * HOUR
  places.move('b', 3000)
  t.equal(places.oldest(0.1, 4000), 1000, 'while it runs, however long it has been stuck')
  places.detach('a')
  clock.now = 53 * HOUR
  t.equal(places.oldest(0.1, 4000), 1000)
  clock.now = 54 * HOUR
  t.equal(places.oldest(0.1, 4000), 3000)
  t.strictSame(lost(), ['a'])
  places.detach('a')
  t.strictSame([places.of('a'), places.least], [1000, 3000], 'how far it has read is known all the same')
  places.expect('a', 2500)
  t.strictSame([places.of('a'), places.least], [1000, 1000])
  places.expect('c', 2500)
  t.equal(places.of('c'), 2500, 'one that has never read it begins where it begins')
})
