"""scikit-learn's IsolationForest: three small forests with their scores and the values of shap, and its AUC on four data sets.

    python test/oracles/isolation-forest.py DATA > test/oracles/isolation-forest.json      DATA: the folder of development data

The data sets stay where they are; bench/forest.ts reads them in the same way.
"""
import csv, json, os, sys
import numpy as np, shap, sklearn
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

DATA = sys.argv[1]


def table(path, delimiter=','):
    with open(os.path.join(DATA, path), encoding='utf-8-sig') as file:
        return list(csv.reader(file, delimiter=delimiter))


def ai4i():
    rows = table('ai4i/ai4i2020.csv')[1:]
    return np.array([[float(x) for x in r[3:8]] for r in rows]), np.array([int(r[8]) for r in rows])


def skab():
    rows = [r for k in range(4) for r in table(f'skab/data/valve2/{k}.csv', ';')[1:]]
    return np.array([[float(x) for x in r[1:9]] for r in rows]), np.array([int(float(r[9])) for r in rows])


def tep():
    quiet, fault = (np.loadtxt(os.path.join(DATA, 'tep', f'{run}.dat')) for run in ('d00_te', 'd01_te'))
    return np.vstack([quiet, fault]), np.array([0] * (len(quiet) + 160) + [1] * (len(fault) - 160))


def occupancy():
    rows = table('occupancy/datatraining.txt')[1:]
    return np.array([[float(x) for x in r[2:7]] for r in rows]), np.array([int(r[7]) for r in rows])


def auc(load, seeds=20):
    x, y = load()
    scores = [roc_auc_score(y, -IsolationForest(n_estimators=100, max_samples=256, random_state=seed).fit(x).score_samples(x)) for seed in range(seeds)]
    return {'rows': len(y), 'numbers': x.shape[1], 'anomalous': int(y.sum()), 'auc': float(np.mean(scores)), 'sd': float(np.std(scores, ddof=1)), 'seeds': seeds}


def forest(d, n, sample, trees, seed):
    random = np.random.default_rng(seed)
    x = (random.normal(size=(n, d)) * (1 + np.arange(d))).astype(np.float32).astype(float)
    model = IsolationForest(n_estimators=trees, max_samples=sample, random_state=seed).fit(x)
    at = np.vstack([x[:4], random.normal(size=(4, d)) * 4]).astype(np.float32).astype(float)
    explainer = shap.TreeExplainer(model)
    tree = lambda t: {'left': t.children_left.tolist(), 'right': t.children_right.tolist(), 'feature': t.feature.tolist(), 'threshold': t.threshold.tolist(), 'samples': t.n_node_samples.tolist()}
    return {'d': d, 'sample': sample, 'trees': [tree(e.tree_) for e in model.estimators_], 'x': at.tolist(), 'scores': (-model.score_samples(at)).tolist(),
            'shap': explainer.shap_values(at).tolist(), 'expected': float(np.ravel(explainer.expected_value)[0])}


json.dump({
    'made with': {'numpy': np.__version__, 'scikit-learn': sklearn.__version__, 'shap': shap.__version__},
    'auc': {load.__name__: auc(load) for load in (ai4i, skab, tep, occupancy)},
    'forests': [forest(2, 100, 16, 5, 1), forest(5, 200, 64, 8, 2), forest(9, 300, 128, 5, 3)]
}, sys.stdout)
print()
