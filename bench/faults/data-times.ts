import { difference, hash, HOUR, inPlace, judge, SECOND, type Given, type Message } from './data-rig.ts'
import type { Row } from './data-row.ts'

const SECONDS = 128, EVERY = 16, YEAR = 31_556_952_000
const WEIRD = 1_000_000              // value of a reading with a time to be looked at

/** A timestamp as JSON, and what must become of it: a row of that time (ms), or a dead letter. */
interface Case { readonly ts: string, readonly becomes: number | 'bad_time' | 'future' }

/** `now`: ms, some time in the hour before the readings arrive. */
function casesAt (now: number): readonly Case[] {
  const right = (ts: string): Case => ({ ts: JSON.stringify(ts), becomes: Date.parse(ts) })
  const old = now - HOUR             // is read, and is late for its window
  return [
    // units, told apart by size
    { ts: `${old / 1000}`, becomes: old }, { ts: `${old}`, becomes: old }, { ts: `${old}000`, becomes: old }, { ts: `${old}000000`, becomes: old }, { ts: `"${old / 1000}"`, becomes: old }, { ts: `"${old}"`, becomes: old },
    { ts: `${old / 1000}.125`, becomes: old + 125 }, { ts: `${old}125`, becomes: old + 0.125 }, { ts: `${old / 1000}e3`, becomes: old },
    // a year ahead, in all units
    { ts: `${now + YEAR}`, becomes: 'future' }, { ts: `${(now + YEAR) / 1000}`, becomes: 'future' }, { ts: `${now + YEAR}000`, becomes: 'future' }, { ts: `${now + YEAR}000000`, becomes: 'future' },
    { ts: JSON.stringify(new Date(now + YEAR).toISOString()), becomes: 'future' }, { ts: `${now + 2 * HOUR}`, becomes: 'future' }, { ts: '"9999-12-31T23:59:59Z"', becomes: 'future' }, { ts: '32503680000', becomes: 'future' },
    // clocks that were never set, and counters since the start of a device
    ...['0', '1', '12345', '86400000', '99999999', '"0"', '1e999', '"10000-01-01T00:00:00Z"', '1e300', '1e21'].map((ts): Case => ({ ts, becomes: 'bad_time' })),
    right('1970-01-01T00:00:00Z'), right('1970-01-01T00:00:05Z'), right('2000-01-01T00:00:00Z'),
    // before 1970
    ...['-1', `${-old}`, `${-old / 1000}`, '"-1"', '"1969-12-31T23:59:59Z"', '"1900-01-01"', '"0001-01-01T00:00:00Z"'].map((ts): Case => ({ ts, becomes: 'bad_time' })),
    // leap days and seconds
    right('2024-02-29T12:00:00Z'), right('2000-02-29T00:00:00Z'), ...['"2023-02-29T12:00:00Z"', '"1900-02-29T00:00:00Z"', '"2100-02-29T00:00:00Z"', '"2024-02-30T00:00:00Z"', '"2024-04-31T00:00:00Z"', '"2024-00-10"', '"2024-01-01T24:00:00Z"', '"2024-01-01T23:60:00Z"'].map((ts): Case => ({ ts, becomes: 'bad_time' })),
    { ts: '"2016-12-31T23:59:60Z"', becomes: Date.UTC(2017, 0, 1) },
    // the hours that a change to or from summer time leaves out or has twice
    right('2025-03-30T01:59:59+01:00'), right('2025-03-30T03:00:00+02:00'), right('2025-10-26T02:30:00+02:00'), right('2025-10-26T02:30:00+01:00'), { ts: '"2025-03-30 02:30:00"', becomes: Date.UTC(2025, 2, 30, 2, 30) },
    ...['"2025-03-30T02:30:00 Europe/Paris"', '"2025-03-30T02:30:00+25:00"', '"30.03.2025 02:30"', '"now"'].map((ts): Case => ({ ts, becomes: 'bad_time' }))
  ]
}

const given: Given = { time: { lateness: '60s', idle: '1h' }, windows: `${EVERY}s` }

/** The readings of every device, second by second; with `cases` a device for each of them, that has it half-way. */
function* stream (start: number, cases: readonly Case[]): Generator<Message> {
  for (let second = 0; second <= SECONDS; second++) {
    const ts = start + (second === SECONDS ? 900 : second) * SECOND
    for (let g = 0; g < 3; g++) yield { topic: `good/g${g}/m`, payload: `{"ts":${ts},"value":${second % 7 + g}}` }
    for (const [c, { ts: weird }] of cases.entries()) {
      if (second === SECONDS / 2) yield { topic: `bad/c${c}/m`, payload: `{"ts":${weird},"value":${WEIRD}}` }
      yield { topic: `bad/c${c}/m`, payload: `{"ts":${ts},"value":${second % 7}}` }
    }
  }
}

/** Good devices alone, then beside devices with wrong clocks: their windows must be the same, and those of the others as if their clocks had been right. */
export const times: Row = {
  id: 'B9', name: 'timestamps: a year ahead, 1970, wrong units, leap days, summer time, negative',
  rounds: { commit: 1, nightly: 5 },
  async run ({ rounds, say }) {
    const wrong: Record<string, boolean> = {}, figures = { cases: 0, right: 0, quarantined: 0, feature_rows: 0 }
    for (let k = 0; k < rounds; k++) {
      const start = Math.floor((Date.now() - HOUR) / (EVERY * SECOND)) * EVERY * SECOND, cases = casesAt(start)
      const alone = await inPlace(async place => {
        await place.engine(given)
        await place.settled(await place.publish(stream(start, [])))
        return await place.dump('features', 'good')
      })
      await inPlace(async place => {
        await place.engine(given)
        const counts = await place.settled(await place.publish(stream(start, cases)))
        const beside = await place.dump('features', 'good')
        for (const row of difference(alone, beside).slice(0, 3)) say(row)
        if (hash(alone) !== hash(beside) || alone.length === 0) wrong['windows of good devices differ beside bad ones'] = true

        const rows = await place.query(`SELECT device, (extract(epoch FROM time) * 1000)::float8 AS time FROM readings_named WHERE tenant = 'bad' AND value = ${WEIRD}`)
        const letters = await place.query('SELECT topic, reason FROM dead_letters'), late = await place.query('SELECT device, value FROM late_readings_named')
        const windows = await place.query(`SELECT * FROM features_named WHERE tenant = 'bad' ORDER BY time`)
        const plain = await place.query(`SELECT * FROM features_named WHERE device = 'g0' ORDER BY time`)
        const shown = (of: readonly any[]) => JSON.stringify(of.map(({ time, count, mean, slope, first, last, provisional, revision }) => ({ time, count, mean, slope, first, last, provisional, revision })))
        cases.forEach(({ ts, becomes }, c) => {
          const device = `c${c}`, row = rows.filter(r => r.device === device), letter = letters.filter(l => l.topic === `bad/${device}/m`), after = late.filter(l => l.device === device)
          const accepted = typeof becomes === 'number'
          if (accepted ? row.length !== 1 || row[0].time !== becomes || letter.length > 0 : row.length > 0 || letter.length !== 1 || letter[0].reason !== becomes) wrong[`ts ${ts} has ${row.length} rows (${row[0]?.time}) and ${letter.length} dead letters (${letter[0]?.reason}), not ${becomes}`] = true
          if (shown(windows.filter(w => w.device === device)) !== shown(plain)) wrong[`ts ${ts} changes the windows of its device`] = true
          if (after.length !== (accepted ? 1 : 0) || after.some(l => l.value !== WEIRD)) wrong[`after ts ${ts} ${after.length} readings of its device are late`] = true
        })
        if (counts.dead_lettered !== letters.length) wrong[`${counts.dead_lettered} dead readings are counted, there are ${letters.length}`] = true
        figures.cases += cases.length
        figures.right += rows.length
        figures.quarantined += letters.length
        figures.feature_rows += beside.length
      })
    }
    return judge(figures, wrong, say)
  }
}
