/** P5a: a tenant whose devices publish twenty times its quota to the embedded broker. */
import { setTimeout as sleep } from 'node:timers/promises'
import { connectAsync, type MqttClient } from 'mqtt'
import { until } from '../services.ts'
import { BURST, EVERY, limited, QUOTA, READINGS, rowsOf, TIMES, waits } from './quota.ts'
import { unless, type Bench, type Report } from './row.ts'

const PART = 100                     // readings in a message of the noisy one
const DEVICES = 3, WINDOW = 8        // devices of it, and messages of each without a PUBACK: as a device does, it sends no more until one comes
const QUIET = 5, LOUD = 10           // s of a round

export async function noisyDevices (bench: Bench): Promise<Report> {
  const { rounds, stretch, signal, closing } = bench, plane = await limited(bench)
  const connect = async (): Promise<MqttClient> => {
    const client = await connectAsync(`mqtt://127.0.0.1:${plane.port}`, { reconnectPeriod: 0, connectTimeout: 5000 })
    closing.push(() => { client.end(true) })
    return client
  }
  const quiet = await connect(), noisy = await Promise.all(Array.from({ length: DEVICES }, connect))
  let sent = 0, taken = 0, shouted = 0, wanted = 0
  const body = (n: number, first: number) => JSON.stringify(Array.from({ length: n }, (_, i) => ({ value: (first + i) % 100, ts: 1_700_000_000_000 + first + i })))
  const well = async (seconds: number): Promise<number[]> => {
    const times: number[] = []
    for (const end = performance.now() + seconds * 1000; performance.now() < end;) {
      const began = performance.now()
      await quiet.publishAsync('quiet/pump/m', body(READINGS, sent), { qos: 1 })
      times.push(performance.now() - began)
      sent += READINGS
      await sleep(EVERY, undefined, { signal })
    }
    return times
  }
  const shout = async (device: number, seconds: number): Promise<void> => {
    let under = 0
    for (const end = performance.now() + seconds * 1000; performance.now() < end;) {
      wanted += PART
      if (under < WINDOW) {
        under++
        noisy[device].publish(`noisy/flood-${device}/m`, body(PART, shouted), { qos: 1 }, error => { under--; if (!error) taken += PART })
        shouted += PART
      }
      await sleep(1000 * PART * DEVICES / (QUOTA * TIMES), undefined, { signal })
    }
  }
  await well(2)
  const alone: number[] = [], beside: number[] = []
  let loud = 0
  for (let round = 0; round < rounds; round++) {
    alone.push(...await well(QUIET))
    const [times] = await Promise.all([well(LOUD), ...noisy.map((_, device) => shout(device, LOUD))])
    beside.push(...times)
    loud += QUIET + LOUD
  }
  const most = QUOTA * (loud + BURST) + 2 * DEVICES * WINDOW * PART, within = taken
  await until('what was held is taken', async () => taken === shouted && (await plane.rows("SELECT received::float8 AS n FROM counts WHERE branch = '' AND pipeline = 'p'"))[0]?.n >= sent + taken, 120_000)
  const rows = await rowsOf(plane, 'readings'), held = Number(/event="publish_held"\} (\d+)/.exec((await plane.ask('GET', '/metrics')).body)?.[1] ?? 0), waited = waits(alone, beside, stretch)
  return {
    figures: { wanted, sent: shouted, taken_in_time: within, held_messages: held, quiet_readings: sent, quiet_rows: rows.quiet, noisy_rows: rows.noisy, ...waited.figures },
    wrong: [
      ...unless(rows.quiet === sent && rows.noisy === shouted, `${rows.quiet} and ${rows.noisy} rows for ${sent} and ${shouted} readings`), ...unless(held > 0, 'no message was held'),
      ...unless(within <= most, `${within} readings taken of the noisy one, with a quota of ${QUOTA} a second: at most ${most}`), ...waited.wrong
    ]
  }
}
