import { Dispatcher, type DispatcherOptions } from './dispatch.ts'
import type { Pipeline } from './pipeline.ts'
import { receiversIn } from './plan.ts'
import { checkPolicies } from './policy.ts'
import type { SinkHost } from './sink.ts'
import type { Store } from './store.ts'

/** Who takes to people what a pipeline leaves in its store: its receivers, opened, not started yet. @throws config/store */
export function dispatcherOf (pipeline: Pipeline, store: Store, host: SinkHost, options: Pick<DispatcherOptions, 'links' | 'clock'>): Dispatcher {
  const all = receiversIn(pipeline), policies = new Map(all.map(({ key, policy }) => [key, policy]))
  checkPolicies(policies, store.decides === true)
  return new Dispatcher({ ...options, store, policies, receivers: new Map(all.map(({ key, sink }) => [key, sink.definition.receive!(sink.options, host)])), log: host.log })
}
