/** Every command there is, in the order of the help. A new one is one more name here. */
import { alerts } from './alerts.ts'
import { bench } from './bench.ts'
import { demo } from './demo.ts'
import { dlq } from './dlq.ts'
import { evaluate } from './evaluate.ts'
import { keys } from './keys.ts'
import { lint } from './lint.ts'
import { list } from './list.ts'
import { migrate } from './migrate.ts'
import { replay } from './replay.ts'
import { run } from './run.ts'
import { show } from './show.ts'
import { simulate } from './simulate.ts'
import { test } from './test.ts'
import type { AddCommand } from './program.ts'

export const commands: readonly AddCommand[] = [demo, run, lint, test, list, replay, evaluate, simulate, show, dlq, alerts, keys, migrate, bench]
