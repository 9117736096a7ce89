import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Archive, readArchive } from '../kill/archive.ts'
import { until } from '../services.ts'
import { chance, DAY, difference, hash, HOUR, inPlace, judge, SECOND, type Engine, type Given, type Message, type Place } from './data-rig.ts'
import type { Row } from './data-row.ts'

const DEVICES = 8, STEPS = 40, EVERY = 16       // seconds of event time in a part; of a window
const LIVES = ['+30d', '-30d', '+0', '+1h', '-1h', '+0'] as const       // clocks of processes, one after the other
const IDLE = 1500                    // ms, in the last life
const TICK = 1200                    // ms in which the engine looks, once at least, who is silent

const given = (idle: string): Given => ({ time: { lateness: '20s', idle, forget: '7d' }, windows: `${EVERY}s` })

/** Part `k` of the readings: every device goes on where it was, in the middle of a window. */
function* part (start: number, k: number): Generator<Message> {
  for (let second = k * STEPS; second < (k + 1) * STEPS; second++) for (let d = 0; d < DEVICES; d++) yield { topic: `default/d${d}/m`, payload: `{"ts":${start + second * SECOND},"value":${(second * 7 + d) % 31}}` }
}

/** All parts, each in a life of its own; `live` starts the engine that part `k` meets, `amid` happens in the middle of its readings. */
async function lives (place: Place, start: number, parts: number, live: (k: number) => Promise<Engine>, amid = (): void => {}): Promise<void> {
  for (let k = 0; k < parts; k++) {
    const engine = await live(k), messages = [...part(start, k)]
    if (k > 0) await sleep(TICK)
    await place.publish(messages.slice(0, messages.length / 2))
    amid()
    await place.publish(messages.slice(messages.length / 2))
    await place.settled((k + 1) * STEPS * DEVICES)
    await engine.stop()
  }
}

/** Ingest times in the log: how often one is before the one before it. */
function backwards (place: Place, archive: Archive): number {
  archive.stop()
  let newest = -Infinity, steps = 0
  for (const { ingest } of readArchive(join(place.folder, 'archive'))) {
    if (ingest < newest) steps++
    newest = ingest
  }
  return steps
}

/** What differs from a run whose clock stood right, and what the log says about time. */
async function compare (place: Place, right: readonly string[], archive: Archive, what: string, say: (line: string) => void): Promise<Record<string, boolean>> {
  const features = await place.dump('features')
  for (const row of difference(right, features).slice(0, 3)) say(`${what}: ${row}`)
  const [{ late, silent }] = await place.query('SELECT (SELECT count(*)::int FROM late_readings) AS late, count(*) FILTER (WHERE provisional OR revision > 0)::int AS silent FROM features')
  const steps = backwards(place, archive)
  return {
    [`${what}: features differ`]: hash(features) !== hash(right) || right.length === 0, [`${what}: ${silent} windows of devices that were counted as silent`]: silent > 0,
    [`${what}: ${late} readings are late`]: late > 0, [`${what}: ingest time goes back ${steps} times`]: steps > 0
  }
}

/** The environment that makes a process believe in another time; its monotonic clock stays as it is. */
function clockAt (offset: string): NodeJS.ProcessEnv {
  const lines = execFileSync('faketime', ['-f', offset, 'env'], { encoding: 'utf8' }).split('\n')
  const LD_PRELOAD = lines.find(l => l.startsWith('LD_PRELOAD='))?.slice('LD_PRELOAD='.length)
  if (LD_PRELOAD === undefined) throw new Error('faketime does not say what it preloads')
  return { LD_PRELOAD, FAKETIME: offset, DONT_FAKE_MONOTONIC: '1' }
}

/** Runs `work` while Date.now() of this process can be moved. The engine takes its wall clock from there, once, as it starts. */
async function movable<T> (work: (move: (offset: number) => void) => Promise<T>): Promise<T> {
  const real = Date.now
  let offset = 0
  Date.now = () => real() + offset
  try { return await work(to => { offset = to }) } finally { Date.now = real }
}

/** After the last step a device that falls silent must still be found to have done so: the ingest clock goes on. */
async function silenceIsFound (place: Place, start: number, parts: number): Promise<boolean> {
  await place.engine(given(`${IDLE}ms`))
  await place.publish(part(start, parts))
  return await until('silence is found', async () => (await place.query('SELECT count(*)::int AS n FROM features WHERE provisional'))[0].n >= DEVICES, IDLE + 10_000).then(() => true, () => false)
}

/** `rounds`: parts with a step of the clock before and another one amid each; then half as many processes under faketime, 6 at most. */
export const clock: Row = {
  id: 'B10', name: 'steps of the host clock by hours and days, at restarts and while running',
  rounds: { commit: 4, nightly: 60 },
  async run ({ seed, rounds, say }) {
    const start = Math.floor((Date.now() - 3 * HOUR) / (EVERY * SECOND)) * EVERY * SECOND, random = chance(seed)
    const count = Math.min(LIVES.length, Math.ceil(rounds / 2))
    const undisturbed = (parts: number) => inPlace(async place => {
      await place.engine(given('10m'))
      for (let k = 0; k < parts; k++) await place.publish(part(start, k))
      await place.settled(parts * STEPS * DEVICES)
      return await place.dump('features')
    })
    const first = [30 * DAY, -30 * DAY, HOUR, -HOUR], step = () => first.shift() ?? (random() < 0.5 ? -1 : 1) * (random() < 0.5 ? HOUR : 30 * DAY)
    let rows = 0

    const within = await movable(move => inPlace(async place => {
      const archive = new Archive(join(place.folder, 'engine', 'log'), join(place.folder, 'archive'))
      await lives(place, start, rounds, k => { if (k > 0) move(step()); return place.engine(given('10m')) }, () => move(step()))
      const wrong = await compare(place, await undisturbed(rounds), archive, 'in this process', say)
      rows = (await place.dump('features')).length
      move(-30 * DAY)
      return { ...wrong, 'after a step back no device is ever found silent': !await silenceIsFound(place, start, rounds) }
    }))
    const processes = await inPlace(async place => {
      const archive = new Archive(join(place.folder, 'engine', 'log'), join(place.folder, 'archive'))
      await lives(place, start, count, k => place.program(given('10m'), LIVES[k] === '+0' ? {} : { env: clockAt(LIVES[k]) }))
      const taken = await place.query(`SELECT (extract(epoch FROM max(ingested_at) - now()) / 86400)::float8 AS days FROM readings`)
      return { ...await compare(place, await undisturbed(count), archive, 'under faketime', say), 'under faketime: the clock has not moved': !(Math.abs(taken[0].days - 30) < 1) }
    })
    return judge({ steps: 2 * rounds, processes: count, feature_rows: rows }, { ...within, ...processes }, say)
  }
}
