import { clocksAt, Duration, gridOf, isZone, Type, type Numbers } from '#engine'

/** What is wrong with an IANA time zone, if it is given. */
export const checkZone = ({ zone }: { readonly zone?: string }): string | undefined => zone === undefined || isZone(zone) ? undefined : `there is no time zone "${zone}"`

/** Where windows, or steps, begin, and the local time that they go by. */
export const gridOptionsOf = (of: 'windows' | 'steps') => ({
  offset: Duration({ description: `How much later than midnight (1970-01-01) ${of} begin.`, default: '0s' }),
  zone: Type.Optional(Type.String({ description: `IANA time zone whose clocks ${of} go by, such as Europe/Berlin; UTC when absent.` }))
})

/**
 * The number of the step of that grid in which each time lies. By local clocks it goes with what they read: a step that they skip
 * is left out, and one that they repeat has the same number again, so that a day has as many numbers as any other.
 */
export function stepsAt (time: Numbers, every: number, offset: number, zone: string | undefined): Numbers {
  const grid = gridOf(every, offset, zone), begins = zone === undefined ? time : Float64Array.from(time, at => grid.start(at))
  return Float64Array.from(clocksAt(begins, zone), at => Math.floor((at - offset) / every))
}
