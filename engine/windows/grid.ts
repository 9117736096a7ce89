import { zonedGrid } from './zone.ts'

/** Where windows that follow one another begin. */
export interface Grid {
  /** The newest begin at or before `time`. */
  start (time: number): number
  /** The begin after this one. */
  end (start: number): number
  /** So much later, by the clocks that the begins go by. */
  plus (start: number, span: number): number
}

/** Start of the tumbling window that holds `time`. Exact for any span and for times before 1970: doubles are nowhere denser than their quotients. */
export const startOf = (time: number, every: number, offset = 0): number => Math.floor((time - offset) / every) * every + offset

export const evenGrid = (every: number, offset = 0): Grid => ({
  start: time => startOf(time, every, offset),
  end: start => start + every,
  plus: (start, span) => start + span
})

/** By local time of a zone when there is one, else by UTC. */
export const gridOf = (every: number, offset: number, zone: string | undefined): Grid => zone === undefined ? evenGrid(every, offset) : zonedGrid(every, offset, zone)

/** Every instant is a window of its own: one microsecond, the resolution of event time. */
export const instants: Grid = { start: time => time, end: start => start + 0.001, plus: (start, span) => start + span }
