import { MillraceError } from './errors.ts'
import { duration } from './options.ts'
import type { AlertOptions } from './pipeline.ts'

/** When one receiver is told of one alert, by wall clock; spans in ms. What is not there has no part in it. */
export interface Policy {
  readonly cooldown?: number                 // after it was told of a series, it is not told again before
  readonly flapping?: { readonly times: number, readonly within: number }      // fired more often than that: told when it has lasted `within`
  readonly group?: { readonly by: 'device' | 'site', readonly wait: number }   // what fires meanwhile comes along
  readonly escalate?: number                 // told when nobody has acknowledged it by then
}

export function policyOf ({ cooldown, flapping, group }: AlertOptions): Policy {
  return {
    ...cooldown === undefined ? {} : { cooldown: duration(cooldown) },
    ...flapping === undefined ? {} : { flapping: { times: flapping.times, within: duration(flapping.within) } },
    ...group === undefined ? {} : { group: { by: group.by, wait: duration(group.wait ?? '30s') } }
  }
}

/** By receiver. A store that keeps no record of who was told when cannot hold anything back. */
export function checkPolicies (policies: ReadonlyMap<string, Policy>, decides: boolean): void {
  const [key] = [...policies].find(([, policy]) => Object.keys(policy).length > 0) ?? []
  if (key !== undefined && !decides) throw new MillraceError('config/store', `cooldown, flapping, group and escalate of the alert "${key.split('/')[0]}" need a database, and this pipeline's store is a file`, { help: 'add the sink postgres, or take them out' })
}
