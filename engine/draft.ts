import type { Operator } from './operator.ts'
import type { AlertOptions, Pipeline, Route } from './pipeline.ts'
import type { Path } from './report.ts'
import type { SinkSpec } from './sink.ts'
import type { SourceSpec } from './source.ts'

/**
 * A pipeline as far as it could be read, each part with its path. Parts that are wrong are there without their value,
 * so that everything else can still be checked and one mistake is reported once.
 */
export interface Draft {
  readonly name: string | undefined
  readonly source: Part<SourceSpec> | undefined
  readonly time: Pipeline['time']
  readonly dedupe: boolean
  readonly devices?: NonNullable<Pipeline['devices']> | undefined
  readonly trunk: DraftRoute
  readonly branches: readonly DraftRoute[]
  readonly tests: readonly unknown[]
}
export interface Part<T> { readonly path: Path, readonly value?: T, readonly adds?: readonly string[] | undefined }      // adds: columns of a step whose options are wrong, if they do not depend on them
export interface DraftAlert { readonly name: string, readonly path: Path, readonly options: AlertOptions, readonly receivers: readonly Part<SinkSpec>[], readonly escalations?: readonly { readonly after: string, readonly receivers: readonly Part<SinkSpec>[] }[] }
export interface DraftRoute {
  readonly name: string              // '' is the trunk
  readonly path: Path
  readonly steps: readonly Part<Operator>[]
  readonly alerts: readonly DraftAlert[]
  readonly sinks: readonly Part<SinkSpec>[]
}

/** A pipeline with the paths that its parts have in YAML. */
export function draftOf (pipeline: Pipeline): Draft {
  const sinks = (specs: readonly SinkSpec[], path: Path) => specs.map((value, i) => ({ path: [...path, i, value.name], value }))
  const route = (name: string, { steps, alerts, sinks: to }: Route, path: Path): DraftRoute => ({
    name,
    path,
    steps: steps.map((value, i) => ({ path: [...path, 'pipe', i, value.name], value })),
    alerts: alerts.map(({ name, options, receivers, escalations }) => {
      const at = [...path, 'alerts', name]
      return { name, options, path: at, receivers: sinks(receivers, [...at, 'to']), ...escalations === undefined ? {} : { escalations: escalations.map(({ after, receivers }, k) => ({ after, receivers: sinks(receivers, [...at, 'escalate', k, 'to']) })) } }
    }),
    sinks: sinks(to, [...path, 'to'])
  })
  return {
    name: pipeline.name,
    source: pipeline.source && { path: ['from', pipeline.source.name], value: pipeline.source },
    time: pipeline.time,
    dedupe: pipeline.dedupe,
    devices: pipeline.devices,
    trunk: route('', pipeline, []),
    branches: Object.entries(pipeline.branches).map(([name, branch]) => route(name, branch, ['branches', name])),
    tests: pipeline.tests
  }
}

/** The pipeline of a draft in which nothing is wrong; sources and sinks without a value are left out. */
export function pipelineOf (draft: Draft, file?: string): Pipeline {
  const values = <T>(parts: readonly Part<T>[]) => parts.flatMap(p => p.value ?? [])
  const route = ({ steps, alerts, sinks }: DraftRoute): Route => ({
    steps: values(steps),
    alerts: alerts.map(({ name, options, receivers, escalations }) => ({ name, options, receivers: values(receivers), ...escalations === undefined ? {} : { escalations: escalations.map(({ after, receivers }) => ({ after, receivers: values(receivers) })) } })),
    sinks: values(sinks)
  })
  return {
    name: draft.name!,
    source: draft.source?.value,
    time: draft.time,
    dedupe: draft.dedupe,
    ...route(draft.trunk),
    branches: Object.fromEntries(draft.branches.map(b => [b.name, route(b)])),
    tests: draft.tests,
    ...draft.devices === undefined ? {} : { devices: draft.devices },
    ...file === undefined ? {} : { file }
  }
}
