import { duration } from './options.ts'

type Options = Readonly<Record<string, unknown>>

/** The same text for the same value, in whatever order its keys were written. */
export const canonical = (value: unknown): string => JSON.stringify(value, (_, inner) => inner !== null && typeof inner === 'object' && !Array.isArray(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => a < b ? -1 : 1)) : inner)

/** Options without those of these names. */
export const without = (names: readonly string[], options: object): Options => Object.fromEntries(Object.entries(options).filter(([option]) => !names.includes(option)))

/** What memory is kept under: the operator's name, the version of its memory, and its options. */
export const fingerprintOf = (name: string, version: number, options: object): string => canonical([name, version, options])

/**
 * The options that a fingerprint was made of, when it is of this operator and version. One that it does not know had what is its
 * default now: an option that comes to be must mean by default what was there before.
 */
export function optionsOf (fingerprint: string, name: string, version: number, schema: { readonly properties: Readonly<Record<string, any>> }): Options | undefined {
  try {
    const [of, at, options] = JSON.parse(fingerprint)
    if (of !== name || at !== version) return undefined
    const defaults = Object.entries(schema.properties).filter(([, option]) => option.default !== undefined)
    return { ...Object.fromEntries(defaults.map(([key, option]) => [key, option['x-duration'] ? duration(option.default) : option.default])), ...options }
  } catch { return undefined }
}
