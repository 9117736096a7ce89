import { PassThrough, Writable } from 'node:stream'
import t from 'tap'
import fc from 'fast-check'
import { generate, parser, type Packet } from 'mqtt-packet'
import { readPackets } from '../../connectors/mqtt-packets.ts'

const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }).filter(s => !/[\0+#]|\p{Surrogate}/u.test(s))
const publish = fc.record({
  topic: text, payload: fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constantFrom(120, 127, 128, 16_500, 70_000).map(n => new Uint8Array(n).fill(7))).map(bytes => Buffer.from(bytes)), qos: fc.constantFrom(0, 1, 1, 2), retain: fc.boolean(), dup: fc.boolean(), messageId: fc.integer({ min: 1, max: 65_535 }), properties: fc.boolean()
}).map(({ qos, dup, messageId, properties, ...rest }): Packet => ({ cmd: 'publish', ...rest, qos: qos as 0 | 1 | 2, dup: qos > 0 && dup, ...qos > 0 ? { messageId } : {}, ...properties ? { properties: { userProperties: { ts: '5' } } } : {} }) as Packet)
const other = fc.constantFrom<Packet>({ cmd: 'pingresp' } as Packet, { cmd: 'suback', messageId: 7, granted: [1], reasonCode: 0 } as Packet, { cmd: 'puback', messageId: 3 } as Packet, { cmd: 'connack', returnCode: 0, reasonCode: 0, sessionPresent: true } as Packet)

const said = ({ cmd, topic, payload, qos, retain, dup, messageId, properties }: any): string => JSON.stringify([cmd, topic, payload?.toString('hex'), qos, retain ?? false, dup ?? false, messageId, properties?.userProperties?.ts])

t.test('law: however the bytes are cut, every packet comes once and in order, plain messages straight and the others by way of mqtt.js', async t => {
  let straight = 0, around = 0
  await fc.assert(fc.asyncProperty(fc.constantFrom(4, 5), fc.array(fc.oneof({ weight: 5, arbitrary: publish }, { weight: 1, arbitrary: other }), { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 20 }), fc.array(fc.nat(5), { minLength: 1, maxLength: 8 }), async (version, packets, cuts, refusals) => {
    const options = { protocolVersion: version } as const
    const bytes = Buffer.concat(packets.map(p => generate(p, options))), expected: string[] = [], got: string[] = []
    const wanted = parser(options).on('packet', p => expected.push(said(p)))
    wanted.parse(bytes)
    const from = new PassThrough(), incoming = parser(options).on('packet', p => { around++; got.push(said(p)) })
    let n = 0, busy = false
    const others = new Writable({ write (chunk, _, done) { busy = true; setImmediate(() => { incoming.parse(chunk); busy = false; done() }) } })
    readPackets(from, others, {
      version: version as 4 | 5,
      take ({ topic, payload, qos, dup, messageId }) {
        if (busy) throw new Error('a message overtakes what mqtt.js has not done with')
        if (refusals[n++ % refusals.length] === 0 && n % 7 !== 0) return false
        straight++
        got.push(said({ cmd: 'publish', topic, payload, qos, dup, messageId }))
        return true
      },
      wait: go => { setImmediate(go) }
    })
    for (let at = 0, k = 0; at < bytes.length; k++) {
      const size = cuts[k % cuts.length] * (k % 5 === 4 ? 100 : 1)
      from.write(bytes.subarray(at, at += size))
      if (k % 3 === 0) await new Promise(setImmediate)
    }
    for (let i = 0; i < 2000 && got.length < expected.length; i++) await new Promise(setImmediate)
    return JSON.stringify(got) === JSON.stringify(expected)
  }), { numRuns: 400 })
  t.ok(straight > 200 && around > 200, 'both ways were gone')
})

t.test('a packet that has no length is for mqtt.js to complain of', async t => {
  const from = new PassThrough(), seen: Buffer[] = []
  readPackets(from, new Writable({ write (chunk, _, done) { seen.push(chunk); done() } }), { version: 4, take: () => t.fail('nothing is taken') as never, wait () {} })
  from.write(Buffer.from([0x30, 0xff, 0xff]))
  from.write(Buffer.from([0xff, 0xff, 1, 0]))
  await new Promise(setImmediate)
  t.strictSame(Buffer.concat(seen), Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 1, 0]))
})
