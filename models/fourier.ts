/** Twiddle factors by length: what can be worked out again. */
const tables = new Map<number, { readonly cos: Float64Array, readonly sin: Float64Array }>()

/** Fourier transform in place, iterative, radix 2 (Cooley and Tukey 1965): the length is a power of two. `inverse` divides by it. */
export function transform (re: Float64Array, im: Float64Array, inverse = false): void {
  const n = re.length
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1
    for (; j & bit; bit >>= 1) j ^= bit
    j |= bit
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
      [im[i], im[j]] = [im[j], im[i]]
    }
  }
  const { cos, sin } = table(n), sign = inverse ? 1 : -1
  for (let half = 1, stride = n >> 1; half < n; half <<= 1, stride >>= 1) {
    for (let from = 0; from < n; from += 2 * half) {
      for (let k = 0; k < half; k++) {
        const c = cos[k * stride], s = sign * sin[k * stride], i = from + k, j = i + half
        const r = re[j] * c - im[j] * s, q = re[j] * s + im[j] * c
        re[j] = re[i] - r
        im[j] = im[i] - q
        re[i] += r
        im[i] += q
      }
    }
  }
  if (inverse) for (let i = 0; i < n; i++) { re[i] /= n; im[i] /= n }
}

function table (n: number) {
  let known = tables.get(n)
  if (known === undefined) {
    const half = n >> 1, turn = 2 * Math.PI / n
    known = { cos: Float64Array.from({ length: half }, (_, k) => Math.cos(turn * k)), sin: Float64Array.from({ length: half }, (_, k) => Math.sin(turn * k)) }
    tables.set(n, known)
  }
  return known
}

/** The least power of two that is not smaller. */
export const powerOfTwo = (n: number): number => 2 ** Math.ceil(Math.log2(n))
