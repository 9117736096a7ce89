/*
 * Setup of the function node "readings": gives the node `take(topic, reading)`. Rows in batches for the node behind it, and of the flow
 * STATS also what our pipeline does: validate, dedupe, windows of 10 s with 8 features by the device's own time, alerts.
 */
const MIN = -100, MAX = 1000, HIGH = 500
const AHEAD = 3_600_000, EVERY = 10_000, LATENESS = 2000      // ms
const MOST = 5000, WAIT = 100        // rows of a batch; ms after the first

const stats = env.get('FLOW') === 'STATS'
const devices = new Map(), all = new Map()       // by name; series by topic
let batch = empty(), timer

const client = new pg.Client(env.get('DATABASE'))
await client.connect()
const { rows: known } = await client.query('SELECT series, device, metric FROM series_named')
await client.end()
for (const { series, device, metric } of known) add(series, device, metric)

globalThis.take = (topic, { ts, value }) => {
  const series = all.get(topic.slice(topic.indexOf('/') + 1)) ?? appear(topic)
  if (!Number.isFinite(value) || !(ts <= Date.now() + AHEAD)) return
  if (stats && !collect(series, ts, value)) return
  batch.series.push(series.id)
  batch.times.push(ts)
  batch.values.push(value)
  if (batch.series.length >= MOST) flush()
  else timer ??= setTimeout(flush, WAIT)
}

function empty () { return { named: [], series: [], times: [], values: [], windows: [], alerts: [] } }

function flush () {
  clearTimeout(timer)
  timer = undefined
  node.send({ payload: batch }, false)
  batch = empty()
}

function add (id, deviceName, metric) {
  let device = devices.get(deviceName)
  if (device === undefined) devices.set(deviceName, device = { time: -Infinity, closes: -Infinity, series: [] })
  const series = { id, device, windows: [], firing: false }
  device.series.push(series)
  all.set(`${deviceName}/${metric}`, series)
  return series
}

function appear (topic) {
  const [, device, metric] = topic.split('/'), series = add(all.size + 1, device, metric)
  batch.named.push([series.id, device, metric])
  return series
}

/** False when the reading is no row. */
function collect (series, ts, value) {
  if (value < MIN || value > MAX) return false
  const { device } = series, start = Math.floor(ts / EVERY) * EVERY
  let window = series.windows.find(w => w.start === start)
  if (window === undefined) {
    if (start + EVERY <= device.time - LATENESS) return true           // late: a row, but of no window
    window = { start, seen: new Map(), n: 0, sum: 0, mean: 0, m2: 0, squares: 0, min: Infinity, max: -Infinity, t: 0, tt: 0, tv: 0 }
    series.windows.push(window)
  }
  if (window.seen.get(ts) === value) return false                      // a duplicate
  window.seen.set(ts, value)
  const delta = value - window.mean, t = (ts - start) / 1000
  window.n++
  window.sum += value
  window.mean += delta / window.n
  window.m2 += delta * (value - window.mean)
  window.squares += value * value
  window.min = Math.min(window.min, value)
  window.max = Math.max(window.max, value)
  window.t += t
  window.tt += t * t
  window.tv += t * value
  if (ts > device.time) {
    device.time = ts
    if (ts - LATENESS >= device.closes) close(device)
  }
  if (value > HIGH !== series.firing) {
    series.firing = !series.firing
    batch.alerts.push([series.id, ts, series.firing ? 'firing' : 'resolved'])
  }
  return true
}

function close (device) {
  const until = device.time - LATENESS
  for (const series of device.series) {
    for (const w of series.windows) {
      if (w.start + EVERY > until) continue
      const spread = w.n * w.tt - w.t * w.t
      batch.windows.push([series.id, w.start, w.n, w.sum / w.n, w.n > 1 ? Math.sqrt(w.m2 / (w.n - 1)) : null, w.min, w.max, Math.sqrt(w.squares / w.n), w.max - w.min, spread > 0 ? (w.n * w.tv - w.t * w.sum) / spread : null])
    }
    if (series.windows.length > 0) series.windows = series.windows.filter(w => w.start + EVERY > until)
  }
  device.closes = Math.floor(until / EVERY) * EVERY + EVERY
}
