import t from 'tap'
import fc from 'fast-check'
import { codecFault, type CodecOptions } from '../../connectors/codec/json.ts'
import { parsePath, pick } from '../../connectors/codec/path.ts'
import { codec, NOW } from '../support/decode.ts'

const TS = NOW - 1000
const reason = ({ dead }: { dead: (readonly [string, string])[] }) => dead.map(([reason]) => reason)

t.test('one reading, with what the topic does not say in the payload', async t => {
  const { read } = codec({}, ['{tenant}/{device}/{metric}', 'site/{site}', '{device}'])
  t.strictSame(read('acme/p1/flow', { value: 21.5, ts: TS }), { readings: [['acme/p1/flow', TS, 21.5]], dead: [] })
  t.strictSame(read('acme/p1/flow', { device: 'p9', metric: 'heat', value: 1, ts: TS }).readings, [['acme/p1/flow', TS, 1]], 'the topic goes before the payload')
  t.strictSame(read('site/a', { device: 'p2', metric: 'flow', value: 3, time: '2024-05-06T11:59:59Z' }).readings, [['default/p2/flow', TS, 3]])
  t.strictSame(read('site/a', { device: 42, metric: 7, value: 3, timestamp: TS / 1000 }).readings, [['default/42/7', TS, 3]])
  t.strictSame(read('p3', { value: 3, ts: TS }).readings, [['default/p3/value', TS, 3]])
})

t.test('many metrics in one object, flat or in values', async t => {
  const { read } = codec()
  t.strictSame(read('acme/p1', { temperature: 20, humidity: 40, on: true, ts: TS }).readings, [['acme/p1/temperature', TS, 20], ['acme/p1/humidity', TS, 40], ['acme/p1/on', TS, 1]])
  t.strictSame(read('acme/p1', { ts: TS, values: { t: 20, time: 5 } }).readings, [['acme/p1/t', TS, 20], ['acme/p1/time', TS, 5]], 'inside values every key is a metric')
  t.strictSame(read('acme/p1', { ts: TS, battery: 3, values: { t: 20 } }).readings, [['acme/p1/battery', TS, 3], ['acme/p1/t', TS, 20]])
  t.strictSame(read('acme/p1/climate', { ts: TS, value: 1, humidity: 2 }).readings, [['acme/p1/climate', TS, 1], ['acme/p1/climate.humidity', TS, 2]], 'two topics of one device stay apart')
  t.strictSame(read('acme/p1', { ts: TS, t: 21.5 }).readings, [['acme/p1/t', TS, 21.5]], 'only one key is the time')
})

t.test('bare values and booleans, null is no value, the time is that of the arrival', async t => {
  const { read } = codec()
  t.strictSame(read('acme/p1/flow', '21.5').readings, [['acme/p1/flow', NOW, 21.5]])
  t.strictSame(read('acme/p1/flow', 'true').readings, [['acme/p1/flow', NOW, 1]])
  t.strictSame(read('acme/p1/flow', ' false ').readings, [['acme/p1/flow', NOW, 0]])
  t.strictSame(read('acme/p1/flow', 'null').readings, [['acme/p1/flow', NOW, NaN]])
  t.strictSame(read('acme/p1/flow', { value: null, ts: TS }).readings, [['acme/p1/flow', TS, NaN]])
  t.strictSame(read('acme/p1', '-0.5e1').readings, [['acme/p1/value', NOW, -5]])
})

t.test('arrays of readings, one bad item does not take the others with it', async t => {
  const { read } = codec()
  t.strictSame(read('acme/p1/flow', [{ value: 1, ts: TS }, { value: 2, ts: TS + 1 }]).readings, [['acme/p1/flow', TS, 1], ['acme/p1/flow', TS + 1, 2]])
  const { readings, dead } = read('acme/p1/flow', [{ value: 1, ts: TS }, 5, [1], null, { value: 'x', ts: TS }, { ts: TS }, { value: 2, ts: TS }])
  t.equal(readings.length, 2)
  t.strictSame(dead.map(d => d[0]), ['wrong_shape', 'wrong_shape', 'wrong_shape', 'not_a_number', 'wrong_shape'])
})

t.test('columns, of one metric or of several', async t => {
  const { read } = codec()
  const ts = [TS, TS + 1, TS + 2]
  t.strictSame(read('acme/p1/flow', { t: ts, v: [1, null, true] }).readings, [['acme/p1/flow', TS, 1], ['acme/p1/flow', TS + 1, NaN], ['acme/p1/flow', TS + 2, 1]])
  t.strictSame(read('acme/p1', { metric: 'flow', t: [TS], v: [1] }).readings, [['acme/p1/flow', TS, 1]])
  t.strictSame(read('acme/p1', { ts: [TS, TS], flow: [1, 2], heat: [3, 4] }).readings.map(r => [r[0], r[2]]), [['acme/p1/flow', 1], ['acme/p1/flow', 2], ['acme/p1/heat', 3], ['acme/p1/heat', 4]])
  t.strictSame(reason(read('acme/p1/flow', { t: ts, v: [1, 2] })), ['wrong_shape'])
  t.strictSame(reason(read('acme/p1/flow', { t: [], v: [] })), ['wrong_shape'])
  t.strictSame(reason(read('acme/p1/flow', { t: ts, v: 4 })), ['wrong_shape'])
  t.strictSame(reason(read('acme/p1/flow', { t: ts })), ['wrong_shape'])
  t.strictSame(reason(read('acme/p1/flow', { v: [1, 2] })), ['not_a_number'], 'values without times')
  const mixed = read('acme/p1/flow', '{"t":[1714996799000,"x",null,1714996799000,1714996799000],"v":[1,2,3,"off",9007199254740993]}')
  t.equal(mixed.readings.length, 1)
  t.strictSame(reason(mixed), ['bad_time', 'bad_time', 'not_a_number', 'unsafe_integer'])
})

t.test('fields says where things stand in other shapes', async t => {
  const { read } = codec({ fields: { time: 'meta.ts', device: 'id', metrics: { temperature: 'data.temp', power: 'data.p[0]' } } }, ['in/{site}', 'm/{metric}'])
  const payload = { meta: { ts: TS }, id: 'p1', data: { temp: 20, p: [7, 8] }, noise: 'x' }
  t.strictSame(read('in/a', payload), { readings: [['default/p1/temperature', TS, 20], ['default/p1/power', TS, 7]], dead: [] })
  t.strictSame(read('in/a', [payload, payload]).readings.length, 4)
  t.strictSame(read('in/a', { ...payload, data: { temp: 20 } }).readings.length, 1)
  t.strictSame(reason(read('in/a', { meta: { ts: TS }, id: 'p1' })), ['wrong_shape'])
  t.strictSame(reason(read('in/a', { meta: 5, data: { temp: 1 } })), ['bad_name'])
  t.strictSame(reason(read('in/a', '5')), ['wrong_shape'])
  const single = codec({ fields: { value: 'd[1]', metric: 'what' } }, ['{device}'])
  t.strictSame(single.read('p1', { what: 'flow', d: ['x', 2], ts: TS }).readings, [['default/p1/flow', TS, 2]])
  t.strictSame(single.read('p1', { d: [0, [5, 6]], ts: [TS, TS] }).readings.length, 2, 'columns too')
})

t.test('a path leads over own members only', async t => {
  t.strictSame(parsePath('data.p[0][12].x'), ['data', 'p', 0, 12, 'x'])
  for (const bad of ['', '.', 'a.', 'a..b', 'a[', 'a[x]', '[0]', 'a.__proto__.b', 'constructor', 'a[0]b']) t.equal(parsePath(bad), undefined, bad)
  t.equal(pick({ a: [{ b: 1 }] }, parsePath('a[0].b')!), 1)
  t.equal(pick({ a: 'text' }, parsePath('a.length')!), undefined)
  t.equal(pick({ a: [1, 2] }, parsePath('a.length')!), undefined)
  t.equal(pick({}, parsePath('toString')!), undefined)
})

t.test('options of the codec that cannot be are refused with a sentence', async t => {
  const fault = (given: Partial<CodecOptions>) => codecFault({ tenant: 'default', maxPayload: 1, timeUnit: 'auto', timeProperty: 'ts', ...given })
  t.equal(fault({}), undefined)
  t.match(fault({ fields: {} }), /neither a value nor metrics/)
  t.match(fault({ fields: { value: 'a..b' } }), /"a\.\.b" is not a path/)
  t.match(fault({ fields: { metrics: { 'a+b': 'x' } } }), /the metric "a\+b"/)
  t.match(fault({ tenant: 'a\nb' }), /the tenant/)
  t.throws(() => codec({ maxPayload: 2 ** 20 + 1 }), /maxPayload/)
})

t.test('the time may come from elsewhere when the payload has none', async t => {
  const { read } = codec()
  t.strictSame(read('acme/p1/flow', '1', String(TS)).readings, [['acme/p1/flow', TS, 1]])
  t.strictSame(read('acme/p1/flow', { value: 1, ts: TS }, String(TS - 5)).readings, [['acme/p1/flow', TS, 1]])
  t.strictSame(reason(read('acme/p1/flow', '1', 'soon')), ['bad_time'])
  t.strictSame(codec({ timeUnit: 's' }).read('acme/p1/flow', { value: 1, ts: 1000 }).readings, [['acme/p1/flow', 1e6, 1]])
})

t.test('every shape of bad input is a dead letter with its reason', async t => {
  const { read, series } = codec()
  const at = (payload: unknown) => reason(read('acme/p1/flow', payload))
  const nested = (depth: number) => `{"a":"${']'.repeat(40)}","ts":${TS},"value":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`
  t.strictSame(at('{"value":'), ['unparseable'])
  t.strictSame(at(''), ['unparseable'])
  t.strictSame(at('NaN'), ['unparseable'])
  t.strictSame(at(Buffer.from([0x22, 0xff, 0x22])), ['unparseable'], 'not UTF-8')
  t.strictSame(at('{}'), ['wrong_shape'])
  t.strictSame(at('[]'), ['wrong_shape'])
  t.strictSame(at({ ts: TS }), ['wrong_shape'])
  t.strictSame(at({ ts: TS, values: {} }), ['wrong_shape'])
  t.strictSame(at('"on"'), ['not_a_number'])
  t.strictSame(at({ ts: TS, value: {} }), ['not_a_number'])
  t.strictSame(at('{"value":1e999}'), ['not_finite'])
  t.strictSame(at('{"value":-1e999}'), ['not_finite'])
  t.strictSame(at('{"value":9007199254740993}'), ['unsafe_integer'])
  t.strictSame(at('{"value": -9007199254740993 }'), ['unsafe_integer'])
  t.strictSame(at(nested(33)), ['too_deep'])
  t.strictSame(at(nested(32)), ['not_a_number', 'not_a_number'])
  t.strictSame(at('['.repeat(100_000)), ['too_deep'])
  t.strictSame(at({ value: 1, note: `"${'['.repeat(60)}` }), ['not_a_number'], 'brackets in texts do not nest')
  t.strictSame(at('{"__proto__":{"value":1}}'), ['forbidden_key'])
  t.strictSame(at('{"value":1,"a":[{"__\\u0070roto__":1}]}'), ['forbidden_key'])
  t.strictSame(at('{"constructor":1}'), ['forbidden_key'])
  t.strictSame(at({ value: 1, ts: 'soon' }), ['bad_time'])
  t.strictSame(at({ value: 1, ts: 1234 }), ['bad_time'])
  t.strictSame(at({ value: 1, ts: NOW + 61_000 }), ['future'])
  t.strictSame(reason(read('acme/p1', '{"a\\u0000b":1}')), ['bad_name'])
  t.strictSame(reason(read('acme/p1', '{"\\ud800":1}')), ['bad_name'])
  t.strictSame(reason(read('plant/a/line/b', { value: 1 })), ['bad_name'], 'nobody names a device')
  t.strictSame(reason(read('plant/a/line/b', { device: '', value: 1 })), ['bad_name'])
  t.strictSame(reason(read('plant/a/line/b', { device: {}, value: 1 })), ['bad_name'])
  t.strictSame(reason(read('acme/p1', { metric: [], value: 1 })), ['bad_name'])
  t.strictSame(reason(read('a/b/c/d/e', '1')), ['topic_mismatch'])
  t.strictSame(reason(read('acme/a\0b/flow', '1')), ['bad_name'])
  t.equal(({} as { value?: unknown }).value, undefined)
  t.equal(series.size, 1, 'none of this made a series but the ones it was right about')
  t.strictSame(at(Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from('{"value":1}')])), [], 'a byte order mark is passed over')
})

t.test('a dead letter names the field and shows the value, shortened', async t => {
  const { read } = codec()
  const { readings, dead } = read('acme/p1', { ts: TS, state: 'x'.repeat(200), flow: 3 })
  t.strictSame(readings, [['acme/p1/flow', TS, 3]])
  t.match(dead[0][1], /^state is "x{76}\.\.\.$/)
})

t.test('doubles that are whole and large are values, integers that lose digits are not', async t => {
  const { read } = codec()
  for (const text of ['1e300', '1e20', '9007199254740993.0', '9007199254740992', '-9007199254740992', '1e16']) t.strictSame(read('acme/p1/flow', `{"value":${text},"ts":${TS}}`).readings.map(r => r[2]), [Number(text)], text)
  t.strictSame(reason(read('acme/p1', '{"a":18014398509481984,"b":1e20,"c":12345678901234567890,"ts":1714996799000000000}')), ['unsafe_integer', 'unsafe_integer'], 'a time in ns is no value')
})

t.test('too large a payload keeps its first kilobyte', async t => {
  const { push, take } = codec({ maxPayload: 2000 })
  push('acme/p1/flow', `"${'x'.repeat(1998)}"`)
  push('acme/p1/flow', `"${'x'.repeat(1999)}"`)
  const { dead } = take()
  t.strictSame(dead.map(d => [d.reason, d.position, d.payload.length]), [['not_a_number', 1, 2000], ['too_large', 2, 1024]])
})

t.test('a full series table is a dead letter for new names, and known ones go on', async t => {
  const { read } = codec({}, undefined, { maxSeries: 1 })
  t.equal(read('acme/p1/flow', '1').readings.length, 1)
  t.strictSame(reason(read('acme/p1/heat', '1')), ['series_limit'])
  t.strictSame(reason(read('acme/p2/flow', '1')), ['series_limit'])
  t.strictSame(reason(read('acme/p2/flow', { t: [TS, TS], v: [1, 2] })), ['series_limit', 'series_limit'])
  t.equal(read('acme/p1/flow', '1').readings.length, 1)
})

t.test('a time that is null is no metric; a name that was no UTF-8 is refused', async t => {
  const { read } = codec()
  t.strictSame(read('acme/p1/flow', '{"ts":null,"value":5}').readings.length, 1)
  t.strictSame(reason(read('acme/p\ufffd\ufffd/flow', '1')), ['bad_name'])
})

t.test('one message of many faults is sixteen dead letters, the last of which stands for the rest; the bytes are kept once', async t => {
  const { push, take } = codec()
  push('acme/p1/flow', JSON.stringify({ t: Array.from({ length: 5000 }, () => TS), v: Array.from({ length: 5000 }, () => 'x') }))
  const { dead, received } = take()
  t.equal(received, 5000)
  t.equal(dead.length, 16)
  t.strictSame(dead.filter(d => d.payload.length > 0).map(d => d.part), [0])
  t.equal(dead.reduce((n, d) => n + (d.count ?? 1), 0), 5000)
  t.match(dead[15].detail, /; and 4984 more readings of this message$/)
})

t.test('law: whatever arrives never throws, gives a reading or a dead letter, and lets nothing infinite in', async t => {
  const shapes = fc.oneof(
    fc.json({ maxDepth: 4 }),
    fc.record({ ts: fc.oneof(fc.constant(TS), fc.string(), fc.double(), fc.array(fc.double(), { maxLength: 4 })), value: fc.anything(), v: fc.array(fc.oneof(fc.double(), fc.string(), fc.maxSafeInteger()), { maxLength: 4 }), values: fc.dictionary(fc.string({ unit: 'binary' }), fc.oneof(fc.double(), fc.boolean(), fc.string())) }, { requiredKeys: [] }).map(o => { try { return JSON.stringify(o) ?? '' } catch { return '' } }),
    fc.string({ unit: 'binary' })
  )
  const mutated = fc.tuple(shapes, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 })).map(([text, changes]) => {
    const bytes = Buffer.from(text)
    for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte
    return bytes
  })
  const topic = fc.oneof(fc.constant('acme/p1/flow'), fc.constant('acme/p1'), fc.constant('plant/a/line/b'), fc.string({ unit: 'binary' }))
  const ways = [codec(), codec({ fields: { value: 'v[0]', metrics: { a: 'ts', b: 'values.a' } } })]
  fc.assert(fc.property(topic, mutated, fc.constantFrom(...ways), (topic, bytes, { push, take }) => {
    const position = push(topic, bytes)
    const { rows, dead, received, messages, upTo } = take()
    return received >= 1 && received === rows.time.length + dead.length && messages === 1 && upTo === position &&
      rows.value.every(v => Number.isNaN(v) || Number.isFinite(v)) && rows.time.every(time => time >= 0 && time <= NOW + 60_000) &&
      rows.position.every(p => p === position) && dead.every((d, i) => d.part === i && d.position === position && d.detail.length < 1000)
  }), { numRuns: 5000 })
  t.ok(true)
})

t.test('law: what JSON says in any of the shapes is what comes out', async t => {
  const value = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 }), fc.boolean(), fc.constant(null))
  const number = (v: number | boolean | null) => v === null ? NaN : Number(v) + 0
  fc.assert(fc.property(fc.array(fc.tuple(fc.integer({ min: 1e11, max: NOW }), value), { minLength: 1, maxLength: 20 }), readings => {
    const { read } = codec()
    const expected = readings.map(([time, v]) => ['acme/p1/flow', time, number(v)])
    const same = (payload: unknown) => JSON.stringify(read('acme/p1/flow', payload)) === JSON.stringify({ readings: expected, dead: [] })
    return same(readings.map(([ts, value]) => ({ value, ts }))) && same({ t: readings.map(r => r[0]), v: readings.map(r => r[1]) }) && same(readings.map(([time, v]) => ({ time: new Date(time).toISOString(), value: v })))
  }))
  t.ok(true)
})

t.test('law: the short way of common forms gives what JSON.parse would, to the last bit', async t => {
  const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 0, maxLength: 20 })
  const written = fc.tuple(fc.constantFrom('', '', '-', '+', '--'), digits, fc.constantFrom('', '.', '.'), digits, fc.constantFrom('', '', '', 'e5', 'E-7', 'e+3', 'e', 'e400', 'e-400')).map(parts => parts.join(''))
  const number = fc.oneof(
    { weight: 6, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }).map(String) },
    { weight: 4, arbitrary: fc.integer({ min: -1e7, max: 1e7 }).map(n => String(n / 1000)) },
    { weight: 2, arbitrary: fc.integer({ min: NOW - 1e6, max: NOW + 90_000 }).map(String) },
    { weight: 2, arbitrary: written }, { weight: 1, arbitrary: fc.constantFrom('9007199254740991', '9007199254740992', '9007199254740993', '9007199254740.993', '-0', '0.1', '5e-324', '1.7976931348623157e308', '0.30000000000000004', '123456789012345678901234567890', '1e0', 'null', 'true', '"5"', '[]', '[1]', 'NaN') })
  const time = fc.oneof({ weight: 6, arbitrary: fc.integer({ min: (NOW - 1e6) * 1000, max: NOW * 1000 }).map(us => String(us / 1000)) }, { weight: 1, arbitrary: number })
  const space = fc.constantFrom('', '', '', ' ', '\n', '\t', '\r ', '\u00a0')
  const single = fc.tuple(time, number), columns = fc.array(fc.tuple(time, number), { minLength: 0, maxLength: 6 })
  const keys = fc.tuple(fc.constantFrom('ts', 'timestamp', 'time', 't', 't', 'ts', 'ts', 't', 'v', 'tss'), fc.constantFrom('value', 'value', 'value', 'v', 'v', 'v', 'value', 'v', 'ts', 'values', '\\u0076'), fc.boolean())
  const text = fc.tuple(fc.oneof(single.map(([t, v]) => [t, v]), columns.map(all => [`[${all.map(r => r[0]).join(',')}]`, `[${all.map(r => r[1]).join(' , ')}]`])), keys, space, space).map(([[t, v], [first, second, swapped], a, b]) => {
    const members = [`"${first}"${a}:${b}${t}`, `"${second}":${a}${v}${b}`]
    return `${a}{${b}${(swapped ? members.toReversed() : members).join(`${a},`)}}${b}`
  })
  const cut = fc.tuple(text, fc.option(fc.tuple(fc.nat(), fc.nat(127)), { freq: 5 })).map(([text, change]) => {
    const bytes = Buffer.from(text)
    if (change !== null) bytes[change[0] % bytes.length] = change[1]
    return bytes
  })
  const ways = ['auto', 'ms', 'us', 's'].map(timeUnit => {
    const way = codec({ timeUnit })
    for (const topic of ['acme/p1/flow', 'acme/p1']) way.read(topic, '1')
    return way
  })
  let taken = 0, refused = 0
  fc.assert(fc.property(cut, fc.constantFrom(...ways), fc.constantFrom('acme/p1/flow', 'acme/p1'), (bytes, { read }, topic) => {
    const short = read(topic, bytes), long = read(topic, Buffer.concat([Buffer.from('\ufeff'), bytes]))       // a byte order mark is none of the common forms
    taken += short.readings.length
    refused += short.dead.length
    return short.readings.length === long.readings.length && short.readings.every((r, i) => r.every((x, k) => Object.is(x, long.readings[i][k]))) && JSON.stringify(short.dead) === JSON.stringify(long.dead)
  }), { numRuns: 20_000 })
  t.ok(taken > 3000 && refused > 2000, `of both kinds: ${taken} taken, ${refused} refused`)
})
