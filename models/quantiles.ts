/** Features by rank, from values in ascending order. NaN without values. */

export const quantiles = { p01: 0.01, p05: 0.05, p10: 0.1, p25: 0.25, median: 0.5, p75: 0.75, p90: 0.9, p95: 0.95, p99: 0.99 } as const
export const rankFeatures = ['median', 'p01', 'p05', 'p10', 'p25', 'p75', 'p90', 'p95', 'p99', 'iqr', 'mad'] as const
export type RankFeature = typeof rankFeatures[number]

/**
 * The quantile q, linear between values of neighbouring rank (type 7 of Hyndman and Fan 1996, what numpy does). As the
 * distance from `origin`, so that what is made from differences of quantiles loses no digits to a large offset.
 */
export function quantile (sorted: Float64Array, q: number, origin = 0): number {
  const place = q * (sorted.length - 1), below = Math.floor(place), low = sorted[below], high = sorted[Math.min(below + 1, sorted.length - 1)]
  return sorted.length === 0 ? NaN : low - origin + (high - low) * (place - below)
}

/** One of them. `mad` is the median of the distances from the median, not scaled. */
export function byRank (feature: RankFeature, sorted: Float64Array): number {
  const middle = sorted[sorted.length >> 1]
  switch (feature) {
    case 'iqr': return quantile(sorted, 0.75, middle) - quantile(sorted, 0.25, middle)
    case 'mad': return medianDistance(sorted, middle, quantile(sorted, 0.5, middle))
    default: return quantile(sorted, quantiles[feature])
  }
}

/**
 * The median of |x - middle - centre|. From the value nearest to the centre distances ascend to both sides, so those up to the median are
 * met in order and need not be sorted.
 */
function medianDistance (sorted: Float64Array, middle: number, centre: number): number {
  const n = sorted.length, off = (i: number) => Math.abs(sorted[i] - middle - centre)
  let above = 0
  for (let end = n; above < end;) {
    const i = above + end >> 1
    if (sorted[i] - middle < centre) above = i + 1
    else end = i
  }
  let below = above - 1, low = NaN, high = NaN
  for (let rank = 0; rank <= n >> 1; rank++) {
    low = high
    high = above >= n || below >= 0 && off(below) <= off(above) ? off(below--) : off(above++)
  }
  return n % 2 === 1 ? high : low + (high - low) * 0.5
}
