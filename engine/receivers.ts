import { createHash } from 'node:crypto'
import { duration } from './options.ts'
import type { AlertSpec } from './pipeline.ts'
import { policyOf, type Policy } from './policy.ts'
import type { SinkSpec } from './sink.ts'

/** A receiver of an alert: the key of its deliveries and those that it may have had before, the sink, when it is told, and whether also of what is simulated. */
export interface ReceiverSpec { readonly key: string, readonly former: readonly string[], readonly sink: SinkSpec, readonly policy: Policy, readonly simulated: boolean }

/**
 * Who is told of an alert: those of `to` first, then those of each escalation. A key says what a receiver is, and nothing of where it stands:
 * `hot/webhook:1f3870be`, or `hot/webhook:ops` of one with a name, and `hot/escalation/...`.
 */
export function receiversOf ({ name, options, receivers, escalations = [] }: AlertSpec): ReceiverSpec[] {
  const told = (within: string, sinks: readonly SinkSpec[], policy: Policy, before = within) => sinks.map((sink, i) => ({
    key: `${within}/${identityOf(sink)}`, former: [`${within}/${identityOf(sink, false)}`, `${before}/${sink.name}${i === 0 ? '' : `#${i}`}`], sink, policy, simulated: sink.options.simulated === true
  }))
  const all = [...told(name, receivers, policyOf(options)), ...escalations.flatMap(({ after, receivers }, k) => told(`${name}/escalation`, receivers, { escalate: duration(after) }, `${name}/escalation-${k + 1}`))]
  const keys = new Set(all.map(r => r.key))
  return all.map(r => ({ ...r, former: r.former.filter(key => !keys.has(key)) }))
}

/** By its name, or by 32 bits of SHA-256 of its address: enough to tell a few apart, and too few to find a secret in it by trying. */
export const identityOf = ({ name: kind, definition, options }: SinkSpec, named = true): string =>
  `${kind}:${named && typeof options.name === 'string' ? options.name : createHash('sha256').update(JSON.stringify(definition.address?.(options) ?? null)).digest('hex').slice(0, 8)}`
