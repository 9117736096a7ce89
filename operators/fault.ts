import { defineOperator, Type, type SeriesTable } from '#engine'
import { blamed, stand, standing } from '../models/blame.ts'
import { name, naming, type Said } from '../models/naming.ts'

/**
 * What is wrong with the sensor of a series, by name, from what `hygiene`, `anomaly` and `peers` say: see models/naming.ts for
 * the rule. What they say within 100 readings is one event; its name may change while evidence comes in. Where metrics of a device
 * disagree, `peers` is heard only of the one that explains it, see models/blame.ts.
 *
 *   fault             1 stuck, 2 spike, 3 drift, 4 shift, 5 dropout, 6 clock, 7 noise, 8 clip, 9 unit; 0 nothing
 *   fault_readings    readings since it began, 1 for the first; 0 when nothing is wrong
 *
 * 120 bytes per series, 8 per device.
 */
export const fault = defineOperator({
  name: 'fault',
  summary: 'What is wrong with the sensor of each series, by name, from what hygiene, anomaly and peers say.',
  options: Type.Object({}),
  needs: ['hygiene', 'hygiene_spike', 'hygiene_rate', 'anomaly_alarm', 'anomaly_signal', 'peers_alarm', 'peers_deviation', 'peers_rest'],
  adds: ['fault', 'fault_readings'],
  version: 2,                            // which metric explains that others disagree
  learns: true,
  perSeries: { event: naming, own: standing },
  perDevice: { rows: 0 },
  crosses: true,

  process (batch, _options, { event: { data, width }, own, rows }, { series: table }) {
    const { hygiene, hygiene_spike: spike, hygiene_rate: rate, anomaly_alarm: anomaly, anomaly_signal: signal, peers_alarm: peers, peers_deviation: deviation, peers_rest: rest } = batch.columns
    const fault = new Float64Array(batch.length), readings = new Float64Array(batch.length)
    const said: Said = { hygiene: 0, spike: 0, rate: 0, anomaly: 0, signal: 0, peers: 0 }
    for (let i = 0; i < batch.length; i++) {
      const s = batch.series[i], device = table.deviceOf[s], at = s * width, row = ++rows[device]
      said.hygiene = hygiene[i]
      said.spike = spike[i]
      said.rate = rate[i]
      said.anomaly = anomaly[i]
      said.signal = signal[i]
      stand(own.data, s * own.width, deviation[i], rest[i], row)
      said.peers = peers[i] === 1 && blamed(own.data, s * own.width, placesOf(table, device, own.width), row) ? 0 : peers[i]
      fault[i] = name(data, at, said)
      readings[i] = data[at]
    }
    return batch.with({ fault, fault_readings: readings })
  }
})

/** Where the series of a device are in the memory of all. */
function placesOf (table: SeriesTable, device: number, width: number): number[] {
  const places: number[] = []
  for (let s = table.firstOf(device); s >= 0; s = table.nextOf(s)) places.push(s * width)
  return places
}
