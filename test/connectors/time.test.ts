import t from 'tap'
import fc from 'fast-check'
import { readTime } from '../../connectors/codec/time.ts'

const NOON = Date.UTC(2024, 4, 6, 12)

t.test('ISO 8601 is read with any fraction, exact to the microsecond', async t => {
  t.equal(readTime('2024-05-06T12:00:00Z'), NOON)
  t.equal(readTime('2024-05-06T12:00:00.5Z'), NOON + 500)
  t.equal(readTime('2024-05-06T12:00:00.123456Z'), (NOON * 1000 + 123456) / 1000)
  t.equal(readTime('2024-05-06T12:00:00.123456499Z'), (NOON * 1000 + 123456) / 1000)
  t.equal(readTime('2024-05-06T12:00:00.9999999Z'), NOON + 1000)
  t.equal(readTime('2024-05-06T12:00:00,25Z'), NOON + 250)
})

t.test('offsets, date-only, second-less, spaced, lower-case and offset-less texts are read', async t => {
  t.equal(readTime('2024-05-06T14:00:00+02:00'), NOON)
  t.equal(readTime('2024-05-06T06:30:00-0530'), NOON)
  t.equal(readTime('2024-05-06T14:00+02'), NOON)
  t.equal(readTime('2024-05-06 12:00:00'), NOON)
  t.equal(readTime('2024-05-06t12:00z'), NOON)
  t.equal(readTime('2024-05-06'), Date.UTC(2024, 4, 6))
  t.equal(readTime('2024-02-29T00:00:00Z'), Date.UTC(2024, 1, 29))
  t.equal(readTime('2016-12-31T23:59:60Z'), Date.UTC(2017, 0, 1))
})

t.test('any instant of Date comes back from its ISO text', async t => {
  fc.assert(fc.property(fc.date({ min: new Date(0), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true }), d => readTime(d.toISOString()) === d.getTime()))
  t.ok(true)
})

t.test('the unit of a number is told by its size, or forced', async t => {
  const us = NOON * 1000 + 123456
  t.equal(readTime(us / 1e6), us / 1000)
  t.equal(readTime(NOON), NOON)
  t.equal(readTime(us / 1000), us / 1000)
  t.equal(readTime(us), us / 1000)
  t.equal(readTime(us * 1000), us / 1000)
  t.equal(readTime(String(us) + '000'), us / 1000)
  t.equal(readTime('1714996800'), NOON)
  t.equal(readTime(1000, 's'), 1e6)
  t.equal(readTime(1000, 'ms'), 1000)
  t.equal(readTime(1000, 'us'), 1)
  t.equal(readTime(1e6, 'ns'), 1)
})

t.test('whatever is no timestamp is NaN', async t => {
  for (const bad of ['', 'yesterday', '2024-05-06T', '2024-13-01', '2024-02-30', '2023-02-29', '2024-05-06T24:00:00Z', '2024-05-06T12:60Z', '2024-05-06T12:00:61Z', '2024-05-06T12:00:00.Z', '2024-05-06T12:00:00+25:00', '2024-05-06T12:00:00+02:0', '2024-05-06X12:00', '2024-05-06T12:00:00ZZ', '20240506T120000Z', '1e12', 0, 1234, 99_999_999, 1e20, -1, Infinity, NaN, null, undefined, true, {}, []]) {
    t.ok(Number.isNaN(readTime(bad)), `${JSON.stringify(bad)}`)
  }
})
