import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../engine/version.ts'
import { Adwin } from '../models/adwin.ts'
import type { Detector } from '../models/detector.ts'
import { PageHinkley } from '../models/page-hinkley.ts'
import type { Series } from './drive.ts'

/**
 * The detectors of river as it sets them up, on readings as they are: ours at its parameters, which find changes at exactly the
 * readings at which it does (test/models/detectors.test.ts). So its figures can be had on any files, at any run length.
 */
export const rivers: Readonly<Record<string, (parameter: number) => Detector>> = {
  'adwin': confidence => new Adwin(confidence),
  'page_hinkley': threshold => new PageHinkley(0.005, threshold, { forget: 1 - 0.0001 }),
  'page_hinkley, delta 0.5': threshold => new PageHinkley(0.5, threshold, { forget: 1 - 0.0001 }),
  'page_hinkley, delta 0.5, alpha 1': threshold => new PageHinkley(0.5, threshold)
}

/** What river itself makes of them (test/oracles/drift.py): the parameter for a run length of 10,000, run length and delay at it, with standard errors. */
export interface Golden { readonly detector: string, readonly parameter: number, readonly average_run_length: number, readonly run_length_error: number, readonly delay: number, readonly delay_error: number }
export function golden (): { readonly version: string, readonly detectors: readonly Golden[] } {
  const { river, matched: { detectors } } = JSON.parse(readFileSync(join(packageRoot, 'test/oracles/drift.json'), 'utf8')) as { river: string, matched: { detectors: Golden[] } }
  return { version: river, detectors }
}

/** Where a detector finds changes, begun anew after each: places, in ascending order. */
export function * changesIn (detector: Detector, values: ArrayLike<number>): Generator<number> {
  const first = Object.values(detector.state), m = Float64Array.from(first)
  for (let i = 0; i < values.length; i++) {
    if (!detector.update(m, 0, values[i])) continue
    yield i
    m.set(first)
  }
}

/** Readings without a change, over changes that are found all the same. */
export function runLengthIn (detector: Detector, all: Iterable<Series>): number {
  let readings = 0, changes = 0
  for (const { value } of all) {
    readings += value.length
    for (const _ of changesIn(detector, value)) changes++
  }
  return readings / changes
}

/** Readings from a shift to its finding, Infinity when it is not found, in runs without a false change before it. */
export function delaysIn (detector: Detector, all: readonly (Series & { readonly from: number })[]): number[] {
  return all.flatMap(({ value, from }) => {
    const first = changesIn(detector, value).next().value as number | undefined
    return first === undefined ? [Infinity] : first < from ? [] : [first - from + 1]
  })
}

export interface Matched { readonly parameter: number, readonly length: number }

/** The parameter, from a first guess, at which the run length is the one that is wanted, within 2 % where it can be had in a few steps; else the nearest that was tried. */
export function matched (lengthOf: (parameter: number) => number, wanted: number, guess: number, rises: boolean): Matched {
  const tried: Matched[] = [], off = ({ length }: Matched) => Math.abs(Math.log(length / wanted))
  let parameter = guess, slope = rises ? 1 : -1       // of the logarithms
  for (let step = 0; step < STEPS; step++) {
    const now = { parameter, length: lengthOf(parameter) }, last = tried.at(-1)
    tried.push(now)
    if (off(now) < NEAR || !Number.isFinite(now.length)) break
    if (last !== undefined && now.length !== last.length) slope = bounded(Math.log(now.length / last.length) / Math.log(now.parameter / last.parameter), rises)
    parameter *= (wanted / now.length) ** (1 / slope)
  }
  return tried.reduce((best, one) => off(one) < off(best) ? one : best)
}
const STEPS = 6, NEAR = 0.02
/** A slope that chance cannot turn round or make next to nothing. */
const bounded = (slope: number, rises: boolean): number => (rises ? 1 : -1) * Math.min(20, Math.max(0.5, rises ? slope : -slope))
