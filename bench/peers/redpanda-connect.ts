/** Redpanda Connect, once Benthos: mqtt into sql_insert. Its windows go by the clock of the machine, so it has rows only. */
import { join } from 'node:path'
import { spawn } from 'node:child_process'
import { packageRoot } from '../../engine/version.ts'
import { TABLE } from '../ingest-flows.ts'
import { Program, query } from '../services.ts'
import { programOf, type Candidate } from './peer.ts'

export const redpandaConnect: Candidate = {
  name: 'redpanda-connect',
  async find (places) {
    const found = programOf(['redpanda-connect'], places, ['--version'])
    return found === undefined ? 'no program redpanda-connect in PATH or --bin' : {
      name: 'redpanda-connect', version: found.version, flows: ['PASS'],
      // The time is kept as it comes, in ms: its own timestamps would lose the last microsecond.
      tables: { rows: `(SELECT device, metric, to_timestamp(ts / 1000) AS time, value FROM ${TABLE}) AS r`, windows: '' },
      async prepare ({ database }) { await query(database, `CREATE TABLE ${TABLE} (device text NOT NULL, metric text NOT NULL, ts double precision NOT NULL, value double precision, PRIMARY KEY (device, metric, ts))`) },
      async start ({ prefix, port, database }) {
        const env = { ...process.env, BROKER: `tcp://127.0.0.1:${port}`, PREFIX: prefix, DATABASE: `${database}?sslmode=disable` }
        const running = new Program(spawn(found.path, ['run', join(packageRoot, 'bench/peers/redpanda-connect.yaml')], { stdio: ['ignore', 'pipe', 'pipe'], env }))
        await running.says('Input type mqtt is now active', 60_000)
        return running
      }
    }
  }
}
