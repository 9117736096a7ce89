/*
 * Setup of the function node "insert": gives the node `write(batch)`. A statement for all rows of a batch, from arrays: as cheap here as
 * COPY, and a row that is there already, because its message was sent again, is left alone, on which COPY would fail. What belongs to one
 * batch is one transaction.
 */
const array = values => `{${values.join(',')}}`
const column = (rows, k) => array(rows.map(row => row[k] ?? 'NULL'))
const rows = { name: 'rows', text: 'INSERT INTO readings (series, time, value) SELECT s, to_timestamp(t / 1000), v FROM unnest($1::int[], $2::float8[], $3::float8[]) AS r (s, t, v) ON CONFLICT DO NOTHING' }
const named = { name: 'named', text: 'INSERT INTO series_named SELECT * FROM unnest($1::int[], $2::text[], $3::text[]) ON CONFLICT DO NOTHING' }
const windows = { name: 'windows', text: `INSERT INTO features SELECT s, to_timestamp(t / 1000), a, b, c, d, e, f, g, h FROM unnest($1::int[], $2::float8[], ${Array.from({ length: 8 }, (_, k) => `$${k + 3}::float8[]`).join(', ')}) AS w (s, t, a, b, c, d, e, f, g, h) ON CONFLICT DO NOTHING` }
const alerts = { name: 'alerts', text: 'INSERT INTO alerts SELECT s, to_timestamp(t / 1000), state FROM unnest($1::int[], $2::float8[], $3::text[]) AS a (s, t, state)' }

const client = new pg.Client(env.get('DATABASE'))
await client.connect()
let last = Promise.resolve()

/** One after the other, in their order. */
globalThis.write = batch => {
  last = last.then(() => insert(batch), () => insert(batch))
  return last
}

async function insert (batch) {
  const more = [[named, batch.named, 3], [windows, batch.windows, 10], [alerts, batch.alerts, 3]].filter(([, rows]) => rows.length > 0)
  if (more.length > 0) await client.query('BEGIN')
  await client.query({ ...rows, values: [array(batch.series), array(batch.times), array(batch.values)] })
  for (const [statement, rows, columns] of more) await client.query({ ...statement, values: Array.from({ length: columns }, (_, k) => column(rows, k)) })
  if (more.length > 0) await client.query('COMMIT')
}
