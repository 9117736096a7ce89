import { columns } from './columns.ts'

/** A model that has just scored a row of the stream at `at` in m: its evidence (-log10 p), whether that is news, and whether it is one of `alarms` that chance may give in `per` ms, which makes it news. */
interface Model {
  readonly evidence: number
  readonly news: boolean
  alarm (m: Float64Array, at: number, alarms: number, per: number): boolean
}

/** What is said of the rows of a batch, columns without values until something is: evidence, -log10 p when that is news and else 0; p, 1 for the usual 98 %; alarm, 1 or 0. */
export class Alarms {
  readonly evidence: Float64Array
  readonly p: Float64Array
  readonly alarm: Float64Array
  constructor (length: number, [evidence, p, alarm] = columns(3, length)) {
    this.evidence = evidence
    this.p = p
    this.alarm = alarm
  }

  /** Of row i, by a model that has just scored it; whether that is an alarm. */
  say (i: number, model: Model, m: Float64Array, at: number, alarms: number, per: number): boolean {
    const alarm = model.alarm(m, at, alarms, per)
    this.alarm[i] = alarm ? 1 : 0
    this.evidence[i] = model.news ? model.evidence : 0
    this.p[i] = model.evidence > 0 ? 10 ** -model.evidence : 1
    return alarm
  }
}
