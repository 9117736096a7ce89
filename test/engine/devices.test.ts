import t from 'tap'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readDevices, SeriesTable } from '#engine'
import { Flow } from '../../engine/flow.ts'
import { loadPipeline } from '../../engine/cli/load.ts'
import * as components from '../../index.ts'
import { temporary } from '../support/program.ts'

const file = (t: any, text: string, name = 'devices.csv') => {
  const path = join(temporary(t), name)
  writeFileSync(path, text)
  return path
}

t.test('a file of devices gives type, site, tags and units', async t => {
  const path = file(t, '\ufeffdevice,type,site,line,metric,unit\npump-1,pump,north,4,,\npump-1,,,,pressure,bar\n"fan, big",fan,,,,rpm\n')
  t.strictSame(readDevices(path), [
    { tenant: 'default', device: 'pump-1', tags: { type: 'pump', site: 'north', line: '4', 'unit.pressure': 'bar' } },
    { tenant: 'default', device: 'fan, big', tags: { type: 'fan', unit: 'rpm' } }
  ])
})

t.test('what cannot be meant is refused with file and line', async t => {
  t.throws(() => readDevices('/nowhere/devices.csv'), { code: 'usage/file', message: /nowhere.*ENOENT/ })
  t.throws(() => readDevices(file(t, 'name,site\na,b\n')), { code: 'config/invalid', message: /:1: no column "device"/ })
  t.throws(() => readDevices(file(t, 'device,site\na,b\n,c\n')), { code: 'config/invalid', message: /:3: a row without a device/ })
  t.throws(() => readDevices(file(t, 'device,metric,unit\na,x,\n')), { message: /:2: metric "x" without a unit/ })
  t.throws(() => readDevices(file(t, 'device,site\na,b,c\n')), { message: /not CSV/ })
})

t.test('a pipeline file names it; where can ask for a tag from the first reading on', async t => {
  const folder = file(t, 'device,site\na,north\nb,south\n')
  const path = join(folder, '..', 'p.yaml')
  writeFileSync(path, 'name: p\nfrom: { simulator: {} }\ndevices: devices.csv\npipe: [ where: { tag: { site: north } } ]\nto: [ stdout ]\n')
  const { pipeline, findings } = await loadPipeline(path, components)
  t.strictSame(findings, [])
  const series = new SeriesTable(10)
  const flow = new Flow(pipeline!, series)
  const ids = [series.id('default', 'a', 'x'), series.id('default', 'b', 'x')]
  const rows = { time: Float64Array.of(1, 2), series: Int32Array.from(ids), value: Float64Array.of(1, 2), position: Float64Array.of(1, 2), ingest: Float64Array.of(2, 2) }
  const { follow } = flow.process({ rows, dead: [], received: 2, messages: 2, upTo: 2, ingest: 2, bytes: 0, ended: false })
  t.strictSame([...follow[0].batch.series], [ids[0]])

  writeFileSync(path, 'name: p\nfrom: { simulator: {} }\ndevices: none.csv\nto: [ stdout ]\n')
  const broken = await loadPipeline(path, components)
  t.equal(broken.pipeline, undefined)
  t.match(broken.findings, [{ code: 'usage/file', place: { line: 3 } }])
})
