import { chance, difference, hash, inPlace, judge, SECOND, shuffle, unlike, type Given, type Message } from './data-rig.ts'
import type { Row } from './data-row.ts'

/** One reading: its second and its value. */
export interface Reading { readonly device: number, readonly metric: number, readonly second: number, readonly value: number }

export const START = Date.UTC(2025, 2, 29, 12)
const DEVICES = 5, METRICS = 2
const EVERY = 16                     // seconds of a window
const CLOSING = 100_000              // seconds after START of a last reading, which closes all windows

/**
 * In order, device by device and second by second: values with few bits and 16 of them in each full window, so that every sum and
 * quotient is exact and does not depend on the order of adding.
 */
export function* readings (seconds: number, random: () => number): Generator<Reading> {
  for (let second = 0; second < seconds; second++) for (let device = 0; device < DEVICES; device++) for (let metric = 0; metric < METRICS; metric++) yield { device, metric, second, value: Math.floor(random() * 512) / 4 }
}

export const said = (tenant: string, { device, metric, second, value }: Reading): Message => ({ topic: `${tenant}/d${device}/m${metric}`, payload: `{"ts":${START + second * SECOND},"value":${value}}` })
const closing = (): Reading[] => Array.from({ length: DEVICES * METRICS }, (_, i) => ({ device: Math.floor(i / METRICS), metric: i % METRICS, second: CLOSING, value: 0 }))

/** The same reading, said again: in the same bytes, or in others. */
function again (tenant: string, reading: Reading, random: () => number): Message {
  const { topic, payload } = said(tenant, reading), { metric, second, value } = reading
  const ms = START + second * SECOND, device = topic.slice(0, topic.lastIndexOf('/')), iso = new Date(ms).toISOString()
  return [
    { topic, payload }, { topic, payload: ` { "value" : ${value.toFixed(3)} , "ts" : ${ms}.0 } ` }, { topic, payload: `{"timestamp":"${iso}","value":${value.toExponential()}}` },
    { topic, payload: `{"time":${ms * 1000},"value":${value}}` }, { topic, payload: `{"ts":${ms / 1000},"value":${value}}` }, { topic, payload: `{"t":[${ms}],"v":[${value}]}` },
    { topic: device, payload: `{"ts":"${iso.replace('Z', '+00:00')}","m${metric}":${value}}` }, { topic: device, payload: `{"ts":${ms},"values":{"m${metric}":${value}}}` }
  ][Math.floor(random() * 8)]
}

const given: Given = {
  broker: { topics: ['{tenant}/{device}/{metric}', '{tenant}/{device}'] }, time: { lateness: '60s', idle: '1h' },
  pipe: [{ dedupe: { within: '10m' } }, { ewma: { alpha: 0.125 } }, { zscore: { over: '1m' } }], windows: `${EVERY}s`
}

/** B7: what the readings with repetitions have left behind must be what those without have: rows, scores, features. */
export const repeats: Row = {
  id: 'B7', name: '30 % exact and near duplicates from the device',
  rounds: { commit: 1, nightly: 20 },
  run: ({ seed, rounds, say }) => inPlace(async place => {
    await place.engine(given)
    const figures = { readings: 0, repeated: 0, rows: 0, feature_rows: 0 }, wrong: Record<string, boolean> = {}
    let settled = 0
    for (let k = 0; k < rounds; k++) {
      const random = chance(seed + k), body = [...readings(256, random)], end = closing(), plain = [...body, ...end]
      const names = [`once${k}`, `often${k}`], sent: { at: number, message: Message }[] = []
      body.forEach((reading, at) => {
        sent.push({ at, message: said(names[1], reading) })
        if (random() >= 0.3) return
        const later = random() < 0.5 ? 0 : random() * 500         // up to 50 s of event time
        sent.push({ at: at + later, message: again(names[1], reading, random) })
        figures.repeated++
      })
      const stream = [...sent.toSorted((a, b) => a.at - b.at).map(s => s.message), ...end.map(reading => said(names[1], reading))]
      settled += await place.publish(plain.map(reading => said(names[0], reading))) + await place.publish(stream)
      await place.settled(settled)
      figures.readings += plain.length
      for (const table of ['readings', 'features'] as const) {
        const [once, often] = await Promise.all(names.map(tenant => place.dump(table, tenant)))
        figures[table === 'readings' ? 'rows' : 'feature_rows'] += often.length
        const differ = difference(once, often)
        for (const row of differ.slice(0, 3)) say(`${table}: ${row}`)
        if (hash(once) !== hash(often) || once.length === 0) wrong[`${differ.length} differences in ${table}`] = true
        if (table === 'readings' && often.length !== plain.length) wrong[`${often.length} rows for ${plain.length} readings`] = true
      }
    }
    const counts = await place.settled(settled)
    return judge({ ...figures, deduplicated: counts.deduplicated }, { ...wrong, [`${counts.deduplicated} were found to be duplicates, ${figures.repeated} are`]: counts.deduplicated !== figures.repeated }, say)
  })
}

const LATENESS = 60                  // seconds

/** B8: shuffled within lateness nothing may differ; what comes after its window has closed is late, exactly that. */
export const disorder: Row = {
  id: 'B8', name: 'out of order, within lateness and beyond',
  rounds: { commit: 1, nightly: 20 },
  run: ({ seed, rounds, say }) => inPlace(async place => {
    await place.engine({ ...given, pipe: [{ dedupe: { within: '10m' } }] })
    const wrong: Record<string, boolean> = {}, figures = { readings: 0, feature_rows: 0, late: 0 }
    let settled = 0
    for (let k = 0; k < rounds; k++) {
      const random = chance(seed + k), inOrder = [...readings(512, random)], end = closing()
      const moved = (most: number, share = 1) => inOrder.map(reading => ({ reading, at: reading.second + (random() < share ? random() * most : 0) })).toSorted((a, b) => a.at - b.at).map(m => m.reading)
      const runs = { ordered: [...inOrder, ...end], within: [...moved(LATENESS), ...end], beyond: [...moved(7 * 86_400, 0.1), ...shuffle(end, random)] }
      for (const [name, run] of Object.entries(runs)) settled += await place.publish(run.map(reading => said(`${name}${k}`, reading)))
      await place.settled(settled)
      const [ordered, within, beyond] = await Promise.all(Object.keys(runs).map(name => place.dump('features', `${name}${k}`)))
      const differ = unlike(ordered, within)
      for (const row of differ.slice(0, 3)) say(row)
      if (differ.length > 0 || ordered.length === 0) wrong[`${differ.length} features differ when readings are shuffled within lateness`] = true
      const late = lateOf(runs.beyond)
      const counted = await place.query(`SELECT d.tenant, count(*)::int AS late FROM late_readings l JOIN series s ON s.id = l.series JOIN devices d ON d.id = s.device GROUP BY 1`)
      const found = (name: string) => counted.find(c => c.tenant === `${name}${k}`)?.late ?? 0
      if (found('ordered') + found('within') > 0) wrong[`${found('ordered') + found('within')} readings in order or within lateness are late`] = true
      if (found('beyond') !== late || late === 0) wrong[`${found('beyond')} are late beyond lateness, ${late} should be`] = true
      const taken = beyond.reduce((n, row) => n + Object.fromEntries(JSON.parse(row)).count, 0), all = runs.beyond.length - end.length
      if (taken !== all - late) wrong[`${taken} of ${all} readings are in windows, ${late} late`] = true
      figures.readings += runs.beyond.length * 3
      figures.feature_rows += within.length
      figures.late += late
    }
    const rows = await place.settled(settled)
    return judge({ ...figures, rows: rows.written }, { ...wrong, [`${rows.written} rows of ${settled} readings`]: rows.written !== settled }, say)
  })
}

/** How many come after the progress of their device has reached the end of their window: plainly, one after the other. */
function lateOf (run: readonly Reading[]): number {
  const newest = new Map<number, number>()
  let late = 0
  for (const { device, second } of run) {
    const progress = (newest.get(device) ?? -Infinity) - LATENESS
    if (Math.floor((START / SECOND + second) / EVERY) * EVERY + EVERY <= START / SECOND + progress) late++
    newest.set(device, Math.max(newest.get(device) ?? -Infinity, second))
  }
  return late
}
