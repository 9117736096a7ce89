import { pino } from 'pino'
import { Batch, noCounts, SeriesTable, type Outcome } from '#engine'
import { postgres } from '../../sinks/postgres.ts'
import { chance, inPlace, judge, shuffle, type Place } from './data-rig.ts'
import type { Row } from './data-row.ts'

const ROWS = 4096                    // of a batch
const TIME = Date.UTC(2025, 0, 6)
const NEVER = new AbortController().signal

/** What one batch came to. `tries`: statements that put rows into the table, counted by the table itself. */
interface Outcomes { readonly outcome: Outcome, readonly rows: number, readonly letters: readonly { readonly reason: string, readonly detail: string }[], readonly tries: number, readonly missing: number }

/**
 * The real store with one batch of which some rows are bad. The table counts in a sequence, which no rollback takes back, how often
 * somebody puts rows into it; it refuses values of 1e6 and more, as a CHECK of its owner's would.
 */
async function commit (place: Place, pipeline: string, change: (batch: { time: Float64Array, series: Int32Array, seq: Float64Array, value: Float64Array }, series: SeriesTable) => readonly number[]): Promise<Outcomes> {
  const series = new SeriesTable(), log = pino({ level: 'silent' })
  const store = postgres.definition.store!([postgres({ table: 'readings' }).options as never], { pipeline, tables: [{ name: pipeline, kind: 'readings', columns: [], options: postgres({ table: pipeline }).options }] }, { pipeline, series, log, database: place.url, folder: place.folder })
  try {
    const recovered = await store.open(NEVER)
    await place.query(`CREATE SEQUENCE ${pipeline}_tries; CREATE FUNCTION ${pipeline}_tried() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('${pipeline}_tries'); RETURN NULL; END $$;
      CREATE TRIGGER tried BEFORE INSERT ON ${pipeline} FOR EACH STATEMENT EXECUTE FUNCTION ${pipeline}_tried(); ALTER TABLE ${pipeline} ADD CHECK (value < 1e6)`)
    const good = series.id('acme', 'boiler', 'temp')
    const columns = { time: Float64Array.from({ length: ROWS }, (_, i) => TIME + i), series: new Int32Array(ROWS).fill(good), seq: new Float64Array(ROWS), value: Float64Array.from({ length: ROWS }, (_, i) => i / 8) }
    const bad = new Set(change(columns, series))
    const { seq, ...rest } = columns
    const batch = new Batch({ ...rest, columns: { seq }, position: Float64Array.from({ length: ROWS }, (_, i) => i + 1) })
    const [outcome] = await store.commit({
      writes: [{ branch: '', table: pipeline, batch }], alerts: [], late: [], deadLetters: [], partitions: [0], marks: [], position: ROWS, ingest: TIME, epoch: recovered.epoch, version: recovered.version,
      counts: ([{ written, refused }]) => ({ '': { ...noCounts(), received: ROWS, written, dead_lettered: refused } })
    })
    const rows = await place.query(`SELECT (extract(epoch FROM time) * 1000)::float8 AS time, value FROM ${pipeline}`)
    const there = new Map(rows.map(r => [r.time, r.value]))
    let missing = 0
    for (let i = 0; i < ROWS; i++) if (!bad.has(i) && there.get(TIME + i) !== i / 8) missing++
    const letters = await place.query('SELECT reason, detail FROM dead_letters WHERE pipeline = $1', [pipeline])
    const [{ tries }] = await place.query(`SELECT last_value::int AS tries FROM ${pipeline}_tries`)
    return { outcome, rows: rows.length, letters, tries, missing }
  } finally {
    await store.close()
  }
}

export const badRows: Row = {
  id: 'B6', name: 'bad rows in a COPY batch of 4,096',
  rounds: { commit: 2, nightly: 50 },
  run: ({ seed, rounds, say }) => inPlace(async place => {
    const random = chance(seed), wrong: Record<string, boolean> = {}
    const allowed = (bad: number) => bad * 2 * Math.log2(ROWS) + 2           // two more: the second transaction begins with the whole batch again, and ends with what is good
    let batches = 0, bad = 0, stored = 0, most = 0
    const expect = (what: string, found: Outcomes, count: number, tries: number) => {
      batches++
      bad += count
      stored += found.rows
      most = Math.max(most, (found.tries - 1) / Math.max(1, count))
      if (found.missing > 0 || found.rows !== ROWS - count || found.outcome.written !== ROWS - count) wrong[`${what}: ${found.rows} rows, ${found.missing} good ones missing`] = true
      if (found.letters.length !== count || found.outcome.refused !== count || found.letters.some(l => l.detail === '')) wrong[`${what}: ${found.letters.length} dead letters for ${count} bad rows`] = true
      if (found.tries - 1 > tries) wrong[`${what}: ${found.tries - 1} more tries, ${tries} are allowed`] = true
    }
    const rename = (name: string) => (b: { series: Int32Array }, table: SeriesTable) => { b.series[77] = table.id('acme', name, 'temp'); return [77] }
    for (let k = 0; k < rounds; k++) {
      expect('none', await commit(place, `none${k}`, () => []), 0, 0)
      // known to be bad before they are sent: not one more try
      expect('NUL in a name', await commit(place, `nul${k}`, rename('boi\0ler')), 1, 0)
      expect('a lone surrogate in a name', await commit(place, `surrogate${k}`, rename('boi\ud800ler')), 1, 0)
      expect('a time that is none', await commit(place, `time${k}`, ({ time }) => { time[0] = NaN; time[ROWS - 1] = 1e300; return [0, ROWS - 1] }), 2, 0)
      expect('seq overflows', await commit(place, `seq${k}`, ({ seq }) => { seq[1000] = 32_768; return [1000] }), 1, 0)
      // found out by the database alone
      for (const count of [1, 3, 16]) {
        const at = shuffle(Array.from({ length: ROWS }, (_, i) => i), random).slice(0, count)
        expect(`${count} refused by a CHECK`, await commit(place, `check${count}_${k}`, ({ value }) => { for (const i of at) value[i] = 1e6 + i; return at }), count, allowed(count))
      }
    }
    return judge({ batches, bad_rows: bad, rows: stored, most_extra_tries_per_bad_row: Math.round(most * 10) / 10, allowed: allowed(1) }, wrong, say)
  })
}
