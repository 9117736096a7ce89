import { pipeline, SeriesTable, span, type Batch, type Delivery, type Operator } from '#engine'
import { openFlow, type Flow } from '../engine/flow.ts'
import type { Outputs } from '../engine/outputs.ts'
import * as all from '../operators/index.ts'
import { addWindow, FEATURES, mustAgree, mustBeSame, noAnswer, Rows, WEIGHT, type Answer, type Row, type Settings } from './answer.ts'
import { Disordered } from './disordered.ts'
import { BATCH, sink, source } from './drive.ts'
import { HandLoop } from './hand-loop.ts'
import { cpuOf, mustEqual, round, spread, type Benchmark, type Figures, type Spread } from './measure.ts'
import { EVERY, STEPS, WITHIN } from './pred.ts'
import { copying, inPlace, RxProgram } from './rx-programs.ts'

const stats: Settings = { series: 10_000, perDevice: 10, lateness: 5000, ...STEPS.validate, within: WITHIN, every: EVERY, high: 110, detector: undefined }
/** The two dataflows: PRED has also the detector that the bench `nab` scores, with its options, and forecasts. */
export const flows: Readonly<Record<'STATS' | 'PRED', Settings>> = { STATS: stats, PRED: { ...stats, detector: STEPS.anomaly } }
const BOUND = { ratio_to_hand_loop: 0.5, ratio_to_rx_copying: 10, ratio_to_rx_in_place: 2, readings_per_s: 2.5e6 } as const       // of PRED, at least
const LEARN = 210, SECONDS = 20, ROUNDS = 7       // seconds until every series has scores; of a round

/**
 * validate, dedupe, the detector that `nab` scores, a forecast by EWMA, tumbling with 8 features and an alert over 10,000 series,
 * from deliveries to the contents of commits, as the run loop drives them; in the same run the same by one loop written by
 * hand, by an RxJS program that makes a new object in each operator, and by one that changes one object. A stream goes
 * on from round to round, and each round's answers must be the same to the last bit.
 */
export const operators: Benchmark = {
  summary: 'validate, dedupe, detector, EWMA, tumbling(8 features) and alert over 10,000 series, against a fused loop and two RxJS programs',
  unit: 'flow',
  options: { flow: { type: 'string', default: 'STATS,PRED' }, against: { type: 'string', default: 'hand,copying,inPlace' } },
  check ({ flow, against }) {
    const wrong = [...flow.split(',').filter(name => !(name in flows)), ...against.split(',').filter(name => !(name in rivals))]
    if (wrong.length > 0) throw new Error(`there is no ${wrong.join(', ')}: --flow takes ${Object.keys(flows).join(' and ')}, --against ${Object.keys(rivals).join(', ')}`)
  },
  async run (say, { flow, against }) {
    return flow.split(',').map(name => measured(name as keyof typeof flows, against.split(',') as Rival[], say))
  },
  fault (figures) {
    const under = Object.entries(BOUND).filter(([name, bound]) => figures.flow === 'PRED' && Number(figures[name]) < bound)
    return under.length === 0 ? undefined : `PRED: ${under.map(([name, bound]) => `${name} is ${Number(figures[name])}, less than ${bound}`).join('; ')}`
  }
}

function measured (flow: keyof typeof flows, against: readonly Rival[], say: (line: string) => void): Figures {
  const settings = flows[flow], small = { ...settings, series: 200 }, rows = compare(small, 265)
  say(`${flow}: ${rows.reading.length} readings, ${rows.window.length} windows and ${rows.alert.length} alerts of 200 series: the same, cell for cell`)
  const names = ['own', ...against] as const, taken = Object.fromEntries(names.map(name => [name, [] as number[]])) as Record<typeof names[number], number[]>
  const answers = names.map(() => noAnswer()), contestants = names.map((name, k) => open[name](settings, answers[k])), stream = new Disordered(settings.series)
  const answer = answers[0]
  const go = (deliveries: readonly Delivery[], time: (name: typeof names[number], work: () => void) => void) => {
    contestants.forEach((contestant, k) => { time(names[k], () => { for (const delivery of deliveries) contestant.process(delivery) }) })
    names.forEach((name, k) => { mustAgree(name, answers[k], answer) })
  }
  for (let second = 0; second < LEARN; second += SECONDS) go(stream.next(SECONDS), (_, work) => { work() })
  const before = { ...answer }
  for (let k = 0; k < ROUNDS; k++) {
    const deliveries = stream.next(SECONDS), total = deliveries.reduce((n, { rows }) => n + rows.time.length, 0)
    go(deliveries, (name, work) => { taken[name].push(cpuOf(work) / total) })
  }
  for (const key of ['readings', 'seq', 'windows', 'fired', 'resolved'] as const) if (!(answer[key] > before[key])) throw new Error(`the answer is wrong: there is no more of ${key}`)
  mustEqual('readings with scores', Number(answer.evidence > before.evidence), settings.detector === undefined ? 0 : 1)
  const own = spread(taken.own), ratios = against.map(name => [name, spread(taken.own.map((ns, i) => taken[name][i] / ns))] as const)
  return {
    flow, series: settings.series, readings_per_s: Math.round(1e9 / own.median), ns_per_reading: round(own.median),
    ...Object.fromEntries(ratios.map(([name, { median }]) => [`ratio_to_${rivals[name]}`, round(median)])),
    ns_per_reading_spread: ends(own), ...Object.fromEntries(ratios.map(([name, ratio]) => [`ratio_to_${rivals[name]}_spread`, ends(ratio)])),
    ...Object.fromEntries(against.map(name => [`${rivals[name]}_ns_per_reading`, round(spread(taken[name]).median)])),
    readings: answer.readings - before.readings, windows: answer.windows - before.windows, alerts: answer.fired + answer.resolved - before.fired - before.resolved, batch: BATCH, runs: ROUNDS
  }
}

const ends = ({ low, high }: Spread) => [round(low), round(high)]

interface Contestant { process (delivery: Delivery): void, end (): void }
type Rival = keyof typeof rivals
const rivals = { hand: 'hand_loop', copying: 'rx_copying', inPlace: 'rx_in_place' } as const
const byRows = (of: { process (rows: Delivery['rows']): void, end (): void }): Contestant => ({ process: ({ rows }) => { of.process(rows) }, end: () => { of.end() } })
export const open: Readonly<Record<Rival | 'own', (settings: Settings, answer: Answer) => Contestant>> = {
  own: (settings, answer) => new Own(settings, answer),
  hand: (settings, answer) => byRows(new HandLoop(settings, answer)),
  copying: (settings, answer) => byRows(new RxProgram(copying, settings, answer)),
  inPlace: (settings, answer) => byRows(new RxProgram(inPlace, settings, answer))
}

/** The pipeline at work, as the run loop drives it. */
class Own implements Contestant {
  private readonly flow: Flow
  private readonly answer: Answer
  private readonly row: Row | undefined
  private readonly table: SeriesTable
  constructor (settings: Settings, answer: Answer) {
    const { min, max, within, every, lateness, detector, high } = settings
    const predict: Operator<any, any>[] = detector === undefined ? [] : [all.anomaly(detector), all.ewma({ alpha: WEIGHT })]
    this.table = named(settings)
    this.answer = answer
    this.row = answer.row
    this.flow = openFlow(pipeline('bench')
      .from(source(), { lateness: span(lateness), idle: '1h' })
      .pipe(all.validate({ min, max }), all.dedupe({ within: span(within) }), ...predict as [])
      .branch('windows', p => p.pipe(all.tumbling({ every: span(every), features: FEATURES })).to(sink()))
      .alert('unusual', { when: detector === undefined ? { value: { above: high } } : { anomaly_alarm: { equals: 1 } } as any })
      .to(sink()), this.table)
  }

  process (delivery: Delivery): void { this.take(this.flow.process(delivery)) }
  end (): void { this.take(this.flow.end(0)) }

  private take ({ follow, alerts }: Outputs): void {
    for (const { branch, batch } of follow) {
      if (branch === '') this.readings(batch)
      else this.windows(batch)
    }
    for (const { event: { state, device, metric, time, since } } of alerts) {
      this.answer[state === 'firing' ? 'fired' : 'resolved']++
      this.row?.('alert', this.table.id('plant', device, metric), time, since, state === 'firing' ? 1 : 0)
    }
  }

  private readings (batch: Batch<any>): void {
    const { answer } = this, { seq, anomaly, anomaly_p: p, anomaly_alarm: alarm, ewma } = batch.columns as Record<string, Float64Array | undefined>
    answer.readings += batch.length
    for (let i = 0; i < batch.length; i++) answer.seq += seq![i]
    if (anomaly !== undefined) for (let i = 0; i < batch.length; i++) {
      if (anomaly[i] === anomaly[i]) {
        answer.evidence += anomaly[i]
        answer.p += p![i]
        answer.alarms += alarm![i]
      }
      if (ewma![i] === ewma![i]) answer.forecast += ewma![i]
    }
    if (this.row !== undefined) for (let i = 0; i < batch.length; i++) this.row('reading', batch.series[i], batch.time[i], batch.value[i], seq![i], ...columns.map(name => (batch.columns as Record<string, Float64Array>)[name]?.[i] ?? NaN))
  }

  private windows (batch: Batch<any>): void {
    const cells = FEATURES.map(f => (batch.columns as Record<string, Float64Array>)[f])
    for (let i = 0; i < batch.length; i++) {
      for (let f = 0; f < cells.length; f++) scratch[f] = cells[f][i]
      addWindow(this.answer, batch.series[i], batch.time[i], scratch)
    }
  }
}
const scratch = new Float64Array(FEATURES.length)
const columns = ['anomaly', 'anomaly_p', 'anomaly_low', 'anomaly_high', 'anomaly_signal', 'anomaly_usual', 'anomaly_learned', 'anomaly_alarm', 'ewma']

/** All four on the same stream to its end: every cell of every row must be the same. Returns the rows. */
export function compare (settings: Settings, seconds: number): Rows {
  const names = ['own', ...Object.keys(rivals)] as (keyof typeof open)[], deliveries = new Disordered(settings.series).next(seconds, true)
  const rows = names.map(name => {
    const rows = new Rows(), contestant = open[name](settings, noAnswer(rows.add))
    for (const delivery of deliveries) contestant.process(delivery)
    contestant.end()
    return rows
  })
  names.forEach((name, k) => { mustBeSame(name, rows[k], rows[0]) })
  return rows[0]
}

/** A table with every series known, ids as the hand loop has them. */
function named (settings: Settings): SeriesTable {
  const table = new SeriesTable(settings.series)
  for (let s = 0; s < settings.series; s++) table.id('plant', `device-${Math.floor(s / settings.perDevice)}`, `metric-${s % settings.perDevice}`)
  return table
}
