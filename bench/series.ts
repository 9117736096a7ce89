import { fork } from 'node:child_process'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { round, type Benchmark, type Figures, type Options } from './measure.ts'
import type { Size } from './series-size.ts'

const NS = 1500, BYTES = 2048, STALL = 50, RSS = 3 * 1024, MANY = 1_000_000
const option = (preset: string) => ({ type: 'string', default: preset }) as const

/**
 * What many series cost: PRED (pred.ts) over 1,000 to 1,000,000 series in random order, each size in a process of its own, driven as the run
 * loop does, with snapshots as it takes them; their pages go nowhere. Time is CPU time. A stall is the longest that a
 * delivery of 1,024 readings, or a slice of a tick, has taken: its CPU time, or its duration without what it waited for a processor that others had, whichever is less.
 */
export const series: Benchmark = {
  summary: 'time, memory and stalls of 1,000 to 1,000,000 series in random order',
  unit: 'size',
  options: { sizes: option('1000,10000,100000,1000000'), warm: option('24'), runs: option('5') },
  check: options => { read(options) },
  async run (say, options) {
    const results: Figures[] = []
    for (const size of read(options)) {
      const figures = await alone(size, say)
      results.push({ ...figures, ...results[0]?.series === 1000 ? { ratio_to_1000: round(Number(figures.ns_per_reading) / Number(results[0].ns_per_reading)) } : {} })
    }
    return results
  },
  fault (figures) {
    const of = (name: string) => Number(figures[name]), wrong: string[] = []
    if (of('max_stall_ms') > STALL) wrong.push(`it stalls for ${of('max_stall_ms')} ms, ${STALL} are allowed`)
    if (of('rss_mb') > RSS) wrong.push(`the process takes ${of('rss_mb')} MB, ${RSS} are allowed`)
    if (of('series') >= MANY && of('ns_per_reading') > NS) wrong.push(`a reading takes ${of('ns_per_reading')} ns, ${NS} are allowed`)
    if (of('bytes_per_series') > BYTES && of('series') >= 10_000) wrong.push(`a series takes ${of('bytes_per_series')} bytes, ${BYTES} are allowed`)
    return wrong.length === 0 ? undefined : `${of('series')} series: ${wrong.join(', ')}`
  }
}

function read ({ sizes, warm, runs }: Options): Size[] {
  const whole = (name: string, text: string, least: number, most: number) => {
    const n = Number(text)
    if (!Number.isInteger(n) || n < least || n > most) throw new Error(`--${name} takes whole numbers from ${least} to ${most}, not ${text}`)
    return n
  }
  return sizes.split(',').map(size => ({ series: whole('sizes', size, 100, 4_000_000), warm: whole('warm', warm, 2, 10_000), runs: whole('runs', runs, 1, 100), least: 200_000 }))
}

function alone (size: Size, say: (line: string) => void): Promise<Figures> {
  const child = fork(fileURLToPath(new URL(`./series-size${extname(import.meta.url)}`, import.meta.url)), { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  let said = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-10_000)
    say(text.trimEnd())
  })
  return new Promise((resolve, reject) => {
    let figures: Figures | undefined
    child.on('message', message => { figures = message as Figures })
    child.on('error', reject)
    child.on('close', code => { if (figures === undefined) reject(new Error(`the process for ${size.series} series ended with ${code}: ${said}`)); else resolve(figures) })
    child.send(size)
  })
}
