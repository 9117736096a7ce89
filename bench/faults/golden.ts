/** Snapshots as each version writes them. `node .bench/bench/faults/golden.js` adds that of this version to test/fixtures/snapshots, if there is none. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as sources from '../../connectors/index.ts'
import { Credits, Intake, SeriesTable, type Delivery, type Layout } from '../../engine/index.ts'
import { Flow } from '../../engine/flow.ts'
import type { Outputs } from '../../engine/outputs.ts'
import { normalise } from '../../engine/lint.ts'
import { packageRoot, version } from '../../engine/version.ts'
import { readYaml } from '../../engine/yaml.ts'
import * as operators from '../../operators/index.ts'
import * as sinks from '../../sinks/index.ts'
import { pipelineOf, settingsOf } from '../kill/pipeline.ts'
import { microsOf, nameOf, readingOf, valueOf, type Plan } from '../kill/readings.ts'

export interface Golden {
  readonly version: string
  readonly position: number
  readonly layout: Layout
  readonly pages: readonly { readonly partition: number, readonly page: number, readonly digest: string, readonly data: string }[]
  /** SHA-256 of everything that comes of the readings after it. */
  readonly after: string
}

const folder = join(packageRoot, 'test/fixtures/snapshots')
const plan: Plan = { seed: 7, series: 16, rate: 160, start: 1_700_000_000_000_000 }
const HALF = 1600, ALL = 3200, TOGETHER = 100          // messages

export const goldens = (): Golden[] => readdirSync(folder).filter(name => name.endsWith('.json')).map(name => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Golden)

/** The snapshot of this version, after half of the readings. */
export function write (): Golden {
  const { flow, feed } = open()
  feed(0, HALF)
  const { layout } = flow.snapshots
  flow.snapshots.begin(true)
  flow.snapshots.advance(Infinity)
  const pages = flow.snapshots.take().map(({ partition, page, digest, data }) => ({ partition, page, digest: Buffer.from(digest).toString('hex'), data: Buffer.from(data).toString('base64') }))
  return { version, position: HALF, layout, pages, after: feed(HALF, ALL) }
}

/** Takes up a snapshot; what comes of the rest of the readings. */
export function load ({ pages, layout, position }: Golden): string {
  const { flow, feed } = open(position)
  for (const { partition, page, digest, data } of pages) flow.snapshots.load({ partition, page, digest: Buffer.from(digest, 'hex'), data: Buffer.from(data, 'base64') }, layout)
  flow.snapshots.loaded(layout)
  return feed(position, ALL)
}

function open (position = 0): { readonly flow: Flow, readonly feed: (from: number, to: number) => string } {
  const components = { sources, operators, sinks }
  const { pipeline } = readYaml(JSON.stringify(pipelineOf({ broker: { topics: 'kill/{device}/{metric}' } }, settingsOf(plan), [])), components, { file: 'golden' })
  const series = new SeriesTable(100), flow = new Flow(normalise(pipeline!, components), series, position), intake = new Intake(series, new Credits(), { ahead: 60_000, after: position })
  return {
    flow,
    feed (from, to) {
      const hash = createHash('sha256')
      for (let m = from; m < to; m++) {
        const reading = readingOf(plan, m), [device, metric] = nameOf(reading.series).split('/'), micros = microsOf(plan, reading.n)
        intake.message(`kill/${device}/${metric}`, new Uint8Array(0), micros / 1000, m + 1)
        intake.reading(series.id('default', device, metric), micros / 1000, valueOf(plan, reading))
        if ((m + 1) % TOGETHER === 0) hash.update(textOf(flow.process(intake.take(micros / 1000) as Delivery), series))
      }
      return hash.digest('hex')
    }
  }
}

/** Rows, alerts and late rows, by names. */
function textOf ({ writes, alerts, late }: Outputs, series: SeriesTable): string {
  const rows = (batch: Outputs['writes'][number]['batch']) => Array.from({ length: batch.length }, (_, i) => JSON.stringify([series.name(batch.series[i]), batch.time[i], batch.value[i], Object.entries(batch.columns).map(([name, column]) => [name, column[i]])])).toSorted()
  return JSON.stringify([writes.map(w => [w.table, rows(w.batch)]), alerts.map(a => a.event.id).toSorted(), late.map(l => [l.branch, rows(l.batch)])])
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = join(folder, `${version}.json`)
  mkdirSync(folder, { recursive: true })
  if (existsSync(file)) process.stderr.write(`${file} is there already\n`)
  else writeFileSync(file, `${JSON.stringify(write(), null, 1)}\n`)
}
