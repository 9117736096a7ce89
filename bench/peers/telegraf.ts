/** Telegraf: mqtt_consumer into postgresql. Its aggregators know no event time, so it has rows only. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { packageRoot } from '../../engine/version.ts'
import { TABLE } from '../ingest-flows.ts'
import { Program } from '../services.ts'
import { programOf, type Candidate } from './peer.ts'

export const telegraf: Candidate = {
  name: 'telegraf',
  async find (places) {
    const found = programOf(['telegraf'], places, ['--version'])
    return found === undefined ? 'no program telegraf in PATH or --bin' : {
      name: 'telegraf', version: found.version, flows: ['PASS'], tables: { rows: `${TABLE} JOIN ${TABLE}_tag USING (tag_id)`, windows: '' },
      async prepare () {},
      async start ({ prefix, port, database }) {
        const env = { ...process.env, BROKER: `tcp://127.0.0.1:${port}`, PREFIX: prefix, DATABASE: database }
        const running = new Program(spawn(found.path, ['--config', join(packageRoot, 'bench/peers/telegraf.conf')], { stdio: ['ignore', 'pipe', 'pipe'], env }))
        await running.says('Connected', 60_000)
        return running
      }
    }
  }
}
