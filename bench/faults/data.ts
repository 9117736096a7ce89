import type { Row } from './row.ts'
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
