/** Every source, by the name that YAML uses: a line each. */
export { broker } from './broker.ts'
export { http } from './http.ts'
export { jetstream } from './jetstream.ts'
export { mqtt } from './mqtt.ts'
export { nats } from './nats.ts'
export { replay } from './replay.ts'
export { simulator } from './simulator.ts'
