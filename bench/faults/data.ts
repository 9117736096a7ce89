import type { Row } from './data-row.ts'
import type { Report, Row as MatrixRow } from './row.ts'
import { badRows } from './data-bad-rows.ts'
import { clock } from './data-clock.ts'
import { torture } from './data-json.ts'
import { backlog, hot } from './data-neighbours.ts'
import { bomb, packets } from './data-packets.ts'
import { poison } from './data-poison.ts'
import { disorder, repeats } from './data-repeats.ts'
import { times } from './data-times.ts'

/** The rows about bad data, hot devices and those that send late. */
export const rows: readonly Row[] = [torture, packets, bomb, poison, badRows, repeats, disorder, times, clock, hot, backlog]

/** The same as rows of the matrix. */
export const dataRows: readonly MatrixRow[] = rows.map(row => ({
  id: row.id, name: row.name, fault: row.name, expected: 'one fate for every reading, and nobody else is affected', tiers: row.rounds, ...row.alone && { alone: row.alone },
  async run ({ seed, rounds, stretch, say }) {
    const { verdict, ...figures } = await row.run({ seed, rounds, stretch, say })
    return { figures: figures as Report['figures'], wrong: verdict === 'pass' ? [] : [`${row.name}: see the figures`] }
  }
}))
