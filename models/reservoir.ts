import { key, uniform } from './random.ts'

/**
 * The rank of number n of a stream in a sample of the past that fades: the sample is what has the lowest ranks so far. Whether an
 * item is in it falls by 1/e in `memory` items (Efraimidis and Spirakis 2006, weighted random sampling with a reservoir, with the
 * weights of forward decay, Cormode et al. 2009). A function of seed and n.
 */
export const rankOf = (seed: number, n: number, memory: number): number => Math.log(-Math.log(uniform(key(seed), n))) - n / memory
