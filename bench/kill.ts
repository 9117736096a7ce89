import { sources } from './kill/source.ts'
import { COMMITS, SEVERAL, soak, type Given } from './kill/soak.ts'
import { percentiles, round, type Benchmark, type Options } from './measure.ts'

const MANY = 10_000, RECOVERED = 3000         // series; ms from a start to its first commit (p99)
const option = (preset: string) => ({ type: 'string', default: preset }) as const

/**
 * kill -9 of the engine, again and again, while readings come in: then every row against the ledger of who has sent them, and
 * every score, window and alert against a recomputation from the log. kill -9 leaves the page cache: it says nothing about power loss.
 */
export const kill: Benchmark = {
  summary: 'kill -9 of the engine while readings come in: what is lost, doubled or remembered wrongly, and how soon it is back',
  unit: 'run',
  options: {
    source: option('mqtt'), kills: option('20'), protocol: option('5'), sink: option('postgres'), seed: option('1'),
    series: option('200'), rate: option('2000'), seconds: option('10'), stretch: option('1'), oracle: option('log')
  },
  check: options => { read(options) },
  async run (say, options) {
    const given = read(options), closing: (() => unknown)[] = []
    const stop = new AbortController(), interrupt = () => stop.abort(new Error('interrupted'))
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, interrupt)
    closing.push(() => { for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, interrupt) })
    try {
      const { attempted, acked, rows, lost, duplicated, phantom, unknown, state_mismatches, feature_rows, alerts, follower_rows, commits, repeated, late, suppressed, ready, recovered } = await soak(given, say, stop.signal, closing)
      const { source, kills, seed, series, rate, stretch } = given
      return [{
        source, protocol: source === 'mqtt' ? given.protocol : source === 'broker' ? 4 : 0, sink: given.sink, seed, series, rate, stretch, kills, commits, commits_per_kill: kills === 0 ? 0 : round(commits / kills),
        attempted, acked, unknown, rows, lost, duplicated, phantom, state_mismatches, late, feature_rows, alerts, ...given.sink === 'postgres' ? {} : { follower_rows }, log_repeats: repeated, redeliveries_suppressed: suppressed,
        recovery_ms: percentiles(recovered), ready_ms: percentiles(ready)
      }]
    } finally {
      for (const close of closing.toReversed()) try { await close() } catch (error) { say(`not closed: ${String(error)}`) }
    }
  },
  fault (figures) {
    const of = (name: string) => Number(figures[name]), wrong = ['lost', 'duplicated', 'phantom', 'state_mismatches'].filter(f => figures[f] !== 0).map(f => `${of(f)} ${f}`)
    if (!(of('acked') > 0 && of('rows') > 0)) wrong.push('nothing was published, or nothing became a row')
    if (figures.kills !== 0 && of('commits_per_kill') < COMMITS) wrong.push(`only ${of('commits_per_kill')} commits per kill: with fewer than ${COMMITS} the kills show nothing`)
    if (['mqtt', 'broker', 'http'].includes(figures.source as string)) {      // dedupe would hide what the log has twice
      if (figures.log_repeats !== 0) wrong.push(`${of('log_repeats')} messages stand in the log twice`)
      if (of('kills') >= SEVERAL && figures.redeliveries_suppressed === 0) wrong.push('nothing was sent again: the kills show nothing')
    }
    const { p99 } = figures.recovery_ms as { readonly p99: number }
    if (of('series') >= MANY && p99 > RECOVERED) wrong.push(`recovery took ${p99} ms (p99), ${RECOVERED} are allowed`)
    return wrong.length === 0 ? undefined : `kill: ${wrong.join(', ')}`
  },
  savedAs: ({ source, protocol, sink }) => `kill-${source}${source === 'mqtt' ? protocol : ''}${sink === 'questdb' ? '-questdb' : ''}`
}

function read (options: Options): Given & Required<Pick<Given, 'protocol' | 'sink'>> {
  const one = <T extends string>(name: string, of: readonly T[]): T => {
    const found = of.find(o => o === options[name])
    if (found === undefined) throw new Error(`--${name} is one of ${of.join(', ')}, not ${options[name]}`)
    return found
  }
  const whole = (name: string, least: number, most: number): number => {
    const n = Number(options[name])
    if (!Number.isInteger(n) || n < least || n > most) throw new Error(`--${name} is a whole number from ${least} to ${most}, not ${options[name]}`)
    return n
  }
  return {
    source: one('source', sources), sink: one('sink', ['postgres', 'questdb']), oracle: one('oracle', ['log', 'ledger']), protocol: one('protocol', ['4', '5']) === '4' ? 4 : 5,
    kills: whole('kills', 0, 2000), seed: whole('seed', 0, 2 ** 31 - 1), series: whole('series', 8, 50_000), rate: whole('rate', 1, 50_000), seconds: whole('seconds', 1, 600), stretch: whole('stretch', 1, 20)
  }
}
