/** The same text for the same value, in whatever order its keys were written. */
export const canonical = (value: unknown): string => JSON.stringify(value, (_, inner) => inner !== null && typeof inner === 'object' && !Array.isArray(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => a < b ? -1 : 1)) : inner)

type Options = object

/** What memory is kept under: the operator's name, the version of its memory, and its options. */
export const fingerprintOf = (name: string, version: number, options: Options): string => canonical([name, version, options])

/** The options that a fingerprint was made of, when it is of this operator and version. */
export function optionsOf (fingerprint: string, name: string, version: number): Options | undefined {
  try {
    const [of, at, options] = JSON.parse(fingerprint)
    return of === name && at === version ? options : undefined
  } catch { return undefined }
}

/** Are these the same options but for those in `tuning`? */
export function equalBut (tuning: readonly string[], before: Options, now: Options): boolean {
  const rest = (options: Options) => canonical(Object.fromEntries(Object.entries(options).filter(([option]) => !tuning.includes(option))))
  return rest(before) === rest(now)
}
