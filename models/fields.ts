/** What a memory begins as: its numbers by name, each with its first value. Parts of it, and numbers in a row. */

/** The fields of a part, told apart from those of others. */
export const prefixed = (prefix: string, fields: Readonly<Record<string, number>>): Record<string, number> => Object.fromEntries(Object.entries(fields).map(([name, first]) => [`${prefix}_${name}`, first]))

/** name0, name1, ..., all of which begin as `first`. */
export const numbered = (name: string, count: number, first = 0): Record<string, number> => Object.fromEntries(Array.from({ length: count }, (_, i) => [`${name}${i}`, first]))
