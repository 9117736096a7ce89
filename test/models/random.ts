/** Seeded random numbers: mulberry32, uniform in [0, 1). */
export function uniform (seed: number): () => number {
  let a = seed
  return () => {
    a = a + 0x6d2b79f5 | 0
    let x = Math.imul(a ^ a >>> 15, 1 | a)
    x = x + Math.imul(x ^ x >>> 7, 61 | x) ^ x
    return ((x ^ x >>> 14) >>> 0) / 2 ** 32
  }
}

/** Standard normal numbers (Box and Muller 1958). */
export function normal (seed: number): () => number {
  const u = uniform(seed)
  return () => Math.sqrt(-2 * Math.log(1 - u())) * Math.cos(2 * Math.PI * u())
}
