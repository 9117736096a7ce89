import t from 'tap'
import { decode } from '../../bench/decode.ts'
import { ingest } from '../../bench/ingest.ts'
import { sink } from '../../bench/sink.ts'
import { noMosquitto } from '../support/mosquitto.ts'

t.test('decode: every form gives its readings, and a line of its own', async t => {
  const lines = await decode.run(() => {}, { readings: '20000' })
  t.strictSame(lines.map(l => [l.form, l.readings_per_message]), [['object', 1], ['columns', 20], ['columns', 100]])
  for (const line of lines) t.ok((line.ratio_to_json_parse as number) > 0 && (line.readings_per_s as number) > 0)
  t.match(decode.fault!({ ...lines[0], ratio_to_json_parse: 0.89 }), /0\.89/)
  t.match(decode.fault!({ ...lines[1], readings_per_s: 4_999_999 }), /4999999/)
  t.equal(decode.fault!({ ...lines[1], readings_per_s: 5_000_000, ratio_to_json_parse: 0.1 }), undefined)
})

t.test('sink: both paths write every row once', async t => {
  const lines = await sink.run(() => {}, { rows: '5000', rounds: '1' })
  t.strictSame(lines.map(l => [l.path, l.rows_per_batch]), [['guarded', 1000], ['staged', 1000], ['guarded', 5000], ['staged', 5000]])
  for (const line of lines) t.ok((line.ratio_to_copy as number) > 0)
  t.match(sink.fault!({ ...lines[0], ratio_to_copy: 0.89 }), /guarded/)
  t.match(sink.fault!({ ...lines[1], ratio_to_copy: 0.49 }), /staged/)
  t.equal(sink.fault!({ ...lines[1], ratio_to_copy: 0.5 }), undefined)
})

t.test('ingest: each flow has every row, window and alert that it should', { skip: noMosquitto, timeout: 240_000 }, async t => {
  const lines = await ingest.run(() => {}, { flows: 'PASS,PRED', qos: '1', readings: '1,20', rounds: '1', messages: '1000' })
  t.strictSame(lines.map(l => [l.flow, l.qos, l.readings_per_message]), [['PASS', 1, 1], ['PRED', 1, 1], ['PASS', 1, 20], ['FEATURES', 1, 20]])
  for (const line of lines) {
    t.strictSame([line.lost, line.duplicated], [0, 0], `${line.flow as string} ${line.qos as number}`)
    t.ok((line.cpu_us_per_message as number) > 0 && (line.readings_per_s as number) > 0)
  }
})

t.test('figures of ingest that are not what is wanted are a fault', async t => {
  const pass = { flow: 'PASS', qos: 1, readings_per_message: 1, lost: 0, duplicated: 0, ratio_to_floor: 1.2, ratio_to_floor_with_database: 1.2, commits: 60, floor_commits: 60, floor_cpu_us_per_message: 40 }
  t.equal(ingest.fault!(pass), undefined)
  t.match(ingest.fault!({ ...pass, floor_cpu_us_per_message: 41 }), /floor took 41/)
  t.match(ingest.fault!({ ...pass, ratio_to_floor: 1.21 }), /ratio_to_floor is 1.21/)
  t.match(ingest.fault!({ ...pass, ratio_to_floor_with_database: 1.21 }), /ratio_to_floor_with_database is 1.21/)
  t.match(ingest.fault!({ ...pass, lost: 1 }), /1 lost/)
  t.match(ingest.fault!({ ...pass, duplicated: 1 }), /1 duplicated/)
  for (const [commits, floor_commits] of [[90, 60], [60, 90], [0, 60], [60, 0], [0, 0]]) t.match(ingest.fault!({ ...pass, commits, floor_commits }), /not the same batch times/)
  t.equal(ingest.fault!({ ...pass, commits: 89 }), undefined)
  const many = { flow: 'FEATURES', qos: 1, readings_per_message: 20, lost: 0, duplicated: 0, readings_per_s: 150_000 }
  t.equal(ingest.fault!(many), undefined)
  t.match(ingest.fault!({ ...many, readings_per_s: 149_999 }), /149999/)
  t.match(ingest.fault!({ ...many, flow: 'PASS', ratio_to_copy: 0.59 }), /ratio_to_copy is 0.59/)
})
