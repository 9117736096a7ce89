/** P5: a tenant that sends twenty times its quota over HTTP, and what P5a has in common with it. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { temporary, until } from '../services.ts'
import { Plane } from './plane.ts'
import { percentiles, unless, type Bench, type Report } from './row.ts'

export const QUOTA = 300, TIMES = 20, BURST = 10     // readings a second of the noisy one; what it sends; seconds over which a quota is meant
export const EVERY = 25, READINGS = 10               // ms between requests of the other, readings in each
const PART = 500                                     // readings in a request of the noisy one
const MORE = 1.2, SPARE = 10, MOST = 500             // times p99 of the other, and ms; ms that it waits at the most, however busy the machine is

/** A plane with that quota for the tenant `noisy`. */
export async function limited (bench: Bench): Promise<Plane> {
  const folder = temporary('limits'), file = join(folder, 'limits.yaml')
  bench.closing.push(() => { rmSync(folder, { recursive: true, force: true }) })
  writeFileSync(file, `tenants: { noisy: { readings: ${QUOTA} } }\n`)
  return await Plane.open(bench, { args: ['--limits', file] })
}

/** How long the other tenant waits, ms, alone and beside the noisy one: its p50 and more in us, and what is wrong with them. */
export function waits (alone: readonly number[], beside: readonly number[], stretch: number) {
  const at = (of: readonly number[]) => percentiles(of.map(ms => ms * 1000)), [one, two] = [at(alone), at(beside)]
  return {
    figures: { alone_us: one, beside_us: two, ratio_p99: Math.round(two.p99 / one.p99 * 100) / 100 },
    wrong: unless(two.p99 <= Math.min(stretch * (MORE * one.p99 + SPARE * 1000), MOST * 1000), `the other waits ${two.p99} us instead of ${one.p99}`)
  }
}

export const rowsOf = async (plane: Plane, table: string): Promise<Record<string, number>> => Object.fromEntries((await plane.rows(`SELECT tenant, count(*)::int AS n FROM ${table}_named GROUP BY 1`)).map(({ tenant, n }) => [tenant, n]))

export async function noisyTenant (bench: Bench): Promise<Report> {
  const { rounds, stretch, signal } = bench, wrong: string[] = []
  const plane = await limited(bench), quiet = await plane.key('quiet'), noisy = await plane.key('noisy')
  let sent = 0, asked = 0, taken = 0, refused = 0, patient = 0, next = 0
  const post = async (key: string, device: string, n: number, first: number) => await plane.ask('POST', '/api/v1/ingest', { key, body: Array.from({ length: n }, (_, i) => ({ device, m: first + i, ts: 1_700_000_000_000 + first + i })) })
  const well = async (seconds: number): Promise<number[]> => {
    const times: number[] = []
    for (const end = performance.now() + seconds * 1000; performance.now() < end;) {
      const began = performance.now(), { status } = await post(quiet.key, 'pump', READINGS, sent)
      times.push(performance.now() - began)
      if (status !== 202) wrong.push(`${status} for the tenant within its quota`)
      sent += READINGS
      await sleep(EVERY, undefined, { signal })
    }
    return times
  }
  const shout = async (seconds: number): Promise<void> => {
    const under: Promise<void>[] = []
    for (const began = performance.now(); performance.now() - began < seconds * 1000;) {
      const first = next
      next += PART
      under.push(post(noisy.key, 'flood', PART, first).then(({ status, headers }) => {
        asked += PART
        if (status === 202) taken += PART
        else if (status === 429) { refused++; if (Number(headers.get('retry-after')) >= 1) patient++ } else wrong.push(`${status} for the noisy tenant`)
      }))
      await sleep(1000 * PART / (QUOTA * TIMES), undefined, { signal })
    }
    await Promise.all(under)
  }
  await well(2)
  const alone: number[] = [], beside: number[] = []
  let loud = 0
  for (let round = 0; round < rounds; round++) {
    alone.push(...await well(5))
    const [times] = await Promise.all([well(10), shout(10)])
    beside.push(...times)
    loud += 15
  }
  await until('all is settled', async () => (await plane.rows("SELECT received::float8 AS n FROM counts WHERE branch = '' AND pipeline = 'h'"))[0]?.n >= sent + taken, 60_000)
  const rows = await rowsOf(plane, 'posted'), most = QUOTA * (loud + BURST) + 20 * PART, waited = waits(alone, beside, stretch)
  return {
    figures: { asked, taken, refused, quiet_readings: sent, quiet_rows: rows.quiet, noisy_rows: rows.noisy, ...waited.figures },
    wrong: [
      ...wrong.slice(0, 5), ...unless(rows.quiet === sent && rows.noisy === taken, `${rows.quiet} and ${rows.noisy} rows for ${sent} and ${taken} readings`), ...unless(refused > 0 && patient === refused, `${refused} requests refused, ${patient} of them with Retry-After`),
      ...unless(taken <= most, `${taken} readings taken of the noisy one, with a quota of ${QUOTA} a second: at most ${most}`), ...waited.wrong
    ]
  }
}
