/** What happens inside the engine: it ends at a named point, runs out of memory, or one of its operators throws. */
import { extname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { uniform } from '../kill/readings.ts'
import type { Life } from '../kill/engine.ts'
import { Stage } from '../kill/stage.ts'
import { until } from '../services.ts'
import { figuresOf } from './kills.ts'
import { isPoison } from './poison.ts'
import { exact, once, unless, type Bench, type Report, type Row } from './row.ts'

const here = import.meta.url
/** A module of this folder, as it is to be preloaded. */
export const preload = (name: string): string[] => ['--import', new URL(`${name}${extname(here)}`, here).href]

/** Resolves when a life has ended by itself. */
export async function over (life: Life, what: string, signal: AbortSignal, within = 120_000): Promise<void> {
  await until(what, () => { signal.throwIfAborted(); return life.over }, within, 5).catch((error: Error) => { throw new Error(`${error.message}; the engine said ${life.log.slice(-2000)}`) })
}

/** Named points of failpoint.ts, with up to how many passings the process lives. */
const points = {
  'log.written': 60, 'log.synced': 60, 'log.told': 60, 'log.segment': 2, 'log.dropped': 2,
  'commit.begun': 20, 'commit.copied': 20, 'commit.alerts': 10, 'commit.pages': 3, 'commit.snapshot': 2, 'commit.ready': 20, 'commit.sent': 20, 'commit.done': 20
} as const

/** The same for a source that is fed by requests: its log, the file of its keys, the moments before and after the answer. */
const requestPoints = { 'log.written': 60, 'log.synced': 60, 'log.told': 60, 'reply.ready': 60, 'reply.sent': 60, 'keys.written': 2, 'keys.renamed': 2, 'log.dropped': 2 } as const

/** Each life ends at the next of the points. */
async function everywhere ({ rounds, progress, seed, say, signal, closing, server }: Bench, source: 'mqtt' | 'http', points: Readonly<Record<string, number>>): Promise<Report> {
  const stage = await Stage.open({ source, seed, series: 64, rate: source === 'http' ? 400 : 800, server: await server(), start: { node: preload('failpoint'), args: ['--log-keep', '0'] } }, say, signal, closing)        // segments are to go
  let life = await stage.begin()
  const reached = Object.fromEntries(Object.keys(points).map(point => [point, 0]))
  for (let k = 0; k < rounds; k++) {
    progress(`round ${k + 1} of ${rounds}`)
    const [point, most] = Object.entries(points)[k % Object.keys(points).length]
    await life.destroy()
    life = stage.start({ env: { MILLRACE_FAILPOINT: `${point}:${1 + Math.floor(most * uniform(seed, k))}` } })
    await over(life, `the point ${point} is reached`, signal)
    if (life.child.signalCode !== 'SIGKILL') throw life.died()
    reached[point]++
  }
  await stage.again({ node: [] })
  const outcome = await stage.finish()
  return {
    figures: { kills: rounds, points: Object.values(reached).filter(n => n > 0).length, ...figuresOf(outcome) },
    wrong: [...exact(outcome), ...once(outcome), ...unless(source !== 'http' || rounds < Object.keys(points).length || outcome.suppressed > 0, 'no request came again under its key: the kills show nothing')]
  }
}

const HEAP = 128                     // MB

async function full ({ rounds, progress, seed, say, signal, closing, server }: Bench): Promise<Report> {
  const stage = await Stage.open({ source: 'mqtt', seed, series: 64, rate: 400, server: await server() }, say, signal, closing)
  let life = await stage.begin(), explained = 0
  for (let k = 0; k < rounds; k++) {
    progress(`round ${k + 1} of ${rounds}`)
    await life.destroy()
    life = stage.start({ node: [`--max-old-space-size=${HEAP}`, ...preload('leak')], env: { MILLRACE_LEAK: String(Math.round(20 + 60 * uniform(seed, k))) } })
    await over(life, 'it has no memory left', signal)
    if (/heap out of memory/.test(life.log)) explained++
    else throw life.died()
  }
  await stage.again()
  const outcome = await stage.finish()
  return { figures: { deaths: rounds, explained, ...figuresOf(outcome) }, wrong: [...exact(outcome), ...unless(explained === rounds, 'the reason was not said')] }
}

const ENDS = 1000, ISOLATED = 'these readings'   // ms

/** An operator throws on some readings: those become dead letters, all others are as if they had never been. Then on all: the engine ends, and loses nothing. */
async function throwing ({ rounds, seed, stretch, say, signal, closing, server }: Bench): Promise<Report> {
  const module = fileURLToPath(new URL(`throwing${extname(here)}`, here))
  const stage = await Stage.open({
    source: 'mqtt', seed, series: 64, rate: 400, server: await server(), poison: isPoison,
    change: pipeline => ({ ...pipeline, pipe: [{ throwing: { always: '${MILLRACE_ALWAYS:-false}' } }, ...pipeline.pipe] })
  }, say, signal, closing)
  const env = { MILLRACE_PIPELINE: join(stage.folder, 'pipeline.json') }
  await stage.begin({ file: module, env })
  await sleep(rounds * 1000, undefined, { signal })
  await stage.lives.at(-1)!.destroy()
  const life = stage.start({ file: module, env: { ...env, MILLRACE_ALWAYS: 'true' } })
  await life.says(/going back to the last commit/)
  const threw = performance.now()
  await over(life, 'it ends by itself', signal)
  const ms = Math.round(performance.now() - threw), code = life.child.exitCode
  const named = life.log.includes(ISOLATED) || /engine\/poison/.test(life.log)
  await stage.again({ file: module, env })
  const outcome = await stage.finish()
  const { dead } = outcome
  return {
    figures: { isolated: dead, exit: code ?? 'none', ended_ms: ms, ...figuresOf(outcome) },
    wrong: [...exact(outcome), ...unless(dead > 0, 'nothing threw'), ...unless(code === 1, `an operator that always throws ended the engine with ${code ?? life.child.signalCode}`), ...unless(named, 'the engine did not say why it ended'), ...unless(ms <= ENDS * stretch, `it took ${ms} ms to end`)]
  }
}

export const inside: readonly Row[] = [
  {
    id: 'K4', name: 'kill -9 at every point of the log and of the commit', fault: `failpoints: ${Object.keys(points).join(', ')}`, expected: 'safe at each of them',
    tiers: { nightly: 104, release: 20 * Object.keys(points).length },
    run: bench => everywhere(bench, 'mqtt', points)
  },
  {
    id: 'K4http', name: 'kill -9 at every point between a request and its answer', fault: `failpoints: ${Object.keys(requestPoints).join(', ')}`, expected: 'nothing lost that was answered 202, nothing twice that was sent again under its Idempotency-Key',
    tiers: { commit: Object.keys(requestPoints).length, nightly: 10 * Object.keys(requestPoints).length, release: 25 * Object.keys(requestPoints).length },
    run: bench => everywhere(bench, 'http', requestPoints)
  },
  {
    id: 'K10', name: 'out of memory', fault: `--max-old-space-size=${HEAP}, and memory that grows`, expected: 'as kill -9; the reason is said',
    tiers: { nightly: 10, release: 20 },
    run: full
  },
  {
    id: 'K11', name: 'an operator throws', fault: 'on about one reading in 150; then on all', expected: 'those are dead letters, all others unharmed; then an end with exit code 1, and nothing lost',
    tiers: { commit: 3, nightly: 60, release: 600 },
    run: throwing
  }
]
