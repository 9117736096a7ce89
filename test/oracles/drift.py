"""Writes drift.json: what scipy and river make of streams with and without a change; takes minutes. python3 drift.py > drift.json"""
import json
import math
import platform
import random
import sys
import numpy
import river
import scipy
import scipy.stats
from river import drift

RUN_LENGTH = 10_000
BEFORE = 1000        # readings before the shift, and up to 31 more, since ADWIN looks at every 32nd

generator = numpy.random.default_rng(4)


def fired(detector, values):
    out = []
    for i, x in enumerate(values):
        detector.update(x)
        if detector.drift_detected:
            out.append(i)
    return out


def streams():
    documented = random.Random(12345)
    yield 'documented', documented.choices([0, 1], k=1000) + documented.choices(range(4, 8), k=1000)
    normal = generator.standard_normal(3000)
    yield 'normal, 1 up at 1000, 3 down at 2000', numpy.round(normal + numpy.repeat([0, 1, -2], 1000), 3).tolist()
    level = numpy.cumsum(generator.standard_normal(1500) * 0.05)
    yield 'wandering', numpy.round(level + generator.standard_normal(1500), 3).tolist()


def fires():
    for name, values in streams():
        yield {
            'name': name, 'values': values,
            'adwin': [{'confidence': c, 'at': fired(drift.ADWIN(delta=c), values)} for c in (0.002, 0.3, 2)],
            'page_hinkley': [{'allowance': a, 'threshold': t, 'forget': f, 'samples': n, 'at': fired(drift.PageHinkley(delta=a, threshold=t, alpha=f, min_instances=n), values)}
                             for a, t, f, n in ((0.005, 50, 1 - 0.0001, 30), (0.005, 50, 1, 30), (0.5, 8, 1, 30), (0.5, 8, 1 - 0.0001, 30), (0.1, 10, 0.999, 5))],
        }


def kolmogorov_smirnov():
    values = numpy.round(numpy.concatenate([generator.standard_normal(150), generator.standard_normal(150) * 2 + 0.5]), 2)
    return {'values': values.tolist(), 'distance': [float(scipy.stats.ks_2samp(values[i - 99:i - 29], values[i - 29:i + 1]).statistic) for i in range(99, len(values))]}


def comparison(name, reference, current, bins=10):
    reference, current = numpy.round(reference, 4), numpy.round(current, 4)
    edges = numpy.quantile(reference, numpy.arange(1, bins) / bins, method='inverted_cdf')
    n, m = len(reference), len(current)
    was, now = (numpy.bincount(numpy.searchsorted(edges, x, side='left'), minlength=bins) for x in (reference, current))
    p, q = (was + 0.5) / (n + bins / 2), (now + 0.5) / (m + bins / 2)
    few = 1 / n + 1 / m
    psi = ((p - q) * numpy.log(p / q)).sum() - (bins - 1) * few
    js = (scipy.stats.entropy(p, (p + q) / 2, base=2) + scipy.stats.entropy(q, (p + q) / 2, base=2)) / 2 - (bins - 1) * few / 8 / math.log(2)
    ks = numpy.abs(numpy.cumsum(was / n) - numpy.cumsum(now / m)).max()
    return {
        'name': name, 'reference': reference.tolist(), 'current': current.tolist(),
        'psi': max(psi, 0), 'js': math.sqrt(max(js, 0)), 'ks': ks, 'wasserstein': scipy.stats.wasserstein_distance(reference, current) / reference.std(),
        'chi_square': scipy.stats.chi2_contingency([was, now], correction=False).pvalue,
    }


def comparisons():
    for name, current in (('the same', generator.standard_normal(200)), ('mean', generator.standard_normal(200) + 0.6), ('spread', generator.standard_normal(200) * 2),
                          ('far', generator.standard_normal(200) + 8), ('shape', generator.choice([-1, 1], 200) + generator.standard_normal(200) * 0.2)):
        yield comparison(name, generator.standard_normal(300), current)


def tails():
    return {
        'chi_square': [[x, k, float(scipy.stats.chi2.sf(x, k))] for k in (1, 2, 5, 8, 9) for x in (0.5, 4, 16, 40)],
        'kolmogorov': [[x, float(scipy.stats.kstwobign.sf(x))] for x in (0.5, 0.8, 1.2, 1.6, 2, 2.5)],
        'student': [[t, k, float(scipy.stats.norm.isf(scipy.stats.t.sf(t, k)))] for k in (30, 100, 1000) for t in (0.5, 1, 2, 3, 4)],
    }


def run_lengths(detector, runs, seed):
    """The lengths of so many runs without a change."""
    noise, out = numpy.random.default_rng(seed), []
    for _ in range(runs):
        d, n = detector(), 0
        while not d.drift_detected:
            for x in noise.standard_normal(1000).tolist():
                d.update(x)
                n += 1
                if d.drift_detected:
                    break
        out.append(n)
    return out


def matched(make, low, high, longer_when_larger):
    """The parameter with an average run length of RUN_LENGTH: by halving on the logarithm."""
    for step in range(9):
        middle = math.sqrt(low * high)
        if (numpy.mean(run_lengths(lambda: make(middle), 60 if step < 4 else 300, 100 + step)) < RUN_LENGTH) == longer_when_larger:
            low = middle
        else:
            high = middle
    return math.sqrt(low * high)


def delays(detector, shift, runs, seed):
    noise, out = numpy.random.default_rng(seed), []
    while len(out) < runs:
        d, at = detector(), BEFORE + len(out) % 32
        if fired_at(d, noise.standard_normal(at).tolist()) is not None:
            continue
        after = None
        n = 0
        while after is None:
            after = fired_at(d, (noise.standard_normal(1000) + shift).tolist())
            n += after + 1 if after is not None else 1000
        out.append(n)
    return out


def fired_at(detector, values):
    for i, x in enumerate(values):
        detector.update(x)
        if detector.drift_detected:
            return i
    return None


def matches():
    for name, make, low, high, larger in (
        ('adwin', lambda p: drift.ADWIN(delta=p), 0.01, 10, False),
        ('page_hinkley', lambda p: drift.PageHinkley(threshold=p), 10, 400, True),
        ('page_hinkley, delta 0.5', lambda p: drift.PageHinkley(delta=0.5, threshold=p), 4, 32, True),
        ('page_hinkley, delta 0.5, alpha 1', lambda p: drift.PageHinkley(delta=0.5, threshold=p, alpha=1), 4, 16, True),
    ):
        parameter = matched(make, low, high, larger)
        lengths, late = run_lengths(lambda: make(parameter), 300, 1), delays(lambda: make(parameter), 1, 400, 2)
        yield {
            'detector': name, 'parameter': parameter, 'average_run_length': numpy.mean(lengths), 'run_length_error': scipy.stats.sem(lengths),
            'delay': numpy.mean(late), 'delay_error': scipy.stats.sem(late), 'delay_p95': numpy.quantile(late, 0.95), 'runs': len(late),
        }
        print(name, 'done', file=sys.stderr)


json.dump({
    'made by': 'drift.py', 'python': platform.python_version(), 'numpy': numpy.__version__, 'scipy': scipy.__version__, 'river': river.__version__,
    'fires': list(fires()), 'kolmogorov_smirnov': kolmogorov_smirnov(), 'comparisons': list(comparisons()), 'tails': tails(),
    'matched': {'shift': 1, 'run_length': RUN_LENGTH, 'before': BEFORE, 'detectors': list(matches())},
}, sys.stdout, separators=(',', ':'), default=float)
print()
