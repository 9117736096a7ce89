import { broker } from './broker.ts'
import { mqtt } from './mqtt.ts'
import { nats } from './nats.ts'
import { replay } from './replay.ts'
import { simulator } from './simulator.ts'
export { broker, mqtt, nats, replay, simulator }

/** Every source, by the name that YAML uses. */
export const sources = { mqtt, broker, nats, replay, simulator }
