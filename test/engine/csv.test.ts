import t from 'tap'
import { parse } from 'csv-parse/sync'
import { linesOf, sheetLine } from '../../engine/csv.ts'

t.test('no name becomes a formula of a spreadsheet; all else is as it is', async t => {
  const formulas = ['=1+1', '=HYPERLINK("http://evil.example","x")', '@SUM(A1)', '-2+3+cmd|\' /C calc\'!A0', '+1-1', '\t=1', '\r=1', '\uff1d1', '\uff0b1', '\uff0d1', '\uff201', '-', '@', '=']
  t.strictSame(parse(sheetLine(formulas), { relax_column_count: true })[0], formulas.map(text => `'${text}`))
  const plain = ['boiler-1', 'a=b', "'quoted'", ' =x', '', '-5', '-1e-7', '-Infinity', '+3', '2026-03-09T12:00:00.000Z', '{"a":"=1"}']
  t.strictSame(parse(sheetLine(plain))[0], plain)
  t.equal(sheetLine([-5, null, NaN, -Infinity]), '-5,,NaN,-Infinity\r\n')
  const rows = [{ device: '=x', value: -1 }]
  const text = async (format: 'csv' | 'ndjson') => {
    let all = ''
    for await (const piece of linesOf(format, ['device', 'value'], (async function * () { yield rows })())) all += piece
    return all
  }
  t.equal(await text('csv'), "device,value\r\n'=x,-1\r\n")
  t.equal(await text('ndjson'), '{"device":"=x","value":-1}\n', 'programs get what it is')
})
