import { MillraceError } from './errors.ts'
import { duration } from './options.ts'
import type { AlertOptions, AlertSpec, Pipeline } from './pipeline.ts'
import { routesOf } from './plan.ts'
import type { SinkSpec } from './sink.ts'

/** When one receiver is told of one alert, by wall clock; spans in ms. What is not there has no part in it. */
export interface Policy {
  readonly cooldown?: number                 // after it was told of a series, it is not told again before
  readonly flapping?: { readonly times: number, readonly within: number }      // fired more often than that: told when it has lasted `within`
  readonly group?: { readonly by: 'device' | 'site', readonly wait: number }   // what fires meanwhile comes along
  readonly escalate?: number                 // told when nobody has acknowledged it by then
}

/** A receiver of an alert: its key in the outbox, the sink, when it is told, and whether also of what is simulated. */
export interface ReceiverSpec { readonly key: string, readonly sink: SinkSpec, readonly policy: Policy, readonly simulated: boolean }

/** Who is told of an alert: those of `to` first, then those of each escalation. */
export function receiversOf ({ name, options, receivers, escalations = [] }: AlertSpec): ReceiverSpec[] {
  const policy = policyOf(options)
  const keyed = (prefix: string, sinks: readonly SinkSpec[], policy: Policy) => sinks.map((sink, i) => ({ key: i === 0 ? `${prefix}/${sink.name}` : `${prefix}/${sink.name}#${i}`, sink, policy, simulated: sink.options.simulated === true }))
  return [...keyed(name, receivers, policy), ...escalations.flatMap(({ after, receivers }, k) => keyed(`${name}/escalation-${k + 1}`, receivers, { escalate: duration(after) }))]
}

function policyOf ({ cooldown, flapping, group }: AlertOptions): Policy {
  return {
    ...cooldown === undefined ? {} : { cooldown: duration(cooldown) },
    ...flapping === undefined ? {} : { flapping: { times: flapping.times, within: duration(flapping.within) } },
    ...group === undefined ? {} : { group: { by: group.by, wait: duration(group.wait ?? '30s') } }
  }
}

/** By receiver. */
export const policiesOf = (pipeline: Pipeline): Map<string, Policy> => new Map(routesOf(pipeline).flatMap(([, { alerts }]) => alerts.flatMap(receiversOf)).map(({ key, policy }) => [key, policy]))

/** A store that keeps no record of who was told when cannot hold anything back. */
export function checkPolicies (policies: ReadonlyMap<string, Policy>, decides: boolean): void {
  const [key] = [...policies].find(([, policy]) => Object.keys(policy).length > 0) ?? []
  if (key !== undefined && !decides) throw new MillraceError('config/store', `cooldown, flapping, group and escalate of the alert "${key.split('/')[0]}" need a database, and this pipeline's store is a file`, { help: 'add the sink postgres, or take them out' })
}
