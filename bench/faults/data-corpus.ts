/** Payloads that JSON parsers and their users have fallen over, each with what must become of it. */

/** `values`: of the readings that must come of it, exactly, in order. `reasons`: of the dead letters, in order. */
export interface Torture { readonly name: string, readonly topic: string, readonly payload: Buffer, readonly values: readonly number[], readonly reasons: readonly string[] }

export const TOPICS = ['{tenant}/{device}/{metric}', '{tenant}/{device}', 'loose'] as const
export const MOST = 1_048_576        // bytes of a payload

const found: Torture[] = []
const put = (name: string, payload: string | Buffer, values: readonly number[], reasons: readonly string[] = [], topic = 'acme/boiler/temp') => {
  found.push({ name, topic, payload: typeof payload === 'string' ? Buffer.from(payload) : payload, values, reasons })
}
const value = (text: string) => `{"value":${text}}`
const bytes = (...of: readonly number[]) => Buffer.from(of)
const nested = (depth: number, open: string, inner: string, shut: string) => `${open.repeat(depth)}${inner}${shut.repeat(depth)}`

// numbers
for (const [text, x] of [
  ['0', 0], ['-0', -0], ['1', 1], ['0.1', 0.1], ['1e308', 1e308], ['1.7976931348623157e308', Number.MAX_VALUE], ['5e-324', 5e-324], ['1e-400', 0], ['-1e-400', -0], ['123456789012345e-5', 1234567890.12345],
  ['9007199254740991', 2 ** 53 - 1], ['-9007199254740991', 1 - 2 ** 53], ['9007199254740992', 2 ** 53], ['9007199254740993.0', 9007199254740992], ['1E22', 1e22], [`0.${'3'.repeat(5000)}`, 1 / 3], [`1${'0'.repeat(300)}.5`, 1e300],
  ['2.2250738585072011e-308', Number('2.2250738585072011e-308')], ['true', 1], ['false', 0], ['null', NaN]
] as const) {
  put(`bare ${text.slice(0, 30)}`, text, [x])
  put(`value ${text.slice(0, 30)}`, value(text), [x])
}
for (const text of ['1e999', '-1e999', '1e400', `1e${'9'.repeat(1000)}`, `${'9'.repeat(400)}.5`, `${'9'.repeat(400)}`]) put(`too large: ${text.slice(0, 20)}`, value(text), [], ['not_finite'])
for (const text of ['9007199254740993', '-9007199254740993', '18446744073709551615', '123456789012345678901234567890']) put(`beyond 2^53: ${text}`, value(text), [], ['unsafe_integer'])
for (const text of ['NaN', 'Infinity', '-Infinity', 'nan', '+1', '01', '-01', '.5', '1.', '1e', '0x10', '1_000', '1,5', '--1', 'undefined', 'True', 'nul', "'1'", '1 2', '١']) put(`no JSON: ${text}`, value(text), [], ['unparseable'])
for (const text of ['"1"', '"NaN"', '""', '{}', '[]', '[1]', '{"a":1}', '"\\ud800"', '"\\u0000"', `"${'x'.repeat(1_000_000)}"`]) put(`no number: ${text.slice(0, 20)}`, value(text), [], ['not_a_number'])

// text and bytes
put('empty', '', [], ['unparseable'])
put('blank', ' \t\r\n', [], ['unparseable'])
put('a byte order mark', '\ufeff{"value":1}', [1])
put('two byte order marks', '\ufeff\ufeff1', [], ['unparseable'])
put('UTF-16', Buffer.from('{"value":1}', 'utf16le'), [], ['unparseable'])
put('truncated UTF-8', Buffer.concat([Buffer.from('{"a":"'), bytes(0xe2, 0x82)]), [], ['unparseable'])
put('truncated UTF-8 in a text', Buffer.concat([Buffer.from('{"value":1,"a":"'), bytes(0xe2, 0x82), Buffer.from('"}')]), [], ['unparseable'])
put('overlong UTF-8', Buffer.concat([Buffer.from('{"a":"'), bytes(0xc0, 0x80), Buffer.from('","value":1}')]), [], ['unparseable'])
put('a surrogate as UTF-8', Buffer.concat([Buffer.from('{"a":"'), bytes(0xed, 0xa0, 0x80), Buffer.from('","value":1}')]), [], ['unparseable'])
put('NUL behind', '1\0', [], ['unparseable'])
put('NUL within', '{"value":1,"\0":2}', [], ['unparseable'])
put('NUL as a key', '{"\\u0000":1}', [], ['bad_name'], 'acme/boiler')
put('a lone surrogate as a key', '{"\\ud800":1}', [], ['bad_name'], 'acme/boiler')
put('a replacement character that was meant', '{"note\ufffd":1,"x":2}', [2], ['bad_name'], 'acme/boiler')
put('an emoji as a key', '{"\u{1f525}":1}', [1], [], 'acme/boiler')
put('trailing comma', '{"value":1,}', [], ['unparseable'])
put('two documents', '{"value":1}{"value":2}', [], ['unparseable'])
put('a comment', '{"value":1/**/}', [], ['unparseable'])
put('gzip', bytes(0x1f, 0x8b, 8, 0, 0, 0, 0, 0), [], ['unparseable'])
put('all bytes', Buffer.from(Array.from({ length: 256 }, (_, i) => i)), [], ['unparseable'])
put('white space 1 MB', `${' '.repeat(1_000_000)}1`, [1])

// keys
put('a key twice', '{"value":1,"value":2}', [2])
put('a key twice, once escaped', '{"value":1,"\\u0076alue":2}', [2])
put('an empty key', '{"":1,"x":2}', [2], ['bad_name'], 'acme/boiler')
put('a long key', `{"${'k'.repeat(257)}":1}`, [], ['bad_name'], 'acme/boiler')
put('keys with wildcards', '{"a+":1,"#":2,"ok":3}', [3], ['bad_name', 'bad_name'], 'acme/boiler')
for (const key of ['__proto__', 'constructor', 'prototype', '\\u005f_proto__']) put(`key ${key}`, `{"${key}":{"polluted":1},"value":1}`, [], ['forbidden_key'])
put('a forbidden key deep inside', '{"a":[{"__proto__":1}],"value":1}', [], ['forbidden_key'])
put('names of Object', '{"toString":1,"hasOwnProperty":2,"valueOf":3,"length":4,"then":5}', [1, 2, 3, 4, 5], [], 'acme/boiler')
put('a device called __proto__', '{"device":"__proto__","value":1}', [], ['forbidden_key'], 'loose')
for (const device of ['""', '" \\u0000"', '"a#"', `"${'d'.repeat(257)}"`, 'null', 'true', '1.5', '[]', '{}', '1e999', '"\\udfff"']) put(`device ${device.slice(0, 20)}`, `{"device":${device},"value":1}`, [], ['bad_name'], 'loose')
put('a device that is a number', '{"device":17,"value":1}', [1], [], 'loose')
put('no device', '{"value":1}', [], ['bad_name'], 'loose')
put('a topic with __proto__', '1', [], ['forbidden_key'], 'acme/__proto__/x')
put('a topic with an empty level', '1', [], ['bad_name'], 'acme//x')
put('a topic of another shape', '1', [], ['topic_mismatch'], 'a/b/c/d')
put('12,000 metrics of one device', `{${Array.from({ length: 12_000 }, (_, i) => `"many${i % 50}_${i}":1`).join()}}`, Array.from({ length: 12_000 }, () => 1), [], 'acme/wide')

// depth and breadth
for (const [open, inner, shut] of [['[', '', ']'], ['{"a":', '1', '}']] as const) {
  put(`depth 33 of ${open}`, nested(33, open, inner, shut), [], ['too_deep'])
  put(`depth 10,000 of ${open}`, nested(10_000, open, inner, shut), [], ['too_deep'])
}
put('depth 400,000, never shut', '['.repeat(400_000), [], ['too_deep'])
put('depth 1,000,000', nested(1_000_000, '[', '', ']'), [], ['too_large'])
put('brackets in a text', `{"a":"${'['.repeat(1000)}","value":1}`, [1], ['not_a_number'])
put('depth 32', nested(31, '[', '{"value":1}', ']'), [], ['wrong_shape'])
put('an empty array', '[]', [], ['wrong_shape'])
put('an empty object', '{}', [], ['wrong_shape'])
put('a text', '"21.5"', [], ['not_a_number'])
put('an array of mixed things', '[{"value":1},2,null,[],{"value":3}]', [1, 3], ['wrong_shape', 'wrong_shape', 'wrong_shape'])
put('100,000 nulls', `[${'null,'.repeat(99_999)}null]`, [], Array.from({ length: 16 }, () => 'wrong_shape'))
put('100,000 empty objects', `[${'{},'.repeat(99_999)}{}]`, [], Array.from({ length: 16 }, () => 'wrong_shape'))

// columns
const T = 1_700_000_000_000
put('columns', `{"t":[${T},${T + 1}],"v":[1,-0]}`, [1, -0])
put('columns of different length', `{"t":[${T},${T + 1}],"v":[1]}`, [], ['wrong_shape'])
put('columns of nothing', '{"t":[],"v":[]}', [], ['wrong_shape'])
put('columns with bad ones', `{"t":[${T},"x",${T + 2},null,${T + 4}],"v":[1,2,1e999,4,"5"]}`, [1], ['bad_time', 'not_finite', 'bad_time', 'not_a_number'])
put('a time that nests', `{"ts":{"a":1},"value":1}`, [], ['bad_time'])
put('two times', `{"ts":${T},"time":5,"x":1}`, [5, 1], [], 'acme/boiler')
for (const ts of ['1e999', '-1', '-1700000000000', '0', '1e400', '""', '"x"', '"1e3"', 'true', '{}', '"0000-00-00"', '"2023-02-29T00:00:00Z"', '"2024-13-01"', `"${'2'.repeat(100_000)}"`]) put(`ts ${ts.slice(0, 30)}`, `{"ts":${ts},"value":1}`, [], ['bad_time'])
put('a time of the year 2255', '{"ts":9007199254740993,"value":1}', [], ['future'])

export const corpus: readonly Torture[] = found
