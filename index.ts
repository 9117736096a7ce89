/** The package's public door: the engine and every component. */
export * from '#engine'
export * from './connectors/index.ts'
export * from './operators/index.ts'
export * from './sinks/index.ts'
