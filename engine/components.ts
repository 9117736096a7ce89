import type { Operator } from './operator.ts'
import type { Definition } from './operator.ts'
import type { SinkDefinition, SinkSpec } from './sink.ts'
import type { SourceDefinition, SourceSpec } from './source.ts'

type Make<Given, Spec, Def> = ((given?: Given) => Spec) & { readonly definition: Def }

/** Every component there is, by the name that YAML uses. The composition root hands it to whatever reads names. */
export interface Components {
  readonly sources: Readonly<Record<string, Make<any, SourceSpec, SourceDefinition<any>>>>
  readonly operators: Readonly<Record<string, Make<any, Operator, Definition<any, any, any, any, any>>>>
  readonly sinks: Readonly<Record<string, Make<any, SinkSpec, SinkDefinition<any>>>>
}
