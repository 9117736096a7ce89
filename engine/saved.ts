/** What is remembered, on its way into a snapshot and back: numbers one behind the other, and what they are. */

/** A saved set of lists: how many entries each id has, and all entries one after the other. */
export interface SavedList { counts: Float64Array, entries: Float64Array }
/** Saved memory: plain values that structured clone and v8.serialize accept. */
export type Saved = Record<string, Float64Array | { data: Float64Array, pushed: Float64Array } | SavedList>

/**
 * What stands under a name. Cells: `width` numbers for each id. A ring: `width` for each id, then for each id how many were ever
 * pushed. A list: for each id how many entries, then `width` for each entry.
 */
export type Form = readonly [name: string, kind: 'cells' | 'ring' | 'list', width: number]

/** Numbers one behind the other, with room for more. */
export class Tape {
  data = new Float64Array(4096)
  length = 0

  /** Room for so many more. Returns where they begin; `data` may be another one afterwards. */
  reserve (count: number): number {
    const from = this.length
    this.length += count
    if (this.length > this.data.length) {
      const more = new Float64Array(2 * this.length)
      more.set(this.data.subarray(0, from))
      this.data = more
    }
    return from
  }
}

/** Reads what was written in these forms. */
export class TapeReader {
  private readonly data: Float64Array
  private at = 0
  constructor (data: Float64Array) { this.data = data }

  /** Of so many ids: copies. */
  read (forms: readonly Form[], ids: number): Saved {
    return Object.fromEntries(forms.map(([name, kind, width]) => {
      if (kind === 'list') return [name, this.list(ids, width)]
      const data = this.next(ids * width)
      return [name, kind === 'ring' ? { data, pushed: this.next(ids) } : data]
    }))
  }

  list (ids: number, width: number): SavedList {
    const counts = this.next(ids)
    return { counts, entries: this.next(width * counts.reduce((sum, n) => sum + n, 0)) }
  }

  /** Goes past so many numbers. */
  past (count: number): void { this.at += count }

  private next (count: number): Float64Array { return this.data.slice(this.at, this.at += count) }
}

/** What was saved of several groups of ids, as it would be of all of them. */
export function joined (parts: readonly Saved[]): Saved {
  if (parts.length === 1) return parts[0]
  return Object.fromEntries(Object.entries(parts[0]).map(([name, first]) => {
    const of = parts.map(part => part[name] as any)
    return [name, first instanceof Float64Array ? concat(of) : Object.fromEntries(Object.keys(first).map(key => [key, concat(of.map(cells => cells[key]))]))]
  })) as Saved
}

function concat (parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((n, part) => n + part.length, 0))
  let to = 0
  for (const part of parts) {
    all.set(part, to)
    to += part.length
  }
  return all
}
