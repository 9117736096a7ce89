/** A figure that misses what was asked for ends the program with 1: only of the data, and at the size, that it was asked of. */
import t from 'tap'
import { calibration } from '../../bench/calibration.ts'
import { detect } from '../../bench/detect.ts'
import { driftBench } from '../../bench/drift.ts'
import { faultsFound } from '../../bench/faults-found.ts'
import { features } from '../../bench/features.ts'
import { forecasting } from '../../bench/forecast.ts'
import type { Benchmark, Figures, Options } from '../../bench/measure.ts'
import { nab } from '../../bench/nab.ts'
import { skab } from '../../bench/skab.ts'
import { tep } from '../../bench/tep.ts'
import { thresholdTime } from '../../bench/threshold-time.ts'
import { verdictBench } from '../../bench/verdict.ts'

const others = { data: '/somewhere/else' }

/**
 * A row that just meets what was asked for has no fault. With each number of `beyond` in its place it has one that names it and says what is
 * asked for, and none any more with each of `unasked`, options of other data or of a smaller size.
 */
function judges (name: string, bench: Benchmark, row: Figures, beyond: Readonly<Record<string, number | readonly number[]>>, unasked: readonly Options[] = [others]): void {
  t.test(name, async t => {
    const options = Object.fromEntries(Object.entries(bench.options ?? {}).map(([name, { default: usual }]) => [name, usual])), of = (figures: Figures, more: Options = {}) => bench.fault!({ ...row, ...figures }, { ...options, ...more })
    t.equal(of({}), undefined)
    for (const [figure, value] of Object.entries(beyond).flatMap(([figure, values]) => [values].flat().map(value => [figure, value] as const))) {
      t.match(of({ [figure]: value }), new RegExp(`${figure} is ${value}, asked for .*\\d`), `${figure} ${value}`)
      t.match(of({ [figure]: NaN }), new RegExp(figure), 'no number')
      for (const more of unasked) t.equal(of({ [figure]: value }, more), undefined, JSON.stringify(more))
    }
  })
}

judges('features', features, { max_relative_error: 1e-12, max_relative_error_offset: 1e-9, ns_per_reading: 120 }, { max_relative_error: 1.01e-12, max_relative_error_offset: 1.01e-9 }, [])
judges('features, their time', features, { max_relative_error: 0, max_relative_error_offset: 0, ns_per_reading: 120 }, { ns_per_reading: 121 })
judges('nab', nab, { standard: 64, low_fp: 50, standard_fixed_threshold: 61, files: 38 }, { standard: 63.99, low_fp: 49.9, standard_fixed_threshold: 60.9 }, [others, { truncate: '0.5' }])
judges('skab', skab, { cpd_standard: 26 }, { cpd_standard: 25.9 }, [others, { planted: '1' }])
for (const fault of [1, 4]) judges(`tep, fault ${fault}`, tep, { fault, delay_samples: 10, false_alarm_rate: 0.01 }, { delay_samples: [11, -1], false_alarm_rate: 0.0101 })
judges('tep, another fault', tep, { fault: 3, delay_samples: -1, false_alarm_rate: 1 }, {})
for (const process of ['iid', 'ar(0.9)', 'seasonal', 'heavy']) {
  for (const nominal of [1e-3, 1e-4]) judges(`calibration, ${process} at ${nominal}`, calibration, { process, nominal, empirical: nominal }, { empirical: [2.01 * nominal, 0.49 * nominal] }, [others, { length: '21000' }, ...nominal < 1e-3 ? [{ series: '9' }] : []])
}
judges('calibration of what was not asked for', calibration, { process: 'lognormal', nominal: 1e-4, empirical: 0.1 }, {})
judges('forecast', forecasting, { series: 207, owa: 0.48, mase: 0.88, coverage_95: 0.97, msis: 10 }, { owa: 0.481, mase: 0.881, coverage_95: [0.929, 0.971], msis: 10.1 })
judges('forecast where series shift, whatever the data', forecasting, { case: 'shift', horizon: 24, coverage_95: 0.93 }, { coverage_95: [0.929, 0.971] }, [])
judges('forecast, its cost', forecasting, { case: 'cost' }, {})
judges('threshold-time', thresholdTime, { coverage_80: 0.82 }, { coverage_80: [0.779, 0.821] }, [others, { units: '999' }, { above: '50' }])
judges('verdict', verdictBench, { diagonal_min: 0.9 }, { diagonal_min: 0.899 }, [others, { causes: '48' }, { plant: 'nights' }])
judges('detect', detect, { ns_per_reading: 250, bytes_per_series: 1024 }, { ns_per_reading: 251, bytes_per_series: 1032 }, [others, { series: '10' }, { each: '100' }])
for (const process of ['iid', 'ar(0.9)']) for (const n of [100, 200, 500, 1000, 2000]) judges(`drift where there is none, ${process}, ${n}`, driftBench, { case: process, n, false_alarm_rate: 0.01 }, { false_alarm_rate: 0.011 }, [others, { runs: '100' }])
judges('drift that is there', driftBench, { case: '0.5 sd, iid', n: 500, found: 0.9 }, { found: 0.899 }, [others, { runs: '100' }])
for (const method of ['adwin', 'page_hinkley']) judges(`the delay of ${method} beside that of river`, driftBench, { case: method, delay: 28, river_delay: 28 }, { delay: 28.1 })
judges('drift, what was not asked for', driftBench, { case: 'heavy', n: 100, false_alarm_rate: 1 }, {})

const found = (name: string, row: Figures, beyond: Readonly<Record<string, number>>) => { judges(name, { ...faultsFound, options: { ...faultsFound.options, faults: { type: 'string', default: '200' }, weeks: { type: 'string', default: '100' } } }, row, beyond, [others, { faults: '199' }, { weeks: '99' }]) }
found('faults-found', { kind: 'spike', recall: 0.95, named_right: 0.9, false_alarms_of_all_kinds_per_device_week: 1 }, { recall: 0.949, named_right: 0.899, false_alarms_of_all_kinds_per_device_week: 1.01 })
