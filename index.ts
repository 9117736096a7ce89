/** The package's public door: the engine and every component, by itself and in a list of its kind. */
export * from '#engine'
export * from './connectors/index.ts'
export * from './operators/index.ts'
export * from './sinks/index.ts'
export { nats } from './connectors/index.ts'       // a source and a sink have this name
export { nats as natsSink } from './sinks/index.ts'
export * as sources from './connectors/index.ts'
export * as operators from './operators/index.ts'
export * as sinks from './sinks/index.ts'
export { fromMlIsolationForest, fromSklearn, type MlForest, type SklearnTree } from './models/forest-import.ts'
export { score as isolation, type Forest } from './models/forest.ts'
export { meanPath, treeShap } from './models/tree-shap.ts'
