"""Writes features.json: what numpy, scipy and tsfresh make of a few signals. python3 features.py > features.json"""
import json
import math
import platform
import sys
import numpy
import scipy
import scipy.signal
import scipy.stats
import tsfresh
from tsfresh.feature_extraction import feature_calculators as ts

random = numpy.random.default_rng(4)


def spectral(x, rate, bands, carrier, envelope):
    size = 2 ** math.ceil(math.log2(len(x)))

    def energy(density, step, band):
        f = numpy.arange(len(density)) * step
        return float(density[(f >= band[0]) & (f < band[1])].sum() * step)

    def power(values):
        return scipy.signal.periodogram(values, rate, window='hann', nfft=size, detrend='constant', scaling='density')

    f, density = power(x)
    p = density[1:] / density[1:].sum()
    top = int(density[1:].argmax()) + 1
    a, b, c = numpy.log(density[top - 1:top + 2])
    transform = numpy.fft.fft(x - x.mean(), size)
    positive = numpy.fft.rfftfreq(size, 1 / rate)
    kept = (positive >= carrier[0]) & (positive < carrier[1])
    passed = numpy.fft.irfft(transform[:size // 2 + 1] * kept, size)
    around = numpy.abs(scipy.signal.hilbert(passed))[:len(x)]
    _, modulation = power(around)
    return {
        **{f'band_energy_{k + 1}': energy(density, rate / size, band) for k, band in enumerate(bands)},
        'centroid': float((f[1:] * p).sum()),
        'peak_frequency': float((top + (a - c) / (2 * (a - 2 * b + c))) * rate / size),
        'spectral_entropy': float(-(p * numpy.log(p)).sum() / math.log(len(p))),
        **{f'envelope_energy_{k + 1}': energy(modulation, rate / size, band) for k, band in enumerate(envelope)},
    }


def case(name, x, rate, bands, carrier, envelope, lag, order):
    x = numpy.round(x, 6)
    seconds = numpy.arange(len(x)) / rate
    line = scipy.stats.linregress(seconds, x)
    rms, peak, size = math.sqrt((x ** 2).mean()), numpy.abs(x).max(), numpy.abs(x).mean()
    return {
        'name': name, 'interval': 1000 / rate, 'values': x.tolist(), 'lag': lag, 'order': order, 'bands': bands, 'carrier': carrier, 'envelope': envelope,
        'expected': {
            'count': len(x), 'mean': x.mean(), 'std': x.std(), 'var': x.var(), 'min': x.min(), 'max': x.max(), 'range': numpy.ptp(x), 'rms': rms, 'peak': peak, 'crest': peak / rms, 'shape': rms / size, 'impulse': peak / size,
            'skewness': scipy.stats.skew(x, bias=True), 'kurtosis': scipy.stats.kurtosis(x, fisher=False, bias=True),
            'slope': line.slope, 'intercept': line.intercept, 'r2': line.rvalue ** 2,
            'mean_linear': numpy.trapezoid(x, seconds) / seconds[-1], 'mean_held': x[:-1].mean(), 'duty_cycle': (x[:-1] > 0).mean(),
            'zero_crossings': ts.number_crossing_m(x, 0), 'mean_crossings': ts.number_crossing_m(x, x.mean()),
            'autocorrelation': ts.autocorrelation(x, lag), 'permutation_entropy': ts.permutation_entropy(x, 1, order) / math.log(math.factorial(order)),
            'median': numpy.median(x), **{f'p{q:02d}': numpy.quantile(x, q / 100) for q in (1, 5, 10, 25, 75, 90, 95, 99)},
            'iqr': scipy.stats.iqr(x), 'mad': scipy.stats.median_abs_deviation(x),
            **spectral(x, rate, bands, carrier, envelope),
        },
    }


t = numpy.arange(300) / 100
impacts = (numpy.arange(480) % 40 == 0).astype(float)
ringing = numpy.exp(-numpy.arange(30) / 6) * numpy.sin(2 * math.pi * 500 * numpy.arange(30) / 2000)
cases = [
    case('noise', random.normal(20, 5, 200), 1, [[0, 0.1], [0.1, 0.6]], [0, 1], [[0, 0.5]], 1, 3),
    case('a sine of 7 Hz', 3 * numpy.sin(2 * math.pi * 7 * t) + random.normal(0, 0.2, 300), 100, [[6, 8], [0, 6], [8, 51]], [0, 50], [[0.5, 5]], 7, 4),
    case('few values, many ties', random.integers(0, 4, 64).astype(float), 10, [[0, 6]], [0, 6], [[0, 6]], 2, 3),
    case('a trend', 1e5 + 0.25 * numpy.arange(128) + random.normal(0, 1, 128), 0.1, [[0.01, 0.05]], [0, 1], [[0, 1]], 3, 5),
    case('heavy tails', random.standard_t(2, 150) - 1, 4, [[0, 1]], [0.5, 2], [[0.1, 1]], 1, 3),
    case('impacts of a bearing, 50 Hz, that ring at 500 Hz', numpy.convolve(impacts, ringing)[:480] + random.normal(0, 0.05, 480), 2000, [[400, 600], [40, 60]], [300, 700], [[40, 60], [90, 110], [60, 90]], 40, 3),
]
json.dump({
    'made by': 'features.py', 'python': platform.python_version(), 'numpy': numpy.__version__, 'scipy': scipy.__version__, 'tsfresh': tsfresh.__version__, 'cases': cases,
}, sys.stdout, default=float, indent=None, separators=(',', ':'))
print()
