import type { Condition } from './condition.ts'
import type { DeviceTags } from './devices.ts'
import type { Severity } from './alert.ts'
import type { Operator } from './operator.ts'
import type { SinkSpec } from './sink.ts'
import type { SourceSpec } from './source.ts'
import { MillraceError } from './errors.ts'
import { duration } from './options.ts'

/** When to alert, as data. `C` are the columns there are. */
export interface AlertOptions<C extends string = string> {
  readonly when: Condition<C>
  readonly clear?: Condition<C>      // resolves when this holds; when absent, as soon as `when` does not
  readonly for?: string              // event time that `when` must hold without a break, such as 30s
  readonly severity?: Severity
  readonly message?: string
  readonly cooldown?: string         // by wall clock, as all that follows: who was told of a series is not told again before
  readonly flapping?: { readonly times: number, readonly within: string }    // what fired more often is told when it has lasted
  readonly group?: { readonly by: 'device' | 'site', readonly wait?: string } // one notification for what fires meanwhile
}
/** Who else is told when nobody has acknowledged an alert so long after it was committed. */
export interface Escalation { readonly after: string, readonly receivers: readonly SinkSpec[] }
export interface AlertSpec { readonly name: string, readonly options: AlertOptions, readonly receivers: readonly SinkSpec[], readonly escalations?: readonly Escalation[] }

/** Steps, then alerts and sinks that see what comes out of them. */
export interface Route {
  readonly steps: readonly Operator[]
  readonly alerts: readonly AlertSpec[]
  readonly sinks: readonly SinkSpec[]
}

/** A pipeline: data, not a running thing. The trunk is a route; each branch reads what the trunk's steps give. */
export interface Pipeline extends Route {
  readonly name: string
  readonly source: SourceSpec | undefined
  readonly time: { readonly lateness: number, readonly ahead: number, readonly idle: number, readonly forget: number }   // ms
  readonly dedupe: boolean           // insert dedupe() when there is none
  readonly branches: Readonly<Record<string, Route>>
  readonly devices?: readonly DeviceTags[] // what is known of devices beforehand: type, site, tags, units
  readonly tests: readonly unknown[] // of a YAML file, see cli/test.ts
  readonly file?: string
}

/** How event time is judged, written as spans; and what else is said beside the source. */
export interface TimeGiven { readonly lateness?: string, readonly ahead?: string, readonly idle?: string, readonly forget?: string, readonly dedupe?: boolean, readonly devices?: readonly DeviceTags[] }
export const timeDefaults = { lateness: '60s', ahead: '5m', idle: '30s', forget: '7d' } as const

type Op<N extends string, A extends string> = Operator<N, A>
/** An operator whose columns are there. What it needs may be known only from its options (then `N` is string): lint checks that. */
type Fits<N extends string, C extends string> = string extends N ? unknown : [N] extends [C | 'value'] ? unknown : { readonly needs: readonly NoInfer<C>[] }

/** Builds a pipeline, and in its type `C` the columns that exist at its end. Every call returns a new value; each is a Pipeline. */
export class PipelineBuilder<C extends string = never> implements Pipeline {
  readonly name: string
  readonly source: SourceSpec | undefined
  readonly time: Pipeline['time']
  readonly dedupe: boolean
  declare readonly devices?: readonly DeviceTags[]
  readonly steps: readonly Operator[]
  readonly branches: Readonly<Record<string, Route>>
  readonly alerts: readonly AlertSpec[]
  readonly sinks: readonly SinkSpec[]
  readonly tests: readonly unknown[] = []

  constructor (p: Omit<Pipeline, 'tests' | 'file'>) {
    this.name = p.name
    this.source = p.source
    this.time = p.time
    this.dedupe = p.dedupe
    if (p.devices !== undefined) this.devices = p.devices
    this.steps = p.steps
    this.branches = p.branches
    this.alerts = p.alerts
    this.sinks = p.sinks
  }

  from (source: SourceSpec, { dedupe = true, devices, ...time }: TimeGiven = {}): PipelineBuilder<C> {
    return new PipelineBuilder({ ...(this as Pipeline), source, dedupe, time: readTime(time), ...devices === undefined ? {} : { devices } })
  }

  pipe<N1 extends string, A1 extends string> (a: Op<N1, A1> & Fits<N1, C>): PipelineBuilder<C | A1>
  pipe<N1 extends string, A1 extends string, N2 extends string, A2 extends string> (a: Op<N1, A1> & Fits<N1, C>, b: Op<N2, A2> & Fits<N2, C | A1>): PipelineBuilder<C | A1 | A2>
  pipe<N1 extends string, A1 extends string, N2 extends string, A2 extends string, N3 extends string, A3 extends string> (a: Op<N1, A1> & Fits<N1, C>, b: Op<N2, A2> & Fits<N2, C | A1>, c: Op<N3, A3> & Fits<N3, C | A1 | A2>): PipelineBuilder<C | A1 | A2 | A3>
  pipe<N1 extends string, A1 extends string, N2 extends string, A2 extends string, N3 extends string, A3 extends string, N4 extends string, A4 extends string> (a: Op<N1, A1> & Fits<N1, C>, b: Op<N2, A2> & Fits<N2, C | A1>, c: Op<N3, A3> & Fits<N3, C | A1 | A2>, d: Op<N4, A4> & Fits<N4, C | A1 | A2 | A3>): PipelineBuilder<C | A1 | A2 | A3 | A4>
  pipe<N1 extends string, A1 extends string, N2 extends string, A2 extends string, N3 extends string, A3 extends string, N4 extends string, A4 extends string, N5 extends string, A5 extends string> (a: Op<N1, A1> & Fits<N1, C>, b: Op<N2, A2> & Fits<N2, C | A1>, c: Op<N3, A3> & Fits<N3, C | A1 | A2>, d: Op<N4, A4> & Fits<N4, C | A1 | A2 | A3>, e: Op<N5, A5> & Fits<N5, C | A1 | A2 | A3 | A4>): PipelineBuilder<C | A1 | A2 | A3 | A4 | A5>
  pipe<N1 extends string, A1 extends string, N2 extends string, A2 extends string, N3 extends string, A3 extends string, N4 extends string, A4 extends string, N5 extends string, A5 extends string, N6 extends string, A6 extends string> (a: Op<N1, A1> & Fits<N1, C>, b: Op<N2, A2> & Fits<N2, C | A1>, c: Op<N3, A3> & Fits<N3, C | A1 | A2>, d: Op<N4, A4> & Fits<N4, C | A1 | A2 | A3>, e: Op<N5, A5> & Fits<N5, C | A1 | A2 | A3 | A4>, f: Op<N6, A6> & Fits<N6, C | A1 | A2 | A3 | A4 | A5>): PipelineBuilder<C | A1 | A2 | A3 | A4 | A5 | A6>
  pipe<N1 extends string, A1 extends string, N2 extends string, A2 extends string, N3 extends string, A3 extends string, N4 extends string, A4 extends string, N5 extends string, A5 extends string, N6 extends string, A6 extends string, N7 extends string, A7 extends string> (a: Op<N1, A1> & Fits<N1, C>, b: Op<N2, A2> & Fits<N2, C | A1>, c: Op<N3, A3> & Fits<N3, C | A1 | A2>, d: Op<N4, A4> & Fits<N4, C | A1 | A2 | A3>, e: Op<N5, A5> & Fits<N5, C | A1 | A2 | A3 | A4>, f: Op<N6, A6> & Fits<N6, C | A1 | A2 | A3 | A4 | A5>, g: Op<N7, A7> & Fits<N7, C | A1 | A2 | A3 | A4 | A5 | A6>): PipelineBuilder<C | A1 | A2 | A3 | A4 | A5 | A6 | A7>
  pipe<N1 extends string, A1 extends string, N2 extends string, A2 extends string, N3 extends string, A3 extends string, N4 extends string, A4 extends string, N5 extends string, A5 extends string, N6 extends string, A6 extends string, N7 extends string, A7 extends string, N8 extends string, A8 extends string> (a: Op<N1, A1> & Fits<N1, C>, b: Op<N2, A2> & Fits<N2, C | A1>, c: Op<N3, A3> & Fits<N3, C | A1 | A2>, d: Op<N4, A4> & Fits<N4, C | A1 | A2 | A3>, e: Op<N5, A5> & Fits<N5, C | A1 | A2 | A3 | A4>, f: Op<N6, A6> & Fits<N6, C | A1 | A2 | A3 | A4 | A5>, g: Op<N7, A7> & Fits<N7, C | A1 | A2 | A3 | A4 | A5 | A6>, h: Op<N8, A8> & Fits<N8, C | A1 | A2 | A3 | A4 | A5 | A6 | A7>): PipelineBuilder<C | A1 | A2 | A3 | A4 | A5 | A6 | A7 | A8>
  pipe (...steps: Operator[]): PipelineBuilder<any> { return new PipelineBuilder({ ...(this as Pipeline), steps: [...this.steps, ...steps] }) }

  /** A branch reads what the steps so far give; it adds nothing to the trunk. A branch has no branches of its own. */
  branch (name: string, build: (p: PipelineBuilder<C>) => Route): PipelineBuilder<C> {
    if (name in this.branches) throw new MillraceError('config/duplicate-key', `pipeline "${this.name}": a second branch "${name}"`, { help: 'give one of them another name' })
    const { steps, alerts, sinks } = build(new PipelineBuilder<C>({ ...(this as Pipeline), steps: [], branches: {}, alerts: [], sinks: [] }))
    return new PipelineBuilder({ ...(this as Pipeline), branches: { ...this.branches, [name]: { steps, alerts, sinks } } })
  }

  /** `escalate`: who else is told, and when, if nobody acknowledges it. */
  alert (name: string, { escalate, ...options }: AlertOptions<C | 'value'> & { readonly escalate?: readonly { readonly after: string, readonly to: readonly SinkSpec[] }[] }, ...receivers: SinkSpec[]): PipelineBuilder<C> {
    const escalations = escalate?.map(({ after, to }) => ({ after, receivers: to }))
    return new PipelineBuilder({ ...(this as Pipeline), alerts: [...this.alerts, { name, options: options as AlertOptions, receivers, ...escalations === undefined ? {} : { escalations } }] })
  }

  to (...sinks: SinkSpec[]): PipelineBuilder<C> { return new PipelineBuilder({ ...(this as Pipeline), sinks: [...this.sinks, ...sinks] }) }
}

export const readTime = ({ lateness, ahead, idle, forget }: TimeGiven = {}): Pipeline['time'] => ({
  lateness: duration(lateness ?? timeDefaults.lateness),
  ahead: duration(ahead ?? timeDefaults.ahead),
  idle: duration(idle ?? timeDefaults.idle),
  forget: duration(forget ?? timeDefaults.forget)
})

export const pipeline = (name: string): PipelineBuilder =>
  new PipelineBuilder({ name, source: undefined, time: readTime(), dedupe: true, steps: [], branches: {}, alerts: [], sinks: [] })
