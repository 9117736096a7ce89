/**
 * The score of the Numenta Anomaly Benchmark (Lavin and Ahmad 2015, Evaluating real-time anomaly detection algorithms), from
 * its published definition. A row counts as a detection when its score reaches the threshold. Of the detections in a window
 * the earliest counts, between 1 at the window's start and 0 at its end; a window without one costs `fn`. Every detection
 * outside costs up to `fp`, less just after a window. The first 15 % of a file, at most 750 rows, do not count.
 */
export const profiles = {
  standard: { fp: 0.11, fn: 1 },
  low_fp: { fp: 0.22, fn: 1 },
  low_fn: { fp: 0.11, fn: 2 }
} as const
export type ProfileName = keyof typeof profiles
interface Profile { readonly fp: number, readonly fn: number }

/** The first and the last row of a window. */
export type Window = readonly [first: number, last: number]
/** `unscored`: the first rows, which do not count; by the benchmark's rule when absent. */
export interface Scored { readonly score: ArrayLike<number>, readonly windows: readonly Window[], readonly unscored?: number }
export interface Outcome { readonly score: number, readonly tp: number, readonly tn: number, readonly fp: number, readonly fn: number }

const PROBATION = 0.15, LONGEST = 5000
const UNSCORED = -1, OUTSIDE = -2
const sigmoid = (x: number) => 2 / (1 + Math.exp(5 * x)) - 1
const BEST = sigmoid(-1)

/** The rows of the windows that times mark: a window goes from the first row of its start to the first row of its end; one that does not lie in the file is none. */
export const windowsOf = (time: readonly number[], marked: readonly (readonly [number, number])[]): Window[] =>
  marked.map(([from, to]): Window => [time.indexOf(from), time.indexOf(to)]).filter(([first, last]) => first >= 0 && last >= 0)

/** What each row is worth as a detection, before weights: 1 to 0 in a window, whose number `place` gives, and 0 to -1 outside. */
function worth ({ score: { length }, windows, unscored = Math.floor(PROBATION * Math.min(length, LONGEST)) }: Scored): { readonly value: Float64Array, readonly place: Int32Array } {
  const value = new Float64Array(length).fill(-1), place = new Int32Array(length).fill(OUTSIDE)
  place.fill(UNSCORED, 0, unscored)
  windows.forEach(([first, last], w) => {
    const width = last - first + 1, until = windows[w + 1]?.[0] ?? length
    for (let i = first; i <= last; i++) {
      value[i] = sigmoid((i - last - 1) / width) / BEST
      place[i] = w
    }
    for (let i = last + 1; i < until; i++) {
      const past = (i - last) / (width - 1)
      value[i] = past > 3 ? -1 : sigmoid(past)
    }
  })
  return { value, place }
}

/** The score of one file at a threshold, and its rows by what they are. */
export function scoreAt (file: Scored, threshold: number, profile: Profile): Outcome {
  const { value, place } = worth(file)
  const best = file.windows.map(() => -profile.fn)
  let score = 0, tp = 0, tn = 0, fp = 0, fn = 0
  for (let i = 0; i < value.length; i++) {
    const detected = file.score[i] >= threshold, w = place[i]
    if (w === UNSCORED) continue
    if (w === OUTSIDE) {
      if (detected) { fp++; score += value[i] * profile.fp } else tn++
    } else if (detected) { tp++; best[w] = Math.max(best[w], value[i]) } else fn++
  }
  return { score: best.reduce((a, b) => a + b, score), tp, tn, fp, fn }
}

/** The best score of all files together and the one threshold that gives it: chosen by the labels, as the benchmark does. */
export function optimum (files: readonly Scored[], profile: Profile): { readonly score: number, readonly threshold: number } {
  const rows: { readonly at: number, readonly value: number, readonly window: number }[] = []
  const best: number[] = []
  for (const file of files) {
    const { value, place } = worth(file)
    const before = best.length
    for (let i = 0; i < value.length; i++) if (place[i] !== UNSCORED) rows.push({ at: file.score[i], value: value[i], window: place[i] === OUTSIDE ? OUTSIDE : before + place[i] })
    best.push(...file.windows.map(() => -profile.fn))
  }
  rows.sort((a, b) => b.at - a.at)
  let sum = best.reduce((a, b) => a + b, 0), found = { score: sum, threshold: Infinity }
  rows.forEach(({ at, value, window }, i) => {
    if (window === OUTSIDE) sum += value * profile.fp
    else if (value > best[window]) {
      sum += value - best[window]
      best[window] = value
    }
    if (rows[i + 1]?.at !== at && sum > found.score) found = { score: sum, threshold: at }
  })
  return found
}

/** 100 for every window found at its start and nothing else, 0 for no detection at all. */
export const normalised = (score: number, files: readonly Scored[], { fn }: Profile): number => {
  const windows = files.reduce((n, file) => n + file.windows.length, 0)
  return 100 * (score + windows * fn) / (windows * (1 + fn))
}
