/** Node-RED as one who knows it would set it up, headless: mqtt in, a function node that computes, a function node that inserts batches. */
import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { packageRoot } from '../../engine/version.ts'
import { FEATURES } from '../answer.ts'
import { TABLE, WINDOWS } from '../ingest-flows.ts'
import { Program, query } from '../services.ts'
import type { Candidate, Peer } from './peer.ts'

const VERSION = '4.1.15', PG = '8.23.1'
const WITHIN = 300_000, SUBSCRIBES = 500         // ms: npm; from its connection to its subscription

export const nodeRed: Candidate = {
  name: 'node-red',
  async find ({ cache }) {
    const runtime = join(cache, `node-red-${VERSION}`), modules = join(cache, `node-red-modules-${PG}`)
    try {
      await install(runtime, 'node-red', VERSION)
      await install(modules, 'pg', PG)
    } catch (error) {
      return `npm cannot install it: ${(error as Error).message.trim().split('\n').slice(0, 3).join(' ')}`
    }
    return peer(join(runtime, 'node_modules/node-red/red.js'), join(modules, 'node_modules'))
  }
}

/** Nothing when it is there already; whole or not at all. */
async function install (folder: string, name: string, version: string): Promise<void> {
  if (existsSync(folder)) return
  const making = `${folder}.${process.pid}`
  try {
    mkdirSync(making, { recursive: true })
    writeFileSync(join(making, 'package.json'), JSON.stringify({ private: true, dependencies: { [name]: version } }))
    await promisify(execFile)('npm', ['install', '--ignore-scripts', '--no-fund', '--no-audit'], { cwd: making, timeout: WITHIN })
    if (!existsSync(folder)) renameSync(making, folder)
  } finally {
    rmSync(making, { recursive: true, force: true })
  }
}

const peer = (program: string, modules: string): Peer => ({
  name: 'node-red', version: VERSION, flows: ['PASS', 'STATS'],
  async prepare ({ database, folder }) {
    // Our key and no index that it can do without. Without the columns that only we have: position, seq.
    for (const table of [
      `${TABLE} (series integer NOT NULL, time timestamptz NOT NULL, value double precision, ingested_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (series, time))`,
      `${WINDOWS} (series integer NOT NULL, time timestamptz NOT NULL, ${FEATURES.map(f => `${f} double precision`).join(', ')}, PRIMARY KEY (series, time))`,
      'alerts (series integer NOT NULL, time timestamptz NOT NULL, state text NOT NULL)', 'series_named (series integer PRIMARY KEY, device text NOT NULL, metric text NOT NULL)'
    ]) await query(database, `CREATE TABLE ${table}`)
    await query(database, `CREATE INDEX ON ${TABLE} USING brin (time)`)
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies: { pg: PG } }))
    writeFileSync(join(folder, 'settings.cjs'), `module.exports = ${JSON.stringify(settings)}`)
    symlinkSync(modules, join(folder, 'node_modules'))
  },
  async start ({ flow, prefix, port, database, folder }) {
    const flows = join(folder, 'flows.json')
    writeFileSync(flows, JSON.stringify(flowsOf(prefix, port)))
    const args = [program, '--settings', join(folder, 'settings.cjs'), '--userDir', folder, flows]
    const running = new Program(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NODE_OPTIONS: undefined, FLOW: flow, DATABASE: database } }))
    await running.says('Connected to broker', 120_000)
    await sleep(SUBSCRIBES)
    return running
  }
})

/** No editor, no HTTP, nothing that talks to the outside. */
const settings = {
  httpAdminRoot: false, httpNodeRoot: false, disableEditor: true, functionExternalModules: true, credentialSecret: false, telemetry: { enabled: false },
  externalModules: { autoInstall: false, palette: { allowInstall: false }, modules: { allowInstall: false } }, logging: { console: { level: 'info', metrics: false, audit: false } }
}

/** Payloads come as text, as parsing them in the function is cheaper than the node's own check for UTF-8 before it. */
const flowsOf = (prefix: string, port: number): readonly object[] => [
  { id: 'flow', type: 'tab', label: prefix },
  { id: 'broker', type: 'mqtt-broker', broker: '127.0.0.1', port: `${port}`, clientid: prefix, autoConnect: true, usetls: false, protocolVersion: '4', keepalive: '60', cleansession: false, autoUnsubscribe: false },
  { id: 'in', type: 'mqtt in', z: 'flow', topic: `${prefix}/+/+`, qos: '1', datatype: 'utf8', broker: 'broker', wires: [['readings']] },
  functionOf('readings', 'take(msg.topic, JSON.parse(msg.payload))', [['insert']]),
  functionOf('insert', 'await write(msg.payload)', [])
]

const functionOf = (id: 'readings' | 'insert', func: string, wires: readonly (readonly string[])[]) => ({
  id, type: 'function', z: 'flow', func, initialize: readFileSync(join(packageRoot, `bench/peers/node-red/${id}.js`), 'utf8'), finalize: '', outputs: wires.length, libs: [{ var: 'pg', module: 'pg' }], wires
})
