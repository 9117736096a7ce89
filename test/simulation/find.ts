import type { Plant } from './plants.ts'
import { scenarioOf } from './scenario.ts'
import { simulate } from './simulate.ts'

/** Plants the bug and tries seeds until one shows it. */
export async function find ({ omit = {}, plant = () => () => {} }: Plant, most: number): Promise<{ readonly seeds: number, readonly why: string } | undefined> {
  const takeOut = plant()
  try {
    for (let seed = 1; seed <= most; seed++) {
      const { violation } = await simulate(scenarioOf(seed), { omit })
      if (violation !== undefined) return { seeds: seed, why: violation.message }
    }
    return undefined
  } finally { takeOut() }
}
