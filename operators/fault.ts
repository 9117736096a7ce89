import { defineOperator, Type } from '#engine'
import { name, naming, type Said } from '../models/naming.ts'

/**
 * What is wrong with the sensor of a series, by name, from what `hygiene`, `anomaly` and `peers` say: see models/naming.ts for
 * the rule. What they say within 100 readings is one event; its name may change while evidence comes in.
 *
 *   fault             1 stuck, 2 spike, 3 drift, 4 shift, 5 dropout, 6 clock, 7 noise, 8 clip, 9 unit; 0 nothing
 *   fault_readings    readings since it began, 1 for the first; 0 when nothing is wrong
 *
 * 96 bytes per series.
 */
export const fault = defineOperator({
  name: 'fault',
  summary: 'What is wrong with the sensor of each series, by name, from what hygiene, anomaly and peers say.',
  options: Type.Object({}),
  needs: ['hygiene', 'hygiene_spike', 'hygiene_rate', 'anomaly_alarm', 'anomaly_signal', 'peers_alarm'],
  adds: ['fault', 'fault_readings'],
  learns: true,
  perSeries: { event: naming },

  process (batch, _options, { event: { data, width } }) {
    const { hygiene, hygiene_spike: spike, hygiene_rate: rate, anomaly_alarm: anomaly, anomaly_signal: signal, peers_alarm: peers } = batch.columns
    const fault = new Float64Array(batch.length), readings = new Float64Array(batch.length)
    const said: Said = { hygiene: 0, spike: 0, rate: 0, anomaly: 0, signal: 0, peers: 0 }
    for (let i = 0; i < batch.length; i++) {
      const at = batch.series[i] * width
      said.hygiene = hygiene[i]
      said.spike = spike[i]
      said.rate = rate[i]
      said.anomaly = anomaly[i]
      said.signal = signal[i]
      said.peers = peers[i]
      fault[i] = name(data, at, said)
      readings[i] = data[at]
    }
    return batch.with({ fault, fault_readings: readings })
  }
})
