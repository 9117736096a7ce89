/** A pipeline as a module that threads make it from. */
import { remembering } from './flow.ts'

export default (given: Parameters<typeof remembering>[0]) => remembering(given)
