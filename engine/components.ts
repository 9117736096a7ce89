import type { AlertActions } from './alert-actions.ts'
import type { JobStore } from './jobs.ts'
import type { Keys } from './keys.ts'
import type { Logger } from './log.ts'
import type { Label } from './evaluate/label.ts'
import type { Definition, Operator } from './operator.ts'
import type { Query } from './query.ts'
import type { Registry } from './registry.ts'
import type { RunOptions } from './run-options.ts'
import type { KeyServer } from './shared-keys.ts'
import type { SinkDefinition, SinkSpec } from './sink.ts'
import type { PlantAsked, Planted } from './simulated.ts'
import type { SourceDefinition, SourceSpec } from './source.ts'

type Make<Given, Spec, Def> = ((given?: Given) => Spec) & { readonly definition: Def }

/** Every component there is, by the name that YAML uses. The composition root hands it to whatever reads names. */
export interface Components {
  readonly sources: Readonly<Record<string, Make<any, SourceSpec, SourceDefinition<any>>>>
  readonly operators: Readonly<Record<string, Make<any, Operator, Definition<any, any, any, any, any>>>>
  readonly sinks: Readonly<Record<string, Make<any, SinkSpec, SinkDefinition<any>>>>
}

/** What commands need besides: the rest of what only the composition root may import. */
export interface Parts extends Components {
  readonly fileStore: RunOptions['fallback']
  /** Brings a database to this version; returns the files that were applied. */
  readonly migrate: (url: string, log: Logger) => Promise<readonly string[]>
  readonly migrationStatus: (url: string) => Promise<readonly { readonly version: number, readonly name: string, readonly applied: Date | undefined, readonly changed: boolean }[]>
  readonly openKeys: (url: string) => Keys
  readonly openRegistry: (url: string) => Registry
  readonly openJobs: (url: string) => JobStore
  /** Where instances share the Idempotency-Keys of requests; throws usage/command. Connects by and by. */
  readonly openSharedKeys: (url: string, log: Logger) => Promise<KeyServer>
  readonly openQuery: (url: string) => Query
  readonly openActions: (url: string) => AlertActions
  /** Fetches JSON from where that is allowed. */
  readonly getJson: (url: string, egress: readonly string[]) => Promise<unknown>
  readonly openDatabase: (folder: string, log: Logger) => Promise<{ readonly url: string, readonly folder: string, readonly takenOver: boolean, stop (): Promise<void> }>
  /** Publishes a simulated fleet over MQTT until `signal`; counts go up while it works. */
  readonly publishFleet: (options: any) => Promise<{ readonly published: number, readonly acknowledged: number, readonly connected: boolean, labels (): readonly object[], readonly done: Promise<unknown> }>
  /** One series of a device that there is not, with a fault. */
  readonly plantFault: (asked: PlantAsked) => Planted
  /** Labels of a history, from files or from a column of what a source replay reads. */
  readonly readLabels: (paths: readonly string[]) => Promise<Label[]>
  readonly labelsInColumn: (column: string, options: any) => Promise<Label[]>
}
