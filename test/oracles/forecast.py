"""Writes forecast.json: what statsmodels, scipy and plain formulas make of a few series. python3 forecast.py > forecast.json"""
import json
import platform
import numpy
import scipy
import scipy.integrate
import scipy.stats
import statsmodels
from statsmodels.tsa.exponential_smoothing.ets import ETSModel
from statsmodels.tsa.seasonal import seasonal_decompose
from statsmodels.tsa.stattools import acf

random = numpy.random.default_rng(4)


def holt_winters():
    season, n, horizon = 7, 60, 20
    x = 50 + 0.3 * numpy.arange(n) + 8 * numpy.sin(2 * numpy.pi * numpy.arange(n) / season) + random.normal(0, 1, n)
    first = {'level': 49.0, 'trend': 0.2, 'season': [0.5, 6.0, 7.5, 3.0, -3.5, -7.0, -6.5]}
    gains = {'level': 0.2, 'trend': 0.05, 'season': 0.1}
    model = ETSModel(x, error='add', trend='add', damped_trend=True, seasonal='add', seasonal_periods=season, initialization_method='known',
                     initial_level=first['level'], initial_trend=first['trend'], initial_seasonal=first['season'])
    values = {'smoothing_level': gains['level'], 'smoothing_trend': gains['trend'], 'smoothing_seasonal': gains['season'], 'damping_trend': 0.98,
              'initial_level': first['level'], 'initial_trend': first['trend'], **{f'initial_seasonal.{i}': s for i, s in enumerate(first['season'])}}
    fitted = model.smooth([values[name] for name in model.param_names])
    return {'x': x.tolist(), 'first': first, 'gains': gains, 'names': model.param_names, 'fitted': fitted.fittedvalues.tolist(), 'forecast': fitted.forecast(horizon).tolist()}


def least_squares():
    d, n, forget, variance = 5, 200, 0.99, 4.0
    x = random.normal(0, 1, (n, d)) @ numpy.array([[1, .9, 0, 0, 0], [0, 1, .9, 0, 0], [0, 0, 1, .9, 0], [0, 0, 0, 1, .9], [0, 0, 0, 0, 1]])
    first = numpy.array([1.0, 0, 0, 0.5, 0])
    y = x @ numpy.array([0.5, -1, 2, 0, 0.3]) + random.normal(0, 0.5, n)
    w = forget ** numpy.arange(n - 1, -1, -1)
    a = (x * w[:, None]).T @ x + numpy.eye(d) * forget ** n / variance
    weights = numpy.linalg.solve(a, (x * w[:, None]).T @ y + forget ** n / variance * first)
    return {'x': x.tolist(), 'y': y.tolist(), 'first': first.tolist(), 'forget': forget, 'variance': variance, 'weights': weights.tolist(), 'covariance': numpy.linalg.inv(a).tolist()}


def intermittent():
    x = (random.random(80) < 0.3) * random.poisson(4, 80)
    gain, size, interval, probability, since, came = 0.1, 0.0, 0.0, 0.0, 0, 0
    out = []
    for n, y in enumerate(x.tolist(), 1):
        since += 1
        g = max(1 / n, gain)
        probability = (1 - g) * probability + g * (y != 0)
        if y != 0:
            came += 1
            g = max(1 / came, gain)
            size, interval, since = (1 - g) * size + g * y, (1 - g) * interval + g * since, 0
        croston = size / interval if came else 0.0
        out.append([croston, (1 - gain / 2) * croston, probability * size])
    return {'x': x.tolist(), 'forecasts': out}


def naive2():
    season, horizon, cases = 24, 48, []
    t = numpy.arange(300)
    for x in [100 + 30 * numpy.sin(2 * numpy.pi * t / season) + 0.1 * t + random.normal(0, 5, len(t)), 100 + random.normal(0, 5, len(t)), 100 + numpy.cumsum(random.normal(0, 1, len(t)))]:
        r = acf(x, nlags=season, fft=False)
        seasonal = abs(r[season]) > 1.645 / numpy.sqrt(len(x)) * numpy.sqrt(1 + 2 * (r[1:season] ** 2).sum())
        index = seasonal_decompose(x, model='multiplicative', period=season).seasonal if seasonal else numpy.ones(len(x))
        cases.append({'x': x.tolist(), 'seasonal': bool(seasonal), 'forecast': [float(x[-1] / index[-1] * index[len(x) - season + h % season]) for h in range(horizon)]})
    return cases


def first_passage():
    def given(drift, distance, variance, t):
        return scipy.stats.invgauss.cdf(t, variance / (drift * distance), scale=distance ** 2 / variance) if drift > 0 else \
            scipy.stats.norm.cdf((drift * t - distance) / numpy.sqrt(variance * t)) + numpy.exp(2 * drift * distance / variance) * scipy.stats.norm.cdf(-(drift * t + distance) / numpy.sqrt(variance * t))

    cases = []
    for distance, drift, variance, unsure in [(50, 1, 4, 0), (50, 1, 4, 0.04), (3, 0.5, 2, 0.01), (200, 0.1, 1, 0.001)]:
        for part in [0.3, 0.8, 1, 1.3, 4]:
            t = part * distance / drift
            sd = numpy.sqrt(unsure)
            p = given(drift, distance, variance, t) if unsure == 0 else scipy.integrate.quad(lambda mu: scipy.stats.norm.pdf(mu, drift, sd) * given(mu, distance, variance, t), drift - 9 * sd, drift + 9 * sd, epsabs=1e-11, limit=500)[0]
            cases.append({'distance': distance, 'drift': drift, 'variance': variance, 'driftVariance': unsure, 't': t, 'p': float(p)})
    quantiles = [{'distance': 50, 'drift': 1, 'variance': 4, 'driftVariance': 0, 'p': p, 't': float(scipy.stats.invgauss.ppf(p, 4 / 50, scale=50 ** 2 / 4))} for p in [0.1, 0.5, 0.9]]
    return {'cases': cases, 'quantiles': quantiles}


print(json.dumps({
    'versions': {'python': platform.python_version(), 'numpy': numpy.__version__, 'scipy': scipy.__version__, 'statsmodels': statsmodels.__version__},
    'holt_winters': holt_winters(), 'least_squares': least_squares(), 'intermittent': intermittent(), 'naive2': naive2(), 'first_passage': first_passage()
}))
