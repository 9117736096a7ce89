import t from 'tap'
import { peers } from '../../bench/peers.ts'
import { nodeRed } from '../../bench/peers/node-red.ts'
import { noMosquitto } from '../support/mosquitto.ts'

const options = Object.fromEntries(Object.entries(peers.options!).map(([name, { default: value }]) => [name, value]))
const found = noMosquitto || await nodeRed.find({ cache: options.cache, bin: '' }), skip = typeof found === 'string' && found

t.test('Node-RED and ours have every row and window of the same messages; after a kill ours has each once', { skip, timeout: 600_000 }, async t => {
  const [line] = await peers.run(() => {}, { ...options, peers: 'node-red', flows: 'STATS', rounds: '1', loads: 'steady', messages: '1000', kills: '1' })
  t.match(line, { peer: 'node-red', version: '4.1.15', flow: 'STATS', load: 'steady', lost_without_kill: 0, duplicated_without_kill: 0, ours_lost: 0, ours_duplicated: 0, kills: 1 })
  t.ok((line.lost as number) >= 0 && (line.lost as number) < 6000 && line.duplicated === 0, 'its table has a key')
  t.ok((line.cpu_us_per_message as number) > 0 && (line.ours_cpu_us_per_message as number) > 0)
  t.match(peers.fault!({ ...line, ratio_to_peer: 0.334 }), /node-red, STATS, steady: ours takes 0.334/)
  t.equal(peers.fault!({ ...line, ratio_to_peer: 0.333 }), undefined)
  t.equal(peers.fault!({ ...line, flow: 'PASS', ratio_to_peer: 1 }), undefined)
  t.match(peers.fault!({ ...line, flow: 'PASS', ratio_to_peer: 1.01 }), /PASS, steady: ours takes 1.01/)
})

t.test('a peer that is not there is named, with the reason; one that nobody knows is refused', async t => {
  const said: string[] = [], path = process.env.PATH
  t.teardown(() => { process.env.PATH = path })
  process.env.PATH = t.testdirName
  await t.rejects(peers.run(one => said.push(one), { ...options, peers: 'telegraf,redpanda-connect,ekuiper' }), { message: 'none of the peers is here' })
  t.strictSame(said, [['telegraf', 'telegraf'], ['redpanda-connect', 'redpanda-connect'], ['ekuiper', 'kuiperd']].map(([name, program]) => `not installed: ${name}: no program ${program} in PATH or --bin`))
  t.throws(() => peers.check!({ ...options, peers: 'node-blue' }), { message: '--peers is some of node-red,telegraf,redpanda-connect,ekuiper, not node-blue' })
  for (const wrong of [{ rounds: '0' }, { kills: '-1' }, { messages: '300' }]) t.throws(() => peers.check!({ ...options, ...wrong }), /--rounds must be 1 or more, --kills 0 or more, --messages a multiple of 200/)
})
