const KIND = 'jetstream:'
/** What positions of a stream count in: its name and when it was made, to the nanosecond. A stream that is deleted and made again has another one. */
export function originOf (stream: string, created: string): string {
  const [, second, fraction = ''] = /^([\d-]+T[\d:]+)(?:\.(\d+))?Z$/.exec(created) ?? [undefined, created]
  return `${KIND}${stream}@${second}.${fraction.padEnd(9, '0')}Z`
}

/** Do such positions count in a stream? */
export const isStream = (origin: string | undefined): origin is string => origin !== undefined && origin.startsWith(KIND)

/** Whether a version is that one or a later one. */
export function atLeast (version: string, least: string): boolean {
  const [a, b] = [version, least].map(v => v.split(/[.-]/).slice(0, 3).map(Number))
  return a[0] !== b[0] ? a[0] > b[0] : a[1] !== b[1] ? a[1] > b[1] : a[2] >= b[2]
}

/** What is known against a version of nats-server, as a sentence. */
export function advice (version: string): string | undefined {
  if (!atLeast(version, '2.10.23')) return `nats-server ${version} can lose streams when it is killed (fixed in 2.10.23) and has known security holes (fixed in 2.11.16 and 2.12.7): use 2.12.7 or later`
  const safe = atLeast(version, '2.12.7') || (version.startsWith('2.11.') && atLeast(version, '2.11.16'))
  return safe ? undefined : `nats-server ${version} has known security holes, fixed in 2.11.16 and 2.12.7: use 2.12.7 or later`
}

/**
 * What makes a consumer give what fits one of these filters and nothing else; undefined when it is to give all. Before 2.9.15
 * (commit daacbf558 of nats-server) one with a filter that begins in the first half of the stream's last block counts anew what is pending
 * with each message, over up to half a block: 150 to 300 messages a second instead of 23,000, and for ever when more are
 * published than that. Several filters are known from 2.10.0 on, and may not overlap.
 */
export function siftedBy (version: string, filters: readonly string[]): { readonly filter_subject: string } | { readonly filter_subjects: string[] } | undefined {
  if (filters.length === 1) return atLeast(version, '2.9.15') ? { filter_subject: filters[0] } : undefined
  const apart = filters.every((a, i) => filters.every((b, j) => i >= j || !overlap(a, b)))
  return atLeast(version, '2.10.0') && apart ? { filter_subjects: [...filters] } : undefined
}

/** Whether some subject fits both filters. */
export function overlap (a: string, b: string): boolean {
  const [x, y] = [a.split('.'), b.split('.')]
  return x.length === y.length && x.every((token, i) => token === y[i] || token === '*' || y[i] === '*')
}
