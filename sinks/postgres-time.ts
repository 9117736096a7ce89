/** Milliseconds with a fraction -> whole microseconds since 1970. Exact until the year 2255. */
export const micros = (ms: number): number => Math.round(ms * 1000)

/** SQL: microseconds -> timestamptz. */
export const moment = (us: string): string => `timestamptz 'epoch' + ${us}::bigint * interval '1 microsecond'`

/** SQL: timestamptz -> milliseconds. */
export const millis = (column: string): string => `extract(epoch FROM ${column})::float8 * 1000`
