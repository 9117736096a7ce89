import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { start } from '../support/program.ts'
import { publishFleet } from '../../connectors/publisher.ts'
import { replay as replayFiles } from '../../connectors/replay.ts'
import type { Parts } from '../../engine/components.ts'
import { main } from '../../engine/cli/program.ts'
import { replay } from '../../engine/cli/replay.ts'
import { simulate } from '../../engine/cli/simulate.ts'
import { ewma } from '../../operators/ewma.ts'
import { file, fileStore } from '../../sinks/file.ts'
import { mosquitto, noMosquitto } from '../support/mosquitto.ts'

const parts = { sources: { replay: replayFiles }, operators: { ewma }, sinks: { file }, fileStore, publishFleet } as unknown as Parts

process.setMaxListeners(30)              // each command listens for signals until the process ends

async function call (...argv: string[]): Promise<{ code: number, out: string, err: string }> {
  let out = '', err = ''
  const code = await main([...argv, '--log-level', 'silent'], parts, [simulate, replay], { writeOut: text => { out += text }, writeErr: text => { err += text }, getOutHasColors: () => false, getErrHasColors: () => false })
  return { code, out, err }
}

void t.test('simulate publishes a fleet, tells how much, and writes the labels', { skip: noMosquitto }, async t => {
  const broker = await mosquitto()
  t.teardown(() => broker.stop())
  const labels = join(t.testdir({}), 'labels.json')
  const { code, out } = await call('simulate', '--url', `mqtt://127.0.0.1:${broker.port}`, '--devices', '5', '--metrics', 'current,vibration', '--every', '50ms', '--for', '500ms', '--seed', '3', '--fault', 'device-2/current:shift@100ms+200ms=-3.5', 'device-4:clock@0s+1s=5000', '--labels', labels, '--json')
  t.equal(code, 0)
  t.strictSame(JSON.parse(out), { published: 100, acknowledged: 100 })
  t.match(JSON.parse(readFileSync(labels, 'utf8')), [{ device: 'device-4', metric: '', kind: 'clock', size: 5000 }, { device: 'device-2', metric: 'current', kind: 'shift', size: -3.5 }])
})

void t.test('simulate names what is wrong with its options', async t => {
  t.match(await call('simulate', '--fault', 'device-1'), { code: 2, err: /--fault "device-1" is not a fault/ })
  t.match(await call('simulate', '--rates', 'burp=1'), { code: 78, err: /burp/ })
  t.match(await call('simulate', '--devices', 'many'), { code: 78, err: /publisher.devices/ })
  t.match(await call('simulate', '--url', 'http://x'), { code: 78, err: /publisher.url/ })
})

const pipeline = `name: mill
from: { replay: { files: none.csv } }
pipe: [ ewma: { alpha: 0.5 } ]
to: [ file: { table: readings, folder: FOLDER } ]
`
const csv = 'ts,x\n1767225600,1\n1767225601,3\n1767225602,oops\n1767225603,5\n'

void t.test('replay puts files through a pipeline instead of its own source, to their end', async t => {
  const folder = t.testdir({ 'a.csv': csv, 'more.csv': csv.replaceAll('17672', '17682') })
  const at = join(folder, 'mill.yaml')
  writeFileSync(at, pipeline.replace('FOLDER', folder))
  const again = (...argv: string[]) => call('replay', at, '--folder', folder, '--data', join(folder, 'a.csv'), ...argv)
  t.match(await again(), { code: 0, out: '4 readings: 3 written, 0 late, 1 dead letters\n' })
  t.match(await again(), { code: 0, out: '4 readings: 3 written, 0 late, 1 dead letters\n' }, 'each time anew')
  t.match(await again('--name', 'mine'), { out: /^4 readings/ })
  const { out } = await again('--name', 'mine', '--json')
  t.match(JSON.parse(out), { pipeline: 'mine', position: 4, readings: { received: 4, written: 3 } }, 'under the same name it goes on, here after the last row')
  t.match(await again('--option', 'missing=["oops"]', 'device=mill'), { out: '3 readings: 3 written, 0 late, 0 dead letters\n' })
  t.match(await again('--option', 'missing'), { code: 2, err: /"missing" is not name=value/ })
  t.match(await again('--speed', 'fast'), { code: 78, err: /replay.speed/ })
  t.match(await call('replay', at, '--data', join(folder, 'none.csv'), '--folder', folder), { code: 2, err: /there is no/ })
})

t.test('a broker that is not there ends a limited simulation with 69, instead of waiting for ever', async t => {
  const run = start(t, ['simulate', '--url', 'mqtt://127.0.0.1:1', '--for', '100ms'])
  t.equal(await run.ended, 69, run.err)
  t.match(run.err, /source\/unreachable[\s\S]*127\.0\.0\.1:1 was not there/)
})
