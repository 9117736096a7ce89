import type { Explains } from './explain.ts'
import { Batch, type Ids } from './batch.ts'
import type { SeriesTable } from './series.ts'
import { Memory, remembers as anything, type Held, type Shapes } from './memory.ts'
import type { Form, Saved, Tape } from './saved.ts'
import { MillraceError } from './errors.ts'
import { canonical, fingerprintOf, optionsOf, without } from './fingerprint.ts'
import { options as checked, type Given, type TObject, type TProperties, type Values } from './options.ts'

/** Where a reading can end on its way, apart from being written: see the accounting identity (tally.ts). */
export type Drop = 'filtered' | 'deduplicated'

/** An operator's declaration: its name, docs, options, columns, memory and mathematics, in one place. */
export interface Definition<P extends TProperties, N extends string, A extends string, S extends Shapes, D extends Shapes> {
  readonly name: string
  readonly summary: string
  readonly options: TObject<P>
  readonly needs?: readonly N[] | ((options: Values<P>) => readonly N[])   // columns that must be there
  readonly reads?: readonly string[]     // columns that it takes in too where a step before it adds them; * stands for any name
  readonly adds?: readonly A[] | ((options: Values<P>) => readonly A[])    // columns that will be there afterwards
  readonly perSeries?: S | ((options: Values<P>) => S)                     // memory for each series, see memory.ts
  readonly perDevice?: D | ((options: Values<P>) => D)                     // memory for each device
  readonly drops?: Drop              // rows that it does not return ended here; without this it may drop none
  readonly derives?: true            // it may return rows of its own making, besides those it was given
  readonly changes?: true            // readings come out with other values than they went in with
  readonly windows?: true            // it takes readings in and returns rows of windows
  readonly crosses?: true | ((options: Values<P>) => boolean)            // a series sees others of its device: such an operator must say so
  readonly learns?: true             // what it remembers says what is usual for a device, which is void when the device is another one
  readonly says?: 'forecast' | 'drift'         // of what it learns: what its columns are to who asks for such without knowing their names
  readonly version?: number          // raised when the meaning of its memory changes; 1 when absent
  readonly tuning?: readonly (keyof P & string)[]      // options that may change from one run to the next, and its memory is kept
  /** What of the memory of these series does not hold any more when `tuning` options were others before. */
  readonly tuned?: (before: Values<P>, now: Values<P>, memory: Held<S> & Held<D>, series: Ids) => void
  readonly explains?: (options: Values<P>) => Explains       // which of its columns say why an alert is one
  readonly check?: (options: Values<P>) => string | undefined              // what a schema cannot say: a sentence when the options do not fit together
  process (batch: Batch<N>, options: Values<P>, memory: Held<S> & Held<D>, host: Host): Batch<any>
}

/** What the engine gives a running step besides its batches. */
export interface Host {
  readonly series: SeriesTable
  /** Rows that came too late for their window, to be stored as such. */
  late (rows: Batch): void
  /** Readings that a window has taken in. */
  aggregated (readings: number): void
}

/** A step of a pipeline: a value, not a running thing. `Needs` and `Adds` are columns. */
export interface Operator<Needs extends string = any, Adds extends string = any> {
  readonly id: string                // unique in its branch; the operator's name unless given as `id`
  readonly name: string
  readonly definition: Definition<any, any, any, any, any>
  readonly options: Readonly<Record<string, unknown>>      // checked, spans in milliseconds
  readonly given: Readonly<Record<string, unknown>>        // as written
  readonly needs: readonly Needs[]
  readonly adds: readonly Adds[]
  readonly remembers: boolean
  open (host: Host): Stage
}

/**
 * A running step with its memory. `process` is synchronous: one batch in, one batch out.
 * Provisional rows go through steps without memory like any rows. A step with memory does not see them: it hands them on
 * with its columns empty (NaN), or not at all when it drops rows, as it cannot know what becomes of them.
 */
export interface Stage {
  readonly operator: Operator
  process (batch: Batch<any>): Batch<any>
  readonly fingerprint: string       // what its memory is kept under
  /** What memory that was kept under this fingerprint is to it: its own, its own under other values of `tuning`, another one, or none at all. */
  match (fingerprint: string): Match
  /** Bytes of what it remembers now. */
  bytes (): number
  /** Its memory by name, to be looked at and not written to. */
  readonly held: Readonly<Record<string, unknown>>
  /** What write() writes of series, then of devices. */
  readonly forms: Forms
  /** Its memory of these series and devices. */
  write (to: Tape, series: Ids, devices: Ids): void
  /** A copy of it; of all when none are given. */
  save (series?: Ids, devices?: Ids): StageSnapshot
  /** Takes up such a copy; throws engine/snapshot when another step made it. */
  load (snapshot: StageSnapshot, series?: Ids, devices?: Ids): void
  /** Begins anew with these series and devices, if it learns. */
  relearn (series: Ids, devices: Ids): void
}
export interface Forms { readonly series: readonly Form[], readonly devices: readonly Form[] }
export type Match = 'same' | 'tuned' | 'other' | 'none'
export interface StageSnapshot { readonly fingerprint: string, readonly series: Saved, readonly devices: Saved }

type Make<P extends TProperties, N extends string, A extends string> =
  ((given?: Given<P> & { readonly id?: string }) => Operator<N, A>) & { readonly definition: Definition<P, N, A, any, any> }

/** Defines an operator. Called with options it gives a step; wrong options throw, naming operator, option and value. */
export function defineOperator<const P extends TProperties, const N extends string = never, const A extends string = never, const S extends Shapes = {}, const D extends Shapes = {}> (definition: Definition<P, N, A, S, D>): Make<P, N, A> {
  const make = (given: Given<P> & { readonly id?: string } = {}): Operator<N, A> => {
    const { id = definition.name, ...rest } = given as { id?: string }
    const options = checked(definition.name, definition.options, rest, definition.check)
    const needs = resolve(definition.needs, options) ?? []
    const adds = resolve(definition.adds, options) ?? []
    const perSeries = resolve(definition.perSeries, options) ?? {} as S
    const perDevice = resolve(definition.perDevice, options) ?? {} as D
    const remembers = anything(perSeries) || anything(perDevice)
    const { name, version = 1 } = definition, fingerprint = fingerprintOf(name, version, options)
    const { tuning = [] } = definition
    const match = (other: string): Match => {
      if (other === fingerprint) return 'same'
      const before = optionsOf(other, name, version, definition.options)
      if (before === undefined) return 'other'
      if (fingerprintOf(name, version, before) === fingerprint) return 'same'
      if (canonical(without(tuning, before)) === canonical(without(tuning, options))) return 'tuned'
      return anything(resolve(definition.perSeries, before as Values<P>) ?? {}) || anything(resolve(definition.perDevice, before as Values<P>) ?? {}) ? 'other' : 'none'
    }
    const operator: Operator<N, A> = {
      id, name, definition, options: options as Readonly<Record<string, unknown>>, given: rest, needs, adds, remembers,
      open (host) {
        const series = new Memory(perSeries, host.series.capacity)
        const devices = new Memory(perDevice, host.series.capacity)
        // Not spread: from the tenth stage on V8 gives what is spread a hidden class of its own each time, and compiled code knows five at most.
        const held = Object.assign({}, series.held, devices.held)
        return {
          operator,
          fingerprint,
          match,
          process (batch) {
            series.appear(host.series.size)
            devices.appear(host.series.devices)
            series.ahead(batch.series)
            const out = definition.process(batch, options, held, host)
            if (batch.provisional === undefined || out.provisional !== batch.provisional) return out
            if (!remembers) return new Batch({ ...out, provisional: definition.process(batch.provisional, options, held, host) })
            if (definition.drops !== undefined) return new Batch({ ...out, provisional: undefined })
            const unknown = new Float64Array(batch.provisional.length).fill(NaN)
            return new Batch({ ...out, provisional: batch.provisional.with(Object.fromEntries(adds.map(column => [column, unknown]))) })
          },
          bytes: () => series.bytes + devices.bytes,
          held,
          relearn (ofSeries, ofDevices) {
            if (definition.learns !== true) return
            series.forget(ofSeries)
            devices.forget(ofDevices)
          },
          forms: { series: series.forms, devices: devices.forms },
          write (to, ofSeries, ofDevices) {
            series.appear(host.series.size)
            devices.appear(host.series.devices)
            series.write(to, ofSeries)
            devices.write(to, ofDevices)
          },
          save (ofSeries, ofDevices) {
            series.appear(host.series.size)
            devices.appear(host.series.devices)
            return { fingerprint, series: series.save(ofSeries), devices: devices.save(ofDevices) }
          },
          load (snapshot, ofSeries, ofDevices) {
            const found = match(snapshot.fingerprint)
            if (found !== 'same' && found !== 'tuned') throw new MillraceError('engine/snapshot', `step "${id}": the snapshot was made by ${snapshot.fingerprint}, this step is ${fingerprint}`)
            series.load(snapshot.series, ofSeries)
            devices.load(snapshot.devices, ofDevices)
            if (found === 'tuned') definition.tuned?.(optionsOf(snapshot.fingerprint, name, version, definition.options) as Values<P>, options, held, ofSeries ?? Int32Array.from({ length: host.series.size }, (_, s) => s))
          }
        }
      }
    }
    return operator
  }
  return Object.assign(make, { definition })
}

const resolve = <T, O>(value: T | ((options: O) => T) | undefined, options: O): T | undefined =>
  typeof value === 'function' ? (value as (options: O) => T)(options) : value
