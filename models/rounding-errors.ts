/** What rounding takes, exactly: what sums of numbers that cancel are kept with. Finite numbers, of which none overflows. */

/** Of x + y (Knuth, TAOCP 2, 4.2.2). */
export function lost (x: number, y: number): number {
  const sum = x + y, part = sum - x
  return (x - (sum - part)) + (y - part)
}

/** Of x * y, both below 1e292 (Dekker 1971, with Veltkamp's halves of a number). */
export function lostTimes (x: number, y: number): number {
  const high = upper(x), highY = upper(y), low = x - high, lowY = y - highY
  return low * lowY - (((x * y - high * highY) - low * highY) - high * lowY)
}
function upper (x: number): number {
  const wide = 134_217_729 * x           // 2^27 + 1
  return wide - (wide - x)
}

/** What x / n leaves of a sum x + low. */
export function lostOver (x: number, low: number, n: number): number {
  const share = x / n
  return (x - share * n - lostTimes(share, n) + low) / n
}
