import t from 'tap'
import { Batch } from '#engine'
import { checks, type Check } from '../../models/hygiene.ts'
import { key, normal } from '../../models/random.ts'
import { hygiene } from '../../operators/hygiene.ts'
import { bench, each, through, type Given, type Got } from './table.ts'

type Options = Parameters<typeof hygiene>[0]
const noise = (n: number, seed: number) => Array.from({ length: n }, (_, i) => 50 + normal(key(seed), i))
const rows = (values: readonly number[], options: Options = {}) => through(hygiene(options), each(values))
const said = (r: Got): Check | undefined => r.hygiene as number > 0 ? checks[r.hygiene as number - 1] : undefined
/** What is said of rows from the 5,000th on: [row, check]. */
const after = (out: readonly Got[], from = 5000) => out.slice(from).flatMap((r, i) => said(r) === undefined ? [] : [[i, said(r)] as const])
const healthy = noise(5000, 1)

t.test('while it learns it says how far it is, and nothing else', async t => {
  const out = rows([...noise(100, 1), 1000, ...noise(150, 2)])
  t.strictSame(out.map(r => r.hygiene_learned), Array.from({ length: 251 }, (_, i) => Math.min(i, 200)))
  t.ok(out.slice(0, 200).every(r => Number.isNaN(r.hygiene) && checks.every(check => Number.isNaN(r[`hygiene_${check}`]))))
  t.ok(out.slice(200).every(r => !Number.isNaN(r.hygiene)))
})

t.test('of healthy noise nothing is said: 6 series of 20,000 readings, at one false alarm in 100,000 readings of each', async t => {
  const alarms = Array.from({ length: 6 }, (_, s) => rows(noise(20_000, 100 + s), { per: '100000s' })).flatMap(out => after(out, 0))
  t.ok(alarms.length <= 4, `${alarms.length}: ${alarms.map(a => a[1]).join()}`)
})

t.test('what is found first is told when chance gives it as rarely as the budget allows, its eight checks together', async t => {
  const limit = -Math.log10(2 * 1 / 500 / 8), largest = (r: Got) => Math.max(...checks.map(check => r[`hygiene_${check}`] as number)), wide = 0.3
  const near = [-wide, 0].map(from => (r: Got) => largest(r) >= limit + from && largest(r) < limit + from + wide), seen = [0, 0]
  for (let seed = 1; seed <= 40; seed++) {
    const out = rows(noise(2000, seed).map((x, i) => i % 37 < i / 500 ? 50 : x), { alarms: 2, per: '500s' }).slice(200), first = out.findIndex(r => largest(r) >= limit), quiet = first < 0 ? out : out.slice(0, first)
    t.ok(quiet.every(r => r.hygiene === 0) && (first < 0 || said(out[first]) !== undefined), `${seed}`)
    near.forEach((is, k) => { if (out.slice(0, first + 1).some(is)) seen[k]++ })
  }
  t.ok(seen.every(n => n > 3), `${seen.join()} near to it, below and above`)
})

t.test('stuck: a value that comes again and again, until another comes', async t => {
  const out = rows([...healthy, ...Array.from({ length: 30 }, () => 50.5), ...noise(50, 3)])
  const found = after(out)
  t.ok(found.length > 10 && found.every(([row, check]) => check === 'stuck' && row > 3 && row < 30), JSON.stringify(found))
  t.equal(out[5029].hygiene_size, 30)
})

t.test('a series that repeats itself by nature is not stuck, for as long as it used to', async t => {
  const coarse = (seed: number, n: number) => noise(n, seed).map(x => Math.round(x / 2) * 2)
  t.strictSame(after(rows([...coarse(1, 5000), ...coarse(2, 5000)])), [])
  t.ok(after(rows([...coarse(1, 5000), ...Array.from({ length: 60 }, () => 50)])).some(([row, check]) => check === 'stuck' && row > 10))
})

t.test('a battery level, a set point and a door are not stuck from the first reading on; a battery that has ended is', async t => {
  const N = 20_000, level = (i: number) => 90 - Math.floor((i + 30 * Math.sin(i / 700)) / 230), door = noise(N, 6).map((x, i) => i % 90 < 3 + x / 10 ? 1 : 0)
  for (const [name, values] of Object.entries({ battery: Array.from({ length: N }, (_, i) => level(i)), 'set point': Array.from({ length: N }, (_, i) => i % 1440 < 960 ? 21 : 17), door })) {
    const out = rows(values), told = after(out, 0)
    t.ok(told.length <= N / 1000 && told.filter(([, check]) => check === 'stuck').length === 0, `${name}: ${told.length}`)
    t.ok(out.slice(200).every(r => r.hygiene as number >= 0 && r.hygiene_stuck as number >= 0), 'and each was judged')
  }
  const ended = after(rows(Array.from({ length: N }, (_, i) => level(Math.min(i, 18_000)))), 18_000)
  t.ok(ended.length > 100 && ended[0][0] < 1200 && ended.every(([, check]) => check === 'stuck'), JSON.stringify(ended.slice(0, 3)))
})

t.test('spike: out and back, said with the reading behind it; the way there is a rate', async t => {
  for (const height of [12, -12]) {
    const out = rows([...healthy, 50 + height, ...noise(50, 3)])
    t.strictSame(after(out), [[0, 'rate'], [1, 'spike']])
    t.ok(Math.abs(out[5001].hygiene_size as number - height) < 4)
  }
})

t.test('rate: a jump; and any change faster than the author allows', async t => {
  t.strictSame(after(rows([...healthy, ...noise(50, 3).map(x => x + 15)])), [[0, 'rate']])
  const out = rows([...healthy, 56], { rate: 3 })
  t.ok(out[5000].hygiene === 4 && out[5000].hygiene_rate === 16, JSON.stringify(out[5000]))
})

t.test('range: what the author says is impossible is said from the first reading on', async t => {
  const out = rows([50, 101, -1, 100, 0], { min: 0, max: 100 })
  t.strictSame(out.map(r => [r.hygiene, r.hygiene_size]), [[NaN, NaN], [5, 1], [5, -1], [NaN, NaN], [NaN, NaN]])
})

t.test('clipping: a largest or smallest value that is come to and never passed', async t => {
  for (const sign of [1, -1]) {
    const clipped = noise(1000, 3).map(x => 50 + sign * Math.min(sign * (x - 50), 1.2))
    const found = after(rows([...healthy, ...clipped]))
    t.ok(found.length > 10 && found.every(([, check]) => check === 'clipping'), JSON.stringify(found))
    t.ok(found[0][0] < 300)
  }
})

t.test('clock: time that jumps back, and its return; a straggler is none', async t => {
  const times = (shift: (i: number) => number) => [...healthy, ...noise(500, 3)].map((x, i): Given => [i + shift(i), 'pump/temp', x])
  const back = through(hygiene(), times(i => i >= 5100 && i < 5400 ? -90 : 0))
  t.strictSame(after(back), [[101, 'clock'], [400, 'clock']])
  t.strictSame([back[5101].hygiene_size, back[5400].hygiene_size], [-90_000, 90_000])
  t.strictSame([back[5101].hygiene_gap, back[5400].hygiene_gap], [0, 0], 'and no gap')
  t.strictSame(after(through(hygiene(), times(i => i === 5100 || i === 5300 ? -90 : 0))), [])
})

t.test('unit: a jump to where a conversion leads, with its scatter', async t => {
  for (const [factor, offset] of [[1.8, 32], [1000, 0], [14.503773773, 0], [0.1, 0]]) {
    const out = rows([...healthy, ...noise(100, 3).map(x => factor * x + offset), ...noise(100, 4)])
    const units = out.flatMap((r, i) => said(r) === 'unit' ? [[i - 5000, r.hygiene_size as number] as const] : [])
    t.ok(units[0][0] === 15 && Math.abs(units[0][1] / factor - 1) < 1e-9, `${factor}: ${JSON.stringify(units)}`)
  }
  const shifted = rows([...healthy, ...noise(100, 3).map(x => x + 72)])
  t.notOk(shifted.some(r => said(r) === 'unit'), 'a shift to the same level, with the scatter that it had')
})

t.test('what is not believed is not learned: the same again is found as soon, but for what has been told', async t => {
  const stuck = Array.from({ length: 30 }, () => 50.5), ends = rows([...healthy, ...[10, 11, 12, 13].flatMap(seed => [...stuck, ...noise(100, seed)])])
  const firsts = [0, 1, 2, 3].map(k => after(ends, 5000 + 130 * k)[0])
  t.ok(firsts.every(([row, check]) => check === 'stuck' && row - firsts[0][0] <= 3), JSON.stringify(firsts))
  const late = [...healthy, ...noise(500, 3)].map((x, i): Given => [i + 60 * Math.max(0, Math.floor((i - 4900) / 100)), 'pump/temp', x])
  t.strictSame(after(through(hygiene(), late)), [0, 100, 200, 300, 400].map(row => [row, 'gap']))
})

t.test('behind a burst that began with a jump a jump is as unlikely as before it; when it goes on it becomes usual', async t => {
  const burst = (n: number) => [50, 62, ...noise(n, 5).map(x => 50 + 8 * (x - 50))], evidence = (values: readonly number[]) => rows([...values, 50, 62]).at(-1)!.hygiene_rate as number
  t.ok(evidence(healthy) > 8)
  t.equal(evidence([...healthy, ...burst(60)]), evidence(healthy))
  t.ok(evidence([...healthy, ...burst(10_000)]) < 3)
})

t.test('clipping: a value that is held where others have come to it is no stuck one', async t => {
  const waves = (n: number, seed: number) => noise(n, seed).map((x, i) => x + 3 * Math.sin(i / 20))
  for (const seed of [1, 3, 5]) {
    const out = rows([...waves(5000, seed), ...waves(1000, seed + 1).map(x => Math.min(x, 51))])
    const found = after(out, 5100)      // it was first come to before
    t.ok(found.length > 5 && found.every(([, check]) => check === 'clipping'), JSON.stringify(found))
    t.ok(found.every(([row]) => out[5100 + row].value === 51 && out[5100 + row].hygiene_size as number > 0))
  }
})

t.test('what goes on is told as the budget allows: noise that is ten times as large for good, a constant that begins to move', async t => {
  const wild = after(rows([...healthy, ...noise(30_000, 3).map(x => 50 + 10 * (x - 50))])), behind = (of: typeof wild, from: number) => of.filter(([row]) => row >= from).length
  t.ok(wild.length > 1 && wild.length < 70 && behind(wild, 10_000) <= 2, `${wild.length}, ${behind(wild, 10_000)} of them late`)
  const woken = after(rows([...Array.from({ length: 5000 }, () => 50), ...noise(20_000, 4)]))
  t.ok(woken.length < 70 && behind(woken, 10_000) <= 2, `${woken.length}`)
})

t.test('a spike that recurs never becomes usual: each is told until the budget is spent, and nothing else is silenced', async t => {
  const loose = noise(20_000, 3).map((x, i) => i % 360 === 359 ? 65_535 : x), out = rows([...healthy, ...loose, ...Array.from({ length: 30 }, () => 50.5), ...noise(200, 4)])
  const spikes = after(out).filter(([, check]) => check === 'spike').map(([row]) => row)
  t.strictSame(spikes.slice(0, 20), Array.from({ length: 20 }, (_, k) => 360 * (k + 1)))
  t.ok(spikes.length <= 36, `${spikes.length}`)
  t.ok(after(out, 25_000).some(([row, check]) => check === 'stuck' && row < 20))
  t.ok(out[5000 + 360 * 50].hygiene_spike as number > 8, 'its evidence remains')
})

t.test('a place where it rests and a level that it is switched to are usual when both have come twice; not a shorter stay', async t => {
  const night = (n: number) => Array.from({ length: n }, () => 0), days = (count: number, rest: number) => Array.from({ length: count }, (_, d) => [...noise(500, 20 + d), ...night(rest)]).flat()
  const told = (rest: number) => { const out = rows([...healthy, ...days(6, rest)]); return Array.from({ length: 6 }, (_, d) => new Set(after(out.slice(0, 5000 + (d + 1) * (500 + rest)), 5000 + d * (500 + rest)).map(a => a[1]))) }
  const long = told(300)
  t.ok([0, 1].every(d => long[d].has('rate') && long[d].has('stuck')) && [3, 4, 5].every(d => long[d].size === 0), JSON.stringify(long.map(x => [...x])))
  const short = told(60)
  t.ok(short.every(x => x.has('stuck') && x.has('rate')), JSON.stringify(short.map(x => [...x])))
  const again = rows([...healthy, ...days(6, 300), ...noise(500, 30), ...night(800)])
  t.ok(after(again, 10_300).every(([row, check]) => check === 'stuck' && row >= 440), 'half as long again as it ever was is stuck')
  t.ok(after(again, 10_300).some(([, check]) => check === 'stuck'))
  t.ok(after(rows([...healthy, ...days(6, 300), ...noise(500, 30), ...Array.from({ length: 30 }, () => 50.5)]), 10_300).length > 5, 'where it never rested it is stuck at once')
})

t.test('what the author knows of the interval holds: missing ones and the greatest rate are counted by it', async t => {
  const spaced = (values: readonly number[], last: number): Given[] => [...each(values), [values.length - 1 + last, 'pump/temp', 50]]
  const sizes = (options: Options) => through(hygiene(options), spaced(healthy, 50)).filter(r => said(r) === 'gap').map(r => r.hygiene_size)
  t.strictSame(sizes({}), [49])
  t.strictSame(sizes({ every: '5s' }), [9])
  const rate = (seconds: number) => through(hygiene({ rate: 3 }), spaced([...healthy.slice(1), 40], seconds)).at(-1)!.hygiene_rate
  t.strictSame([rate(3), rate(4)].map(x => x === 16), [true, false], '10 in 3 s is more than 3 a second, in 4 s not')
})

const every = (from: number, to: number, series: string): Given[] => Array.from({ length: Math.ceil((to - from) / 10) }, (_, i) => [from + 10 * i, series, 50 + normal(key(7), from + 10 * i)])
const merged = (...parts: readonly Given[][]): Given[] => parts.flat().sort((a, b) => a[0] - b[0])

t.test('gap: one metric goes on, the other does not: a row without a value says so while it lasts, once', async t => {
  const out = through(hygiene(), merged(every(0, 60_000, 'pump/temp'), every(0, 50_000, 'pump/flow'), every(55_000, 60_000, 'pump/flow')))
  const gaps = out.filter(r => said(r) !== undefined)
  t.equal(gaps.length, 1)
  const [{ series, at, value, hygiene_size: missed }] = gaps as [Got & { hygiene_size: number }]
  t.ok(series === 'pump/flow' && Number.isNaN(value) && at > 50_020 && at < 50_200 && missed >= 3 && missed <= 12, JSON.stringify(gaps))
  const place = out.indexOf(gaps[0])
  t.ok(out[place - 1].at <= 50_200 && out[place - 1].series === 'pump/temp', 'it stands where it was found')
})

t.test('gap: each is told once, in a row that has nothing but the gap', async t => {
  const out = through(hygiene(), merged(every(0, 80_000, 'pump/temp'), every(0, 50_000, 'pump/flow'), every(55_000, 70_000, 'pump/flow'), every(72_000, 80_000, 'pump/flow')))
  const gaps = out.filter(r => said(r) !== undefined)
  t.strictSame(gaps.map(r => [r.series, said(r)]), [['pump/flow', 'gap'], ['pump/flow', 'gap']])
  for (const { hygiene_gap: evidence, hygiene_learned: learned, ...rest } of gaps) {
    t.ok(evidence as number > 5 && learned === 200)
    t.ok(checks.every(check => check === 'gap' || Number.isNaN(rest[`hygiene_${check}`])))
  }
})

t.test('gap: one that was told is over with the next reading; another is said again, also when only the next reading shows it', async t => {
  const out = through(hygiene(), merged(every(0, 60_000, 'pump/temp'), every(65_000, 70_000, 'pump/temp'), every(0, 50_000, 'pump/flow'), every(55_000, 60_000, 'pump/flow'), every(65_000, 70_000, 'pump/flow')))
  const [first, ...others] = out.filter(r => said(r) !== undefined)
  t.ok(first.series === 'pump/flow' && first.at < 50_200 && said(first) === 'gap')
  t.strictSame(others.map(r => [r.at, said(r)]), [[65_000, 'gap'], [65_000, 'gap']])
})

t.test('gap: its row has the position and the progress of the record that found it', async t => {
  const b = bench(hygiene())
  b.give(merged(every(0, 50_000, 'pump/temp'), every(0, 50_000, 'pump/flow')))
  const batch = b.batch(every(50_000, 51_000, 'pump/temp')), out = b.stage.process(batch.with({ seq: batch.value.map(() => 3), revision: batch.value.map(() => 2), other: batch.value }))
  const at = out.columns.hygiene.findIndex((code: number) => code === 2), place = out.position[at]
  t.strictSame([out.columns.seq[at], out.columns.revision[at], out.columns.other[at]], [0, 0, NaN])
  t.ok(at > 0 && place === out.position[at - 1] && out.arrival[at] === out.time[at - 1])
})

t.test('gap: a tick finds it when the whole device is silent, as soon as that is long enough for the series', async t => {
  const b = bench(hygiene(), { idle: 30 })
  b.give(merged(every(0, 50_000, 'pump/temp'), every(0, 50_000, 'slow/temp').filter((_, i) => i % 20 === 0)))
  t.strictSame(b.wait(31).rows, [], 'three readings are not enough')
  const found = [40, 80, 160, 400, 800, 1600, 3200].flatMap(s => b.wait(s).rows)
  t.strictSame(found.map(r => [r.series, said(r)]), [['pump/temp', 'gap'], ['slow/temp', 'gap']])
  const back = b.give([[56_400, 'pump/temp', 50], [56_410, 'pump/temp', 50.2]])
  t.strictSame(back.map(r => r.hygiene), [0, 0], 'with the next reading it is over')
})

t.test('gap: an engine that was down finds nobody silent, neither then nor when it goes on', async t => {
  const lost = (down: boolean) => {
    const b = bench(hygiene())
    b.give(merged(every(0, 50_000, 'pump/temp'), every(0, 50_000, 'pump/flow').filter((_, i) => i % 4 === 0)))
    if (down) b.down(5000)
    return [...b.wait(1).rows, ...b.give(merged(every(55_000, 56_000, 'pump/temp'), every(55_020, 56_000, 'pump/flow').filter((_, i) => i % 4 === 0)))].filter(r => said(r) !== undefined)
  }
  t.strictSame(lost(true), [])
  t.strictSame(new Set(lost(false).map(r => [r.series, said(r)].join())), new Set(['pump/temp,gap', 'pump/flow,gap']), 'but a pause that nobody explains is one')
})

t.test('gap: what comes in records of an hour, metric by metric, has none', async t => {
  const b = bench(hygiene())
  for (let record = 0; record < 120; record++) {
    const hour = record >> 1, batch = b.batch(every(3600 * hour, 3600 * (hour + 1), record % 2 === 0 ? 'pump/temp' : 'pump/flow'))
    const out = b.stage.process(new Batch({ ...batch, position: batch.position.map(() => record), progress: { ...batch.progress, position: batch.progress.position.map(() => record) } }))
    t.notOk(out.columns.hygiene.includes(2) || out.length !== batch.length, `record ${record}`)
  }
})

t.test('a reading without a finite value is no reading', async t => {
  const whole = rows(noise(600, 5)), out = through(hygiene(), each(noise(600, 5)).flatMap(([at, series, x]): Given[] => [[at, series, NaN], [at, series, x], [at, series, Infinity]]))
  t.strictSame(out.filter((_, i) => i % 3 === 1), whole)
  t.ok(out.filter((_, i) => i % 3 !== 1).every(r => Number.isNaN(r.hygiene)))
})

t.test('a long stream with faults in pieces, with snapshots and beside other series, gives the same', async t => {
  const mixed = merged(every(0, 60_000, 'a/x'), every(0, 60_000, 'a/y'), every(0, 60_000, 'b/x')).flatMap(([at, series, x]): Given[] => {
    const i = at / 10
    if (series !== 'a/x') return [[at, series, x]]
    if (i > 3000 && i < 3100) return []
    return [[i > 4000 && i < 4100 ? at - 300 : at, series, i > 2000 && i < 2040 ? 50 : i > 5500 ? 10 * x : i === 1000 ? 80 : x]]
  })
  const expected = bench(hygiene()).give(mixed)
  const b = bench(hygiene()), got: Got[] = []
  for (let i = 0, size = 1; i < mixed.length; i += size, size = size * 3 % 1009) {
    got.push(...b.give(mixed.slice(i, i + size)))
    b.restart()
  }
  t.ok(new Set(expected.map(said)).size >= 6, [...new Set(expected.map(said))].join())
  t.strictSame(got, expected)
})

t.test('options that cannot be meant are refused', async t => {
  t.throws(() => hygiene({ min: 2, max: 1 }), /min 2 is above max 1/)
  t.throws(() => hygiene({ every: '0s' }), /every must be longer than nothing/)
})
