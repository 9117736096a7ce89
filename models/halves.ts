/** Two numbers in the place of one, each to 7 digits and at most 3e38 in size, so that memory copies them as it copies any number: two finite float32 are a finite float64. */
const LARGEST = 3e38
const place = new Float64Array(1), halves = new Float32Array(place.buffer)

const limited = (x: number): number => x > LARGEST ? LARGEST : x < -LARGEST ? -LARGEST : x

export function pair (first: number, second: number): number {
  halves[0] = limited(first)
  halves[1] = limited(second)
  return place[0]
}

export function first (both: number): number {
  place[0] = both
  return halves[0]
}

export function second (both: number): number {
  place[0] = both
  return halves[1]
}
