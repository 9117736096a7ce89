/** S3: keys that are cut off, mistyped, unknown, revoked, expired; and whether the time of an answer tells more than the answer. */
import { rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { checked, newKey } from '../../engine/api-key.ts'
import { temporary } from '../services.ts'
import { Plane } from './plane.ts'
import { chance } from './data-rig.ts'
import { percentiles, unless, type Bench, type Report } from './row.ts'

const BATCH = 1000, T = 4.5          // samples of a round; the bound of dudect (Reparaz et al. 2017)
const CROPPED = 0.9                  // share of samples below which a time counts: what the machine does beside is longer

/** Seconds of one request over a connection that is kept. */
const timer = (url: string): ((key: string) => Promise<number>) & { readonly close: () => void } => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  return Object.assign((key: string) => new Promise<number>((resolve, reject) => {
    const began = process.hrtime.bigint()
    request(`${url}/api/v1/tables`, { agent, headers: { authorization: `Bearer ${key}` } }, response => { response.resume().on('end', () => { resolve(Number(process.hrtime.bigint() - began)) }) }).on('error', reject).end()
  }), { close: () => { agent.destroy() } })
}

/** Welch's t of two samples, of what lies below a common bound. */
function welch (a: readonly number[], b: readonly number[]): number {
  const all = [...a, ...b].sort((x, y) => x - y), bound = all[Math.floor(CROPPED * all.length)]
  const [one, two] = [a, b].map(of => {
    const kept = of.filter(x => x <= bound), mean = kept.reduce((s, x) => s + x, 0) / kept.length
    return { n: kept.length, mean, variance: kept.reduce((s, x) => s + (x - mean) ** 2, 0) / (kept.length - 1) }
  })
  return (one.mean - two.mean) / Math.sqrt(one.variance / one.n + two.variance / two.n)
}

export async function keyTimes (bench: Bench): Promise<Report> {
  const { rounds, seed, stretch, say } = bench, plane = await impatient(bench), wrong: string[] = []
  const { key } = await plane.key(null), status = async (of: string) => (await plane.ask('GET', '/api/v1/tables', { key: of })).status
  if (await status(key) !== 200) wrong.push('a good key is refused')

  // what is no key, or not valid any more
  const expired = await plane.key(null, undefined, new Date(Date.now() - 1000)), body = key.slice(0, -6), digit = (k: number) => key.slice(0, k) + (key[k] === 'A' ? 'B' : 'A') + key.slice(k + 1)
  const bad = [...Array.from({ length: key.length - 1 }, (_, k) => key.slice(0, k + 1)), ...Array.from({ length: key.length - 3 }, (_, k) => digit(k + 3)), key.toUpperCase(), `${key}a`, `${key} `.replace(' ', '%20'), `${body}000000`, expired.key, newKey().key, 'mr_', '', '\u00e9', key.replace('mr_', 'MR_')]
  for (const one of bad) {
    const got = await plane.ask('GET', '/api/v1/tables', { headers: { authorization: `Bearer ${one}`.replaceAll(/[^\x20-\x7e]/g, '?') } })
    if (got.status !== 401) wrong.push(`${got.status} for ${one.slice(0, 12)}... of ${one.length} characters`)
    if (one.length > 20 && got.body.includes(one.slice(12))) wrong.push('an answer repeats the secret of a key')
  }

  // revoked: from when on is it refused?
  const late: number[] = []
  for (let k = 0; k < 5; k++) {
    const { key, id } = await plane.key(null)
    if (await status(key) !== 200) wrong.push('a new key is refused')
    await plane.revoke(id)
    const began = performance.now()
    while (await status(key) === 200 && performance.now() - began < 5000) await sleep(20)
    late.push(performance.now() - began)
  }

  // time: a known id with a wrong secret against an id that nobody has, in an order that chance gives; both with a right checksum
  const guess = Array.from({ length: 50 }, () => newKey().key), known = await Promise.all(guess.map(async () => forge((await plane.key(null)).key)))
  const ask = timer(plane.url), times: [number[], number[]] = [[], []], random = chance(seed)
  for (let k = 0; k < 500; k++) await ask((k % 2 === 0 ? guess : known)[k % guess.length])            // warm, and looked up
  for (let round = 0; round < rounds; round++) {
    for (let k = 0; k < BATCH; k++) {
      const which = random() < 0.5 ? 0 : 1, of = which === 0 ? guess : known
      times[which].push(await ask(of[Math.floor(random() * of.length)]))
    }
    if (round % 10 === 9) say(`${(round + 1) * BATCH} samples: t ${welch(...times).toFixed(2)}`)
  }
  ask.close()
  const t = welch(...times), slowest = Math.max(...late)
  return {
    figures: { refused: bad.length, revoked_ms: Math.round(slowest), samples: rounds * BATCH, t: Math.round(t * 100) / 100, unknown_us: percentiles(times[0].map(n => n / 1000)), wrong_secret_us: percentiles(times[1].map(n => n / 1000)) },
    wrong: [...wrong, ...unless(slowest <= 1000 * stretch + 200, `a key was taken for ${Math.round(slowest)} ms after it was revoked`), ...unless(Math.abs(t) < T, `the time tells whether an id is known: t ${t.toFixed(2)}`)]
  }
}

/** A plane where as many may fail as will: how long a refusal takes is of no interest where nobody is refused more than twenty. */
async function impatient (bench: Bench): Promise<Plane> {
  const folder = temporary('limits'), file = join(folder, 'limits.yaml')
  bench.closing.push(() => { rmSync(folder, { recursive: true, force: true }) })
  writeFileSync(file, 'process: { failures: 1000000000 }\n')
  return await Plane.open(bench, { args: ['--limits', file] })
}

/** The id of a key with another secret and a right checksum. */
const forge = (key: string): string => checked(`mr_${key.split('_')[1]}_${newKey().key.split('_')[2]}`)
