import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { Credits, type Source } from '#engine'
import { replay } from '../../connectors/replay.ts'
import { collect, quiet, type CollectOptions } from '../support/collect.ts'
import { developmentData } from '../support/development-data.ts'

type Options = NonNullable<Parameters<typeof replay>[0]>
/** Replays files given as text. */
function given (t: { testdir (files: Record<string, string>): string }, files: Record<string, string>, options: Options = {}, how: CollectOptions = {}) {
  const folder = t.testdir(files)
  return collect(replay({ files: Object.keys(files).map(name => join(folder, name)), ...options }), how)
}
const at = (text: string) => Date.parse(`${text}Z`)

void t.test('wide form: each column but the timestamp is a metric, the file is the device', async t => {
  const { readings, ended, positions } = await given(t, { 'pump.csv': 'datetime;Temp;Flow RMS\n2020-03-09 15:56:30;20.5;1\n2020-03-09 15:56:31;21;-2e-3\n' })
  t.strictSame(readings, [
    ['pump/Temp', at('2020-03-09T15:56:30'), 20.5], ['pump/Flow RMS', at('2020-03-09T15:56:30'), 1],
    ['pump/Temp', at('2020-03-09T15:56:31'), 21], ['pump/Flow RMS', at('2020-03-09T15:56:31'), -0.002]
  ])
  t.strictSame(positions, [1, 1, 2, 2])
  t.ok(ended)
})

void t.test('long form: a row names its device and metric', async t => {
  const text = 'time,device,metric,value\n1767225600,a,temp,1\n1767225600000,b,temp,2\n1767225600000001,a,rpm,3\n'
  const { readings } = await given(t, { 'x.csv': text })
  t.strictSame(readings, [['a/temp', 1767225600000, 1], ['b/temp', 1767225600000, 2], ['a/rpm', 1767225600000.001, 3]])
  const renamed = await given(t, { 'x.csv': text.replace('device,metric,value', 'sensor,what,x') }, { metric: 'what', value: 'x', device: 'hall-{sensor}-{file}', tenant: 'acme' })
  t.strictSame(renamed.readings.map(r => r[0]), ['acme:hall-a-x/temp', 'acme:hall-b-x/temp', 'acme:hall-a-x/rpm'])
})

void t.test('separators are told by the first line, and may be said', async t => {
  for (const s of [';', '\t', ',']) t.strictSame((await given(t, { 'a.csv': `ts${s}x\n1767225600${s}5\n` })).readings, [['a/x', 1767225600000, 5]])
  t.strictSame((await given(t, { 'a.csv': 'ts|x\n1767225600|5\n' }, { separator: '|' })).readings, [['a/x', 1767225600000, 5]])
})

void t.test('files without header and timestamps, separated by white space, count their rows', async t => {
  const { readings } = await given(t, { 'd00.dat': '   2.5e-01   3.7023000e+03\n   2.6e-01   3.6e+03\n' }, { interval: '3m', start: '2026-01-05T00:00:00Z' })
  t.strictSame(readings, [['d00/c1', at('2026-01-05T00:00:00'), 0.25], ['d00/c2', at('2026-01-05T00:00:00'), 3702.3], ['d00/c1', at('2026-01-05T00:03:00'), 0.26], ['d00/c2', at('2026-01-05T00:03:00'), 3600]])
})

void t.test('decimal commas, dates with the day first, a date and a time column, missing markers', async t => {
  const { readings, dead, positions } = await given(t, { 'air.csv': 'Date;Time;CO;T;;\n10/03/2004;18.00.00;2,6;13,5;;\n4/04/2005;14:00:00;-200;-200,0;;\n;;;;;\n4/04/2005;15:00:00;NA;1;;\n' }, { decimal: ',', dates: 'dmy', missing: ['-200', '-200,0'] })
  t.strictSame(readings, [['air/CO', at('2004-03-10T18:00:00'), 2.6], ['air/T', at('2004-03-10T18:00:00'), 13.5], ['air/T', at('2005-04-04T15:00:00'), 1]])
  t.strictSame(dead, [])
  t.strictSame(positions, [1, 1, 3])
  t.strictSame((await given(t, { 'us.csv': 'date,x\n3/10/2004 6:05,1\n' }, { dates: 'mdy' })).readings, [['us/x', at('2004-03-10T06:05:00'), 1]])
})

void t.test('a missing marker that is a number is compared as a number', async t => {
  t.strictSame((await given(t, { 'a.csv': 'ts,x,y\n1767225600,-200.0,-200.1\n' }, { missing: ['-200'] })).readings, [['a/y', 1767225600000, -200.1]])
})

void t.test('columns may be named, left out and chosen', async t => {
  const text = '"date","T","Label"\n"1","2015-02-04 17:51:00","23,5",1\n'
  t.strictSame((await given(t, { 'a.txt': text }, { columns: ['', 'date', 'T', 'Label'], ignore: ['Label'], decimal: ',' })).readings, [['a/T', at('2015-02-04T17:51:00'), 23.5]])
  t.strictSame((await given(t, { 'a.csv': 'ts,x,y\n1767225600,1,2\n' }, { metrics: ['y'] })).readings, [['a/y', 1767225600000, 2]])
})

void t.test('byte order mark, CR LF, blank lines and a missing last line end do not matter', async t => {
  const { readings, positions } = await given(t, { 'a.csv': '\ufeffts,x\r\n\r\n1767225600,1\r\n\r\n1767225601,true' })
  t.strictSame(readings, [['a/x', 1767225600000, 1], ['a/x', 1767225601000, 1]])
  t.strictSame(positions, [1, 2])
})

void t.test('what cannot be read becomes a dead letter with its row, reason and position; the rest goes on', async t => {
  const rows: [string, string | undefined][] = [
    ['1767225600,1,2', undefined], ['1767225600,1', 'wrong_shape'], ['1767225600,1,2,3', 'wrong_shape'], ['soon,1,2', 'bad_time'], ['1767225600,"1,2', 'unparseable'],
    ['1767225600,warm,2', 'not_a_number'], ['1767225600,0x10,2', 'not_a_number'], ['1767225600,1e999,2', 'not_finite'], ['1767225600,9007199254740993,2', 'unsafe_integer'],
    ['9999-13-01,1,2', 'bad_time'], ['-1767225600,1,2', 'bad_time'], [`1767225600,${'1'.repeat(1_100_000)},2`, 'too_large'], ['1767225601,,', undefined], ['1767225602,3,4', undefined]
  ]
  const { dead, readings, deliveries } = await given(t, { 'a.csv': `ts,x,y\n${rows.map(r => r[0]).join('\n')}\n` })
  t.strictSame(dead.map(d => [d.position, d.reason]), rows.flatMap(([, reason], i) => reason === undefined ? [] : [[i + 1, reason]]))
  for (const { position, text } of dead) t.ok(rows[position - 1][0].startsWith(text.slice(0, 1000)) && text.length > 0)
  t.strictSame(readings.slice(-2).map(r => r[2]), [3, 4])
  t.equal(deliveries.reduce((sum, d) => sum + d.received, 0), readings.length + dead.length)
  t.equal(deliveries.reduce((sum, d) => sum + d.messages, 0), rows.length)
})

void t.test('names that are none become dead letters', async t => {
  const { dead } = await given(t, { 'a.csv': 'ts,device,metric,value\n1767225600,,x,1\n1767225600,a,,1\n1767225600,a,__proto__,1\n1767225600,a+b,x,1\n' })
  t.strictSame(dead.map(d => d.reason), ['bad_name', 'bad_name', 'forbidden_key', 'bad_name'])
})

void t.test('several files run side by side, in the order of their times', async t => {
  const files = { 'a.csv': 'ts,x\n1767225600,1\n1767225604,2\n1767225605,3\n', 'b.csv': 'ts,x\n1767225601,4\n1767225605,5\n', 'c.csv': '' }
  const { log, lines } = quiet()
  const { readings, positions } = await given(t, files, {}, { log })
  t.strictSame(readings.map(r => [r[0], r[2]]), [['a/x', 1], ['b/x', 4], ['a/x', 2], ['a/x', 3], ['b/x', 5]])
  t.strictSame(positions, [1, 2, 3, 4, 5])
  t.match(lines, [{ level: 'warn', text: /c\.csv is empty/ }])
})

void t.test('a restart goes on after the last committed row, with the same positions, wherever it was', async t => {
  const files = { 'a.csv': 'ts,x\n1767225600,1\nnever,1\n1767225604,2\n1767225605,3\n', 'b.csv': 'ts,x\n1767225601,4\n1767225605,5\n' }
  const whole = await given(t, files)
  for (let from = 0; from <= 6; from++) {
    const rest = await given(t, files, {}, { from })
    t.strictSame(rest.readings, whole.readings.filter((_, i) => whole.positions[i] > from))
    t.strictSame(rest.dead, whole.dead.filter(d => d.position > from))
    t.ok(rest.ended)
  }
  const { log, lines } = quiet()
  await given(t, files, {}, { from: 9, log })
  t.match(lines, [{ level: 'warn', text: /end 3 rows before the last committed one/ }])
})

void t.test('the ingest clock is the newest event time so far and never goes back', async t => {
  let source: Source | undefined
  const seen: number[] = []
  const credits = new Credits()
  const text = `ts,x\n${Array.from({ length: 20_000 }, (_, i) => `${1767225600 + (i % 7 === 0 ? i - 100 : i)},${i}`).join('\n')}`
  const { deliveries, dead } = await given(t, { 'a.csv': text }, {}, { ahead: 0, credits, opened: opened => { source = opened }, until: () => { seen.push(source!.now!()); return false } })
  t.ok(deliveries.length > 2)
  t.strictSame(deliveries.map(d => d.ingest), deliveries.map((_, i) => Math.max(...deliveries.slice(0, i + 1).map(d => d.rows.time.reduce((a, b) => Math.max(a, b), 0)))))
  t.ok(seen.every((now, i) => i === 0 || now >= seen[i - 1]))
  t.strictSame(dead, [], 'nothing is ahead of itself')
})

void t.test('at a multiple of real time rows come when it is their turn', async t => {
  const began = performance.now()
  const { readings } = await given(t, { 'a.csv': `ts,x\n${Array.from({ length: 31 }, (_, i) => `${1767225600 + i},${i}`).join('\n')}` }, { speed: 60 })
  const took = performance.now() - began
  t.equal(readings.length, 31)
  t.ok(took >= 490 && took < 20_000, `30 s at 60 times real time took ${Math.round(took)} ms`)
})

void t.test('stopping ends the wait for the next row at once', async t => {
  t.equal((await given(t, { 'a.csv': 'ts,x\n1767225600,1\n1867225600,2\n' }, { speed: 1 }, { until: () => true })).readings.length, 1, 'not after three years')
})

void t.test('it waits while the engine has no room, and loses nothing', async t => {
  const text = `ts,x\n${Array.from({ length: 5_000 }, (_, i) => `${1767225600 + i},${i}`).join('\n')}`
  const { readings, deliveries } = await given(t, { 'a.csv': text }, {}, { credits: new Credits({ bytes: 16 * 1024, deliveries: 1 }) })
  t.strictSame(readings.map(r => r[2]), Array.from({ length: 5_000 }, (_, i) => i))
  t.ok(deliveries.every(d => d.bytes < 17 * 1024))
})

void t.test('any values and times come out as they went in, exact to the microsecond', async t => {
  const row = fc.tuple(fc.integer({ min: 0, max: 250_000_000_000 * 1000 }), fc.double({ noNaN: true, noDefaultInfinity: true, min: -9e15, max: 9e15 }))
  await fc.assert(fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 30 }), fc.constantFrom('iso', 'us'), async (rows, form) => {
    const folder = t.testdir({})
    const iso = (us: number) => `${new Date(Math.floor(us / 1000)).toISOString().slice(0, -1)}${String(us % 1000).padStart(3, '0')}Z`
    const file = join(folder, 'a.csv')
    writeFileSync(file, `when,x\n${rows.map(([us, x]) => `${form === 'iso' ? iso(us) : us},${x}`).join('\n')}\n`)
    const { readings, dead } = await collect(replay({ files: file, time: 'when', header: true, timeUnit: form === 'us' ? 'us' : 'auto' }))
    t.strictSame([...readings, ...dead], rows.map(([us, x]) => ['a/x', us / 1000, x === 0 ? x + 0 : x]))
  }), { numRuns: 30 })
})

void t.test('files, folders and patterns', async t => {
  const folder = t.testdir({ 'a.csv': 'ts,x\n1767225600,1\n', 'b.txt': 'ts,x\n1767225601,1\n', 'c.png': 'x', deep: { 'd.csv': 'ts,x\n1767225602,1\n', 'e(1).csv': 'ts,x\n1767225603,1\n' } })
  const devices = async (...files: string[]) => (await collect(replay({ files: files.map(f => join(folder, f)) }))).readings.map(r => r[0][0])
  t.strictSame(await devices('.'), ['a', 'b'])
  t.strictSame(await devices('*.csv', 'b.txt', 'a.csv'), ['a', 'b'])
  t.strictSame(await devices('**/*.csv'), ['a', 'd', 'e'])
  t.strictSame(await devices('deep/e(?).csv'), ['e'])
})

void t.test('files and columns that are not there are named, with what would be right', async t => {
  const rejects = async (files: Record<string, string>, options: Options, message: RegExp, help: RegExp) => t.rejects(given(t, files, options), { message, help })
  await t.rejects(collect(replay({ files: '/nowhere/x.csv' })), { code: 'usage/file', message: /there is no "\/nowhere\/x.csv"/ })
  await t.rejects(collect(replay({ files: '/nowhere/*.csv' })), { code: 'usage/file', message: /means no file/ })
  await rejects({ 'a.csv': 'x,y\n1,2\n' }, {}, /none of the columns is a timestamp in a.csv/, /interval/)
  await rejects({ 'a.csv': 'ts,y\n1,2\n' }, { time: 'when' }, /replay.time: there is no column "when"/, /ts, y/)
  await rejects({ 'a.csv': 'ts,y\n1,2\n' }, { metrics: ['z'] }, /replay.metrics: there is no column "z"/, /ts, y/)
  await rejects({ 'a.csv': 'ts,y\n1,2\n' }, { device: '{site}' }, /replay.device: there is no column "site"/, /ts, y/)
  await rejects({ 'a.csv': 'ts,y,y\n1,2,3\n' }, {}, /two columns are called "y"/, /columns/)
  await rejects({ 'a.csv': 'ts,a+b\n1,2\n' }, {}, /the metric "a\+b"/, /columns/)
  t.throws(() => replay({ files: 'x', interval: '1s', time: 'ts' }), { code: 'config/invalid', message: /exclude each other/ })
  t.throws(() => replay({ files: 'x', start: '2026-01-01' }), { code: 'config/invalid', message: /interval/ })
  t.throws(() => replay({ files: 'x', tenant: 'a+b' }), { code: 'config/invalid', message: /the tenant "a\+b"/ })
  t.throws(() => replay({}), { code: 'config/missing', message: /replay.files is required/ })
})

const { data, skip } = developmentData()
void t.test('real files give exactly their values', { skip }, async t => {
  /** [file, time, cells] of all rows, read in the plainest way. */
  const rows = (file: string, separator: string | RegExp, skip: number) => readFileSync(join(data, file), 'utf8').split(/\r?\n/).slice(skip).filter(line => line.trim() !== '').map(line => line.trim().split(separator))
  const values = async (options: Options) => {
    const { readings, dead } = await collect(replay({ ...options, files: [options.files!].flat().map(f => join(data, f)) }))
    t.strictSame(dead, [])
    return readings
  }
  /** As strictSame, for many numbers. */
  const same = (found: readonly number[], wanted: readonly number[]) => {
    t.equal(found.length, wanted.length)
    t.equal(found.findIndex((x, i) => x !== wanted[i]), -1)
  }
  const numbers = (cells: readonly string[], from: number, to = cells.length) => cells.slice(from, to).map(Number)

  for (const run of readdirSync(join(data, 'skab/data/valve2'))) {
    const expected = rows(`skab/data/valve2/${run}`, ';', 1)
    const readings = await values({ files: `skab/data/valve2/${run}`, ignore: ['anomaly', 'changepoint'] })
    same(readings.map(r => r[2]), expected.flatMap(c => numbers(c, 1, 9)))
    same(readings.map(r => r[1]), expected.flatMap(c => Array<number>(8).fill(at(c[0].replace(' ', 'T')))))
  }
  const tweets = 'nab/data/realTweets/Twitter_volume_AAPL.csv'
  same((await values({ files: tweets })).flatMap(r => [r[1], r[2]]), rows(tweets, ',', 1).flatMap(c => [at(c[0].replace(' ', 'T')), Number(c[1])]))
  same((await values({ files: 'tep/d01_te.dat', interval: '3m' })).map(r => r[2]), rows('tep/d01_te.dat', /\s+/, 0).flatMap(c => numbers(c, 0)))
  same((await values({ files: 'airquality/AirQualityUCI.csv', dates: 'dmy', missing: ['-200'] })).map(r => r[2]), rows('airquality/AirQualityUCI.csv', ',', 1).flatMap(c => numbers(c, 2)).filter(x => x !== -200))
  same((await values({ files: 'occupancy/datatraining.txt', columns: ['', 'date', 'Temperature', 'Humidity', 'Light', 'CO2', 'HumidityRatio', 'Occupancy'] })).map(r => r[2]), rows('occupancy/datatraining.txt', ',', 1).flatMap(c => numbers(c, 2)))
})
