/** What the peers are compared with: the pipeline of `ingest`, in a process of its own. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { version } from '../../engine/version.ts'
import { flows, pipelineOf } from '../ingest-flows.ts'
import { ours, Program } from '../services.ts'
import type { Peer } from './peer.ts'

export const millrace: Peer = {
  name: 'millrace', version, flows,
  async prepare ({ flow, prefix, port, folder }) { writeFileSync(join(folder, 'pipeline.json'), JSON.stringify(pipelineOf(flow, prefix, `mqtt://127.0.0.1:${port}`, 1))) },
  async start ({ database, folder }) {
    const args = [fileURLToPath(ours('engine/main')), 'run', join(folder, 'pipeline.json'), '--database', database, '--http', 'off', '--folder', folder]
    const running = new Program(spawn(process.execPath, [...process.execArgv, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }))
    await running.says('subscribed', 60_000)
    return running
  }
}
