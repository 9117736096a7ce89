/** Milliseconds since 1970 as ISO 8601 with six digits of the second. */
export function isoMicros (time: number): string {
  let ms = Math.floor(time)
  let micros = Math.round((time - ms) * 1000)
  if (micros === 1000) { ms++; micros = 0 }
  return `${new Date(ms).toISOString().slice(0, -1)}${String(micros).padStart(3, '0')}Z`
}
