import { filter, identity, map, mergeMap, share, Subject, tap, type Observable } from 'rxjs'
import { addWindow, type Answer, type Settings } from './answer.ts'
import { add, Alert, Average, Detector, deviceOf, each, featuresOf, fresh, holds, Reached, Seen, Windows, type Closed, type Raw, type Reading } from './rx-state.ts'

/** What flows through an RxJS program: readings at its end, and windows that are closed. */
interface Out { readonly readings: Observable<Reading>, readonly windows: Observable<Closed> }
type Program = (raw: Observable<Raw>, settings: Settings) => Out

const state = ({ within, detector }: Settings) => ({ reached: each(() => new Reached()), seen: each(() => new Seen(within)), detector: each(() => new Detector(detector)), average: each(() => new Average()), alert: each(() => new Alert()) })
const valid = ({ min, max }: Settings) => ({ value }: Reading): boolean => value >= min && value <= max || Number.isNaN(value)

/** Each operator makes a new object of what it is given: a reading as of yesterday is never another one today. */
export const copying: Program = (raw, settings) => {
  const of = state(settings), windows = each(() => new Windows(settings.every, (sums, reading) => add({ ...sums }, reading)))
  const arrived = raw.pipe(
    map((r): Reading => ({ ...fresh(r), arrival: of.reached(deviceOf(r, settings)).time })),
    map(r => ({ ...r, progress: of.reached(deviceOf(r, settings)).move(r.time - settings.lateness) })),
    share())
  const readings = arrived.pipe(
    filter(valid(settings)),
    map(r => ({ ...r, seq: of.seen(r.series).number(r) })),
    filter(({ seq }) => seq >= 0),
    settings.detector === undefined ? identity : map((r): Reading => {
      const { evidence, p, low, high, signal, usual, learned, alarm } = of.detector(r.series).judge(r)
      return { ...r, evidence, p, low, high, signal, usual, learned, alarm }
    }),
    settings.detector === undefined ? identity : map(r => ({ ...r, forecast: of.average(r.series).next(r.value) })),
    map(r => {
      const alert = of.alert(r.series), firing = alert.next(r.time, holds(r, settings))
      return { ...r, firing, since: alert.since }
    }),
    share())
  return { readings, windows: closing(arrived, readings, windows, settings) }
}

/** One object for each reading, with room for all that operators add. */
export const inPlace: Program = (raw, settings) => {
  const of = state(settings), windows = each(() => new Windows(settings.every, add))
  const arrived = raw.pipe(
    map(fresh),
    tap(r => {
      const reached = of.reached(deviceOf(r, settings))
      r.arrival = reached.time
      r.progress = reached.move(r.time - settings.lateness)
    }),
    share())
  const readings = arrived.pipe(
    filter(valid(settings)),
    tap(r => { r.seq = of.seen(r.series).number(r) }),
    filter(({ seq }) => seq >= 0),
    settings.detector === undefined ? identity : tap(r => {
      const judged = of.detector(r.series).judge(r)
      r.evidence = judged.evidence
      r.p = judged.p
      r.low = judged.low
      r.high = judged.high
      r.signal = judged.signal
      r.usual = judged.usual
      r.learned = judged.learned
      r.alarm = judged.alarm
    }),
    settings.detector === undefined ? identity : tap(r => { r.forecast = of.average(r.series).next(r.value) }),
    tap(r => {
      const alert = of.alert(r.series)
      r.firing = alert.next(r.time, holds(r, settings))
      r.since = alert.since
    }),
    share())
  return { readings, windows: closing(arrived, readings, windows, settings) }
}

/** Windows take in what comes out at the end, then the progress of the same reading closes them; at the end of the stream all. */
function closing (arrived: Observable<Reading>, readings: Observable<Reading>, windows: (device: number) => Windows, settings: Settings): Observable<Closed> {
  const closed = new Subject<Closed>()
  const devices = new Set<number>()
  readings.subscribe(r => {
    const d = deviceOf(r, settings)
    devices.add(d)
    windows(d).take(r)
  })
  arrived.pipe(
    filter(({ progress }) => !Number.isNaN(progress)),
    mergeMap(r => windows(deviceOf(r, settings)).close(r.progress))
  ).subscribe({
    next: one => { closed.next(one) },
    complete: () => { for (const d of [...devices].sort((a, b) => a - b)) for (const one of windows(d).close(Infinity)) closed.next(one) }
  })
  return closed
}

/** A program at work: it is given readings and adds to the answer what comes out. */
export class RxProgram {
  private readonly raw = new Subject<Raw>()
  constructor (program: Program, settings: Settings, answer: Answer) {
    const { readings, windows } = program(this.raw, settings)
    readings.subscribe(r => {
      answer.readings++
      answer.seq += r.seq
      if (r.evidence === r.evidence) {
        answer.evidence += r.evidence
        answer.p += r.p
        answer.alarms += r.alarm
      }
      if (r.forecast === r.forecast) answer.forecast += r.forecast
      if (r.firing === 1) answer.fired++
      if (r.firing === 0) answer.resolved++
      if (answer.row === undefined) return
      answer.row('reading', r.series, r.time, r.value, r.seq, r.evidence, r.p, r.low, r.high, r.signal, r.usual, r.learned, r.alarm, r.forecast)
      if (r.firing === r.firing) answer.row('alert', r.series, r.time, r.since, r.firing)
    })
    windows.subscribe(({ series, sums }) => { addWindow(answer, series, sums.start, featuresOf(sums)) })
  }

  process ({ time, series, value }: { readonly time: Readonly<Float64Array>, readonly series: Readonly<Int32Array>, readonly value: Readonly<Float64Array> }): void {
    for (let i = 0; i < time.length; i++) this.raw.next({ series: series[i], time: time[i], value: value[i] })
  }

  end (): void { this.raw.complete() }
}
