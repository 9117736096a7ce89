/** Finds changes in a stream of numbers, one after the other; works on the memory of one stream after the other, at `at` in m. */
export interface Detector {
  /** The first values of its memory. */
  readonly state: Readonly<Record<string, number>>
  /** Takes in a number; `whole` is what it was before it was limited, to tell sizes by. True when there has been a change: then the memory is to be begun anew, and the findings are these. */
  update (m: Float64Array, at: number, x: number, whole?: number): boolean
  /** By how much the mean has moved. */
  readonly size: number
  /** How many numbers ago it began, at least 1. */
  readonly after: number
}
