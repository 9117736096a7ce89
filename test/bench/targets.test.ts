/** A figure that misses what was asked for ends the program with 1: only of the data, and at the size, that it was asked of. */
import t from 'tap'
import { calibration } from '../../bench/calibration.ts'
import { detect } from '../../bench/detect.ts'
import { driftBench } from '../../bench/drift.ts'
import { faultsFound } from '../../bench/faults-found.ts'
import { forecasting } from '../../bench/forecast.ts'
import type { Benchmark, Figures, Options } from '../../bench/measure.ts'
import { nab } from '../../bench/nab.ts'
import { skab } from '../../bench/skab.ts'
import { tep } from '../../bench/tep.ts'
import { thresholdTime } from '../../bench/threshold-time.ts'
import { verdictBench } from '../../bench/verdict.ts'

const others = { data: '/somewhere/else' }

/**
 * A row that just meets what was asked for has no fault. With each of `beyond` in its place it has one that names it and says what is
 * asked for, and none any more with each of `unasked`, options of other data or of a smaller size.
 */
function judges (name: string, bench: Benchmark, row: Figures, beyond: Readonly<Record<string, number>>, unasked: readonly Options[] = [others]): void {
  t.test(name, async t => {
    const options = Object.fromEntries(Object.entries(bench.options ?? {}).map(([name, { default: usual }]) => [name, usual])), of = (figures: Figures, more: Options = {}) => bench.fault!({ ...row, ...figures }, { ...options, ...more })
    t.equal(of({}), undefined)
    for (const [figure, value] of Object.entries(beyond)) {
      t.match(of({ [figure]: value }), new RegExp(`${figure} is ${value}, asked for .*\\d`), `${figure} ${value}`)
      t.match(of({ [figure]: NaN }), new RegExp(figure), 'no number')
      for (const more of unasked) t.equal(of({ [figure]: value }, more), undefined, JSON.stringify(more))
    }
  })
}

judges('nab', nab, { standard: 64, low_fp: 50, standard_fixed_threshold: 61, files: 38 }, { standard: 63.99, low_fp: 49.9, standard_fixed_threshold: 60.9 }, [others, { truncate: '0.5' }])
judges('skab', skab, { cpd_standard: 26 }, { cpd_standard: 25.9 }, [others, { planted: '1' }])
judges('tep, fault 1', tep, { fault: 1, delay_samples: 10, false_alarm_rate: 0.01 }, { delay_samples: 11, false_alarm_rate: 0.0101 })
judges('tep, a fault that is not found', tep, { fault: 4, delay_samples: 0, false_alarm_rate: 0 }, { delay_samples: -1 })
judges('tep, another fault', tep, { fault: 3, delay_samples: -1, false_alarm_rate: 1 }, {})
judges('calibration', calibration, { process: 'heavy', nominal: 1e-3, empirical: 0.002 }, { empirical: 0.00201 }, [others, { length: '21000' }])
judges('calibration, too few', calibration, { process: 'ar(0.9)', nominal: 1e-4, empirical: 0.00005 }, { empirical: 0.000049 }, [others, { series: '9' }])
judges('calibration of what was not asked for', calibration, { process: 'lognormal', nominal: 1e-4, empirical: 0.1 }, {})
judges('forecast', forecasting, { series: 207, owa: 0.48, mase: 0.88, coverage_95: 0.97, msis: 10 }, { owa: 0.481, mase: 0.881, coverage_95: 0.929, msis: 10.1 })
judges('forecast where series shift, whatever the data', forecasting, { case: 'shift', horizon: 24, coverage_95: 0.93 }, { coverage_95: 0.971 }, [])
judges('forecast, its cost', forecasting, { case: 'cost' }, {})
judges('threshold-time', thresholdTime, { coverage_80: 0.82 }, { coverage_80: 0.779 }, [others, { units: '999' }, { above: '50' }])
judges('verdict', verdictBench, { diagonal_min: 0.9 }, { diagonal_min: 0.899 }, [others, { causes: '48' }, { plant: 'nights' }])
judges('detect', detect, { ns_per_reading: 250, bytes_per_series: 1024 }, { ns_per_reading: 251, bytes_per_series: 1032 }, [others, { series: '10' }, { each: '100' }])
judges('drift where there is none', driftBench, { case: 'ar(0.9)', n: 100, false_alarm_rate: 0.01 }, { false_alarm_rate: 0.011 }, [others, { runs: '100' }])
judges('drift that is there', driftBench, { case: '0.5 sd, iid', n: 500, found: 0.9 }, { found: 0.899 }, [others, { runs: '100' }])
judges('a delay beside that of river', driftBench, { case: 'adwin', delay: 28, river_delay: 28 }, { delay: 28.1 })
judges('drift, what was not asked for', driftBench, { case: 'heavy', n: 100, false_alarm_rate: 1 }, {})

const found = (name: string, row: Figures, beyond: Readonly<Record<string, number>>) => { judges(name, { ...faultsFound, options: { ...faultsFound.options, faults: { type: 'string', default: '200' }, weeks: { type: 'string', default: '100' } } }, row, beyond, [others, { faults: '199' }, { weeks: '99' }]) }
found('faults-found', { kind: 'spike', recall: 0.95, named_right: 0.9, false_alarms_of_all_kinds_per_device_week: 1 }, { recall: 0.949, named_right: 0.899, false_alarms_of_all_kinds_per_device_week: 1.01 })
