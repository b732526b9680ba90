"""A study as its runs could have come out: scratch, full and auto at three sizes with three seeds."""

import numpy as np

from detect_transfer.evaluation.study.histories import History
from detect_transfer.evaluation.study.runs import StudyRun

ARMS = {"scratch": (0.15, 4.0, -0.5), "full": (0.2, 1.2, -0.5), "auto": (0.18, 1.0, -0.5)}
SIZES = (50, 150, 500)


def simulated_runs(seeds=(0, 1, 2), arms=tuple(ARMS), sizes=SIZES, noise=0.006):
    rng = np.random.default_rng(7)
    images = rng.normal(0, 0.01, 101) * (np.arange(101) > 0)  # what all runs gain on a draw
    runs = []
    for arm in arms:
        for n in sizes:
            for seed in seeds:
                a, b, c = ARMS[arm]
                ap = float(np.clip(1 - a - b * n**c + rng.normal(0, noise), 0, 1))
                own = rng.normal(0, 0.003, 101) * (np.arange(101) > 0)
                runs.append(StudyRun(arm, n, seed, ap, ap + images + own, _history(arm, n, seed, ap), *_facts(arm, n)))
    return runs


def _history(arm, n, seed, ap):
    epochs = np.arange(11.0)
    start = 0.0 if arm == "scratch" else 0.3
    values = start + (ap - start) * (1 - np.exp(-epochs / (4 if arm == "scratch" else 1.5)))
    train = values + 0.02 * epochs / 10 * 100 / n
    return History(seed, 3 + epochs * n * 0.03 + 0.1 * seed, epochs * n, values, train)


def _facts(arm, n):
    return f"runs/{arm}-{n}/report.html", {"seconds": 3 + 0.3 * n, "peak_memory_gb": 1.2, "energy_j": None}
