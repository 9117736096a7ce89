/**
 * Says whether a name matches one of the patterns, in which * stands for any characters, also none. All else is meant
 * literally; upper and lower case differ. Linear in the name times the number of stars: no backtracking.
 */
export function matcher (patterns: string | readonly string[]): (name: string) => boolean {
  const parts = [patterns].flat().map(pattern => pattern.split('*'))
  return name => parts.some(part => matches(part, name))
}

function matches (parts: readonly string[], name: string): boolean {
  const first = parts[0], last = parts[parts.length - 1]
  if (parts.length === 1) return name === first
  if (!name.startsWith(first)) return false
  let from = first.length
  for (const part of parts.slice(1, -1)) {
    const at = name.indexOf(part, from)
    if (at < 0) return false
    from = at + part.length
  }
  return name.length - last.length >= from && name.endsWith(last)
}
