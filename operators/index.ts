import { dedupe } from './dedupe.ts'
import { deadband } from './deadband.ts'
import { derive } from './derive.ts'
import { ewma } from './ewma.ts'
import { scale } from './scale.ts'
import { threshold } from './threshold.ts'
import { tumbling } from './tumbling.ts'
import { validate } from './validate.ts'
import { where } from './where.ts'
import { zscore } from './zscore.ts'
export { where, scale, derive, deadband, validate, dedupe, ewma, zscore, tumbling, threshold }

/** Every operator, by the name that YAML uses. */
export const operators = { where, scale, derive, deadband, validate, dedupe, ewma, zscore, tumbling, threshold }
