/**
 * npm run bench -- <name> [its options] [--json] [--save]: one benchmark; without a name the list of them.
 * npm run bench -- all --json [--save]: those of all.ts. npm run bench -- compare A B [--json]: two files of results side by side.
 */
import { parseArgs } from 'node:util'
import { runAll } from './all.ts'
import { api } from './api.ts'
import { broker } from './broker.ts'
import { calibration } from './calibration.ts'
import { compare, readResults, tableOf } from './compare.ts'
import { cost } from './cost.ts'
import { continuousAggregate } from './continuous-aggregate.ts'
import { decode } from './decode.ts'
import { driftBench } from './drift.ts'
import { faultsFound } from './faults-found.ts'
import { features } from './features.ts'
import { detect } from './detect.ts'
import { device } from './device.ts'
import { forest } from './forest.ts'
import { forecasting } from './forecast.ts'
import { ingest } from './ingest.ts'
import { jetstream } from './jetstream.ts'
import { keep } from './keep.ts'
import { kill } from './kill.ts'
import { latency } from './latency.ts'
import type { Benchmark, Figures, Options } from './measure.ts'
import { operators } from './operators.ts'
import { nab } from './nab.ts'
import { peers } from './peers.ts'
import { replace } from './replace.ts'
import { runLength } from './run-length.ts'
import { series } from './series.ts'
import { sink } from './sink.ts'
import { skab } from './skab.ts'
import { startup } from './startup.ts'
import { tep } from './tep.ts'
import { thresholdTime } from './threshold-time.ts'
import { verdictBench } from './verdict.ts'
import { wal } from './wal.ts'
import { workers } from './workers.ts'

const benchmarks: Readonly<Record<string, Benchmark>> = {
  operators, decode, ingest, broker, jetstream, sink, latency, series, workers, peers, startup, features, api, 'continuous-aggregate': continuousAggregate, wal, kill, nab, calibration, detect, device, forest, skab, tep,
  'faults-found': faultsFound, cost, forecast: forecasting, 'threshold-time': thresholdTime, replace, drift: driftBench, 'run-length': runLength, verdict: verdictBench
}

const args = process.argv.slice(2), name = args.find(a => !a.startsWith('-'))
if (name === 'all') await all()
else if (name === 'compare') comparison(args)
else await one()

async function one (): Promise<void> {
  const given = read(name)
  if (given !== undefined && name === undefined) for (const [name, { summary }] of Object.entries(benchmarks)) process.stdout.write(`${name.padEnd(22)} ${summary}\n`)
  else if (given !== undefined) await measure(name!, benchmarks[name!], given)
}

async function all (): Promise<void> {
  const failed = await runAll(Object.keys(benchmarks), line => { process.stderr.write(`${line}\n`) }, args.includes('--save') ? ['--save'] : [])
  if (failed.length === 0) return
  process.stderr.write(`failed: ${failed.join('; ')}\n`)
  process.exitCode = 1
}

function comparison (args: readonly string[]): void {
  const [, a, b] = args.filter(arg => !arg.startsWith('-')), json = args.includes('--json')
  try {
    if (b === undefined) throw new Error('compare A B: two files, each with lines of --json or written by --save')
    const found = compare(readResults(a), readResults(b))
    if (found.length === 0) throw new Error(`${a} and ${b} have no row of the same name`)
    process.stdout.write(json ? found.map(one => `${JSON.stringify(one)}\n`).join('') : `${tableOf(found)}\n`)
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    process.exitCode = 2
  }
}

/** Flags and options; undefined, having said why and set the exit code, when the benchmark or an option is not there or not right. */
function read (name: string | undefined): { readonly json: boolean, readonly save: boolean, readonly options: Options } | undefined {
  try {
    if (name !== undefined && benchmarks[name] === undefined) throw new Error(`there is no benchmark "${name}"; there are: ${Object.keys(benchmarks).join(', ')}`)
    const flag = { type: 'boolean', default: false } as const
    const { values: { json, save, ...options } } = parseArgs({ args, allowPositionals: true, options: { ...benchmarks[name ?? '']?.options, json: flag, save: flag } })
    benchmarks[name ?? '']?.check?.(options as Options)
    return { json: json === true, save: save === true, options: options as Options }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    process.exitCode = 2
    return undefined
  }
}

async function measure (name: string, benchmark: Benchmark, { json, save, options }: NonNullable<ReturnType<typeof read>>): Promise<void> {
  const results = await benchmark.run(line => { process.stderr.write(`${line}\n`) }, options).catch((error: NodeJS.ErrnoException) => {
    if (!['ENOENT', 'EINVAL'].includes(error.code ?? '') || options.data === undefined) throw error
    process.stderr.write(`${name}: ${error.code === 'EINVAL' ? error.message : `there is no ${error.path}; --data ${options.data} must be a folder laid out as docs/explain/detection.md says`}\n`)
    process.exitCode = 2
    return [] as readonly Figures[]
  })
  const shown = (figures: Figures) => Object.entries(figures).map(([key, value]) => `${key.padEnd(32)} ${typeof value === 'object' ? JSON.stringify(value) : value}`).join('\n')
  for (const figures of results) process.stdout.write(json ? `${JSON.stringify({ benchmark: name, ...figures })}\n` : `${shown(figures)}\n\n`)
  for (const fault of results.map(figures => benchmark.fault?.(figures, options))) {
    if (fault === undefined) continue
    process.stderr.write(`${fault}\n`)
    process.exitCode = 1
  }
  if (save) keep(benchmark.savedAs?.(options) ?? name, name, results)
}
