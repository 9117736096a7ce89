import { openAsBlob } from 'node:fs'
import type { Command } from 'commander'
import { pairOf, REPLAYED } from './arguments.ts'
import { sleep } from '../clock.ts'
import { MillraceError } from '../errors.ts'
import type { Job } from '../jobs.ts'
import { openLog } from '../log.ts'
import { exit, streams } from './program.ts'
import { ask, remote, type RemoteOptions } from './remote.ts'
import { stopSignal } from './work.ts'

interface Options extends RemoteOptions { readonly from?: string, readonly to?: string, readonly table?: string, readonly log?: boolean, readonly csv?: string, readonly option?: readonly string[], readonly json?: boolean }

const LOOK = 300, SAY = 3000         // ms

/** `millrace backfill`: a pipeline of a running process works through its past and goes on with its own source. */
export function backfill (program: Command): void {
  remote(program.command('backfill').description('let a running pipeline work through readings from before, then go on with its source where it stopped'))
    .argument('<pipeline>', 'its name')
    .option('--from <time>', 'only from this event time on, ISO 8601')
    .option('--to <time>', 'write rows before this event time only, ISO 8601')
    .option('--table <name>', 'a table of readings; without it the one that the pipeline writes')
    .option('--log', 'what the log of its source still has, as it came, instead of a table')
    .option('--csv <file>', 'readings from before, in the order of time, beside those of the table')
    .option(...REPLAYED)
    .option('--json', 'print the job at the end as JSON')
    .action(async (pipeline: string, { from, to, table, log, csv, option = [], json = false, ...options }: Options) => {
      const stop = stopSignal(openLog({ level: 'warn' })), { out, err } = streams(program), given = { pipeline, from, to, table }
      if (log === true && csv !== undefined) throw new MillraceError('usage/command', '--log and --csv cannot be together', { help: 'one after the other' })
      const reply = csv === undefined
        ? await ask(options, { method: 'POST', path: '/api/v1/jobs', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ kind: 'backfill', ...given, log }) })
        : await ask(options, { method: 'POST', path: '/api/v1/jobs/backfill', query: { ...given, options: option.length === 0 ? undefined : JSON.stringify(Object.fromEntries(option.map(pairOf))) }, headers: { 'content-type': 'text/csv' }, body: await blobOf(csv) })
      let job = await reply.json() as Job, said = 0, last = ''
      while (job.state === 'running' && !stop.signal.aborted) {
        await sleep(LOOK, stop.signal)
        job = await (await ask(options, { path: `/api/v1/jobs/${job.id}` })).json() as Job
        const line = `${job.done}${job.total === null ? '' : ` of ${job.total}`}: ${job.detail ?? 'begins'}\n`
        if (!process.stderr.isTTY || line === last || performance.now() - said < SAY) continue
        err(line)
        said = performance.now()
        last = line
      }
      out(json ? `${JSON.stringify(job)}\n` : `${job.state}: ${job.state === 'running' ? `it goes on without this command, as the job ${job.id}` : job.detail}\n`)
      if (stop.code() !== 0) process.exitCode = stop.code()
      else exit(job.state === 'done' ? 0 : 1)
    })
}

const blobOf = async (file: string): Promise<Blob> => await openAsBlob(file).catch(cause => { throw new MillraceError('usage/file', `the file "${file}" cannot be read: ${(cause as Error).message}`, { cause }) })
