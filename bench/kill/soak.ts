import { setTimeout as sleep } from 'node:timers/promises'
import { uniform } from './readings.ts'
import { Stage, type Outcome, type Setting } from './stage.ts'

export interface Given extends Setting {
  readonly kills: number
  readonly seconds: number           // how long to publish when nothing is killed
  readonly stretch: number           // what waits before kills are multiplied by, for a machine that is slow or busy
}

/** Per kill, at least: a kill before the first commit shows nothing. */
export const COMMITS = 3
/** Kills after which a broker must have sent something again: fewer may all miss the moment between fsync and PUBACK. */
export const SEVERAL = 20
const STARTING = 0.1, STOPPING = 0.1           // shares of the kills during start-up and shut-down

/** Publishes, kills, waits until all is committed, checks; `commits` are those until the last kill, or until publishing ends. */
export async function soak (given: Given, say: (line: string) => void, signal: AbortSignal, closing: (() => unknown)[]): Promise<Outcome> {
  const { seed, kills, stretch } = given
  const stage = await Stage.open(given, say, signal, closing), { commits } = stage
  let life = await stage.begin()
  for (let k = 0; k < kills; k++) {
    const manner = k === 0 ? 0.5 : uniform(seed, k, 1), starting = manner < STARTING, stopping = manner > 1 - STOPPING
    if (k > 0) life = starting ? stage.start() : await stage.again()
    await sleep(stretch * (starting ? 250 * uniform(seed, k, 2) : 250 + 600 * uniform(seed, k, 3)), undefined, { signal })
    if (life.over) throw life.died()
    if (stopping) {
      life.child.kill('SIGTERM')
      await sleep(stretch * 100 * uniform(seed, k, 4), undefined, { signal })
    }
    await life.destroy()
    if ((k + 1) % 20 === 0) say(`${k + 1} kills, ${commits.count} commits`)
  }
  if (kills === 0) await sleep(given.seconds * 1000, undefined, { signal })
  const counted = commits.count
  if (kills > 0) await stage.again()
  return { ...await stage.finish(), commits: counted }
}
