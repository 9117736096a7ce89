import { isForbidden } from '#engine'

/** Where something stands in JSON: keys and indices from the outside in. */
export type Path = readonly (string | number)[]

/** 'data.p[0]' -> ['data', 'p', 0]; undefined when it is no path or leads over a forbidden key. */
export function parsePath (text: string): Path | undefined {
  if (!/^[^.[\]]+(?:\[\d+\])*(?:\.[^.[\]]+(?:\[\d+\])*)*$/.test(text)) return undefined
  const path = Array.from(text.matchAll(/[^.[\]]+/g), ({ 0: part, index }) => text[index - 1] === '[' ? Number(part) : part)
  return path.some(part => typeof part === 'string' && isForbidden(part)) ? undefined : path
}

/** What stands there; undefined when nothing does. */
export function pick (value: unknown, path: Path): unknown {
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key) || Array.isArray(value) !== (typeof key === 'number')) return undefined
    value = (value as Record<string | number, unknown>)[key]
  }
  return value
}
