import t from 'tap'
import fc from 'fast-check'
import { Duration, duration, MillraceError, options, readOptions, span, suggest, Type } from '#engine'
import { closed, optionAt } from '../../engine/options.ts'

const schema = Type.Object({
  every: Duration({ description: 'How often.', default: '1m' }),
  share: Type.Number({ description: 'A part.', minimum: 0, maximum: 1, default: 0.5 }),
  names: Type.Array(Type.Union([Type.Literal('mean'), Type.Literal('median')]), { minItems: 1, uniqueItems: true, default: ['mean'] }),
  tls: Type.Optional(Type.Object({ ca: Type.String({ description: 'A file.' }), wait: Type.Optional(Duration({ description: 'How long.' })) })),
  topic: Type.Union([Type.String(), Type.Array(Type.String())], { description: 'One or many.', default: '#' }),
  span: Type.Optional(Type.Union([Duration({ description: 'A span.' }), Type.Literal('forever')]))
})
const problems = (given: unknown) => readOptions('thing', schema, given).problems.map(p => `${p.code} ${p.path.join('.')}: ${p.message}${p.help === undefined ? '' : ` | ${p.help}`}`)

void t.test('what is left out has its default, and spans become milliseconds at any depth', async t => {
  t.strictSame(readOptions('thing', schema, {}).values, { every: 60_000, share: 0.5, names: ['mean'], topic: '#' })
  t.strictSame(readOptions('thing', schema, { every: '90s', tls: { ca: 'x', wait: '1.5s' }, span: '2h' }).values, { every: 90_000, share: 0.5, names: ['mean'], topic: '#', tls: { ca: 'x', wait: 1500 }, span: 7_200_000 })
  t.equal(readOptions('thing', schema, { span: 'forever' }).values.span as unknown, 'forever')
})

void t.test('what was given is left as it was', async t => {
  const given = { tls: { ca: 'x' } }
  readOptions('thing', schema, given)
  t.strictSame(given, { tls: { ca: 'x' } })
})

void t.test('every problem is named with the component, the option, the value and what would be right', async t => {
  t.strictSame(problems({ every: '5 minutes' }), ['config/invalid every: thing.every must be a time span, got "5 minutes" | write a number and a unit: 500ms, 30s, 5m, 2h, 7d, 1w'])
  t.strictSame(problems({ every: 5 }), ['config/invalid every: thing.every must be a time span, got 5 | write a number and a unit: 500ms, 30s, 5m, 2h, 7d, 1w'])
  t.strictSame(problems({ share: 2 }), ['config/invalid share: thing.share must be at most 1, got 2 | A part.'])
  t.strictSame(problems({ share: '0.5' }), ['config/invalid share: thing.share must be a number, got "0.5" | A part.'])
  t.strictSame(problems({ names: ['meen'] }), ['config/invalid names.0: thing.names.0 must be one of mean, median, got "meen" | did you mean "mean"?'])
  t.strictSame(problems({ names: [] }), ['config/invalid names: thing.names must have at least 1 item, got []'])
  t.strictSame(problems({ names: ['mean', 'mean'] }), ['config/invalid names: thing.names must name nothing twice, got ["mean","mean"]'])
  t.strictSame(problems({ evry: '1m' }), ['config/unknown-key evry: thing: unknown option "evry" | did you mean "every"?'])
  t.strictSame(problems({ tls: { cb: 1 } }), ['config/missing tls: thing.tls.ca is required | A file.', 'config/unknown-key tls.cb: thing: unknown option "tls.cb" | did you mean "ca"?'])
  t.strictSame(problems({ topic: 3 }), ['config/invalid topic: thing.topic must be text or a list, got 3 | One or many.'])
  t.strictSame(problems({ topic: ['a', 3] }), ['config/invalid topic.1: thing.topic.1 must be text, got 3'])
  t.strictSame(problems({ share: null, every: null }).length, 2)
})

void t.test('options() throws with all of it, and with what a schema cannot say', async t => {
  t.throws(() => options('thing', schema, { share: 2, evry: 1 }), { code: 'config/unknown-key', message: /evry.*share must be at most 1/ })
  t.throws(() => options('thing', schema, {}, ({ share }) => `share is ${share}`), { code: 'config/invalid', message: 'thing: share is 0.5' })
})

void t.test('a span reads back as it was written', async t => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 40 }), ms => duration(span(ms)) === ms))
  t.strictSame(['500ms', '30s', '5m', '2h', '7d', '1w', '1.5h'].map(duration), [500, 30_000, 300_000, 7_200_000, 604_800_000, 604_800_000, 5_400_000])
  for (const wrong of ['', '5', 's', '-1s', '1 s', '1y', 'P1D']) t.throws(() => duration(wrong), MillraceError)
})

void t.test('a word that is near is suggested, and the list when none is', async t => {
  t.equal(suggest('topci', ['topic', 'url']), 'did you mean "topic"?')
  t.equal(suggest('URL', ['topic', 'url']), 'did you mean "url"?')
  t.equal(suggest('entirely', ['topic', 'url']), 'there are: topic, url')
  t.equal(suggest('x', []), undefined)
})

void t.test('an object takes no keys but its own, unless it says that it is a map', async t => {
  const map = Type.Object({ fields: Type.Record(Type.String(), Type.String()) })
  t.strictSame(readOptions('thing', map, { fields: { a: 'b' } }).problems, [])
  t.equal(closed(schema).properties.tls.additionalProperties, false)
  t.equal(optionAt(schema, ['tls', 'wait'])['x-duration'], true)
  t.equal(optionAt(schema, ['tls', 'nope', 'deeper']), undefined)
})
