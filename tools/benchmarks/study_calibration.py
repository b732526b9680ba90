"""Do the statistics of a study hold what they say? Coverage and error rates on simulated studies with a known truth.

A line is one question, with the share measured, the range it has to lie in (three standard errors of the simulation
beyond it are let pass) and the number of simulated studies. Lines without a range are there for comparison.

    python tools/benchmarks/study_calibration.py [--trials 400] [--seed 0]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from detect_transfer.core.arrays import FloatArray
from detect_transfer.evaluation.study.agreement import agreement
from detect_transfer.evaluation.study.collection import collection_plan
from detect_transfer.evaluation.study.histories import History, time_ratio, time_to_ap
from detect_transfer.evaluation.study.images_needed import catch_up, images_needed, worth_in_images
from detect_transfer.evaluation.study.learning_curve import LearningCurve, fit_curve, least_squares
from detect_transfer.evaluation.study.scores import ENDS, ArmScores, Estimate
from detect_transfer.evaluation.study.trials import expected_best
from detect_transfer.evaluation.study.variance import variance_components
from detect_transfer.evaluation.study.verdict import judge, judge_pairs

Truth = tuple[float, float, float]
TRUTHS: tuple[Truth, ...] = ((0.2, 1.5, -0.5), (0.3, 1.0, -0.25), (0.1, 1.2, -0.35), (0.3, 2.5, -0.7))
SIZES = {"3 sizes": np.array([50, 150, 500]), "6 sizes": np.array([25, 50, 100, 150, 300, 500])}
NOISES = {"constant": (0.0, 0.0), "constant, half of it common to a seed": (0.0, 0.5), "1 / sqrt n": (0.5, 0.0)}
NOISES["1 / n"] = (1.0, 0.0)
SEEDS, NOISE = 3, 0.008
N_DRAWS = 400


@dataclass(frozen=True)
class Row:
    """One question.

    Args:
        what: In words.
        share: The share measured.
        low: The least it may be.
        high: The most.
        trials: Simulated studies.
    """

    what: str
    share: float
    low: float
    high: float
    trials: int

    @property
    def holds(self) -> bool:
        """Whether the share lies in its range, but for the error of the simulation."""
        bound = min(max(self.share, self.low), self.high)
        error = 3 * np.sqrt(max(bound * (1 - bound), 1e-4) / max(self.trials, 1))
        return bool(abs(self.share - bound) <= error)


def main() -> None:
    """Print all lines; exit 1 where one is out of its range."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began, wrong = time.monotonic(), 0
    for part in PARTS:
        for row in part(np.random.default_rng(options.seed), options.trials):
            wrong += not row.holds
            bounds = "" if (row.low, row.high) == (0.0, 1.0) else f"[{row.low:.3f}, {row.high:.3f}]"
            print(f"{row.share:6.3f} {bounds:16s} {'' if row.holds else 'OUT':4s}{row.what} ({row.trials})", flush=True)
    print(f"{wrong} out of range, {time.monotonic() - began:.0f} s")
    sys.exit(1 if wrong else 0)


def error_of(truth: Truth, n: float | FloatArray) -> FloatArray:
    """Return the true error at so many images."""
    a, b, c = truth
    return np.asarray(a + b * np.asarray(n, float) ** c)


def runs(rng: np.random.Generator, truth: Truth, sizes: FloatArray, noise: tuple[float, float]) -> ArmScores:
    """Simulate the runs of an arm; noise falls as n^-power from the smallest size, with a share common to a seed."""
    power, common = noise
    spread = NOISE * (sizes.min() / sizes) ** (power / 2) * (sizes.max() / sizes.min()) ** (power / 4)
    own, shared = rng.normal(size=(len(sizes), SEEDS)), rng.normal(size=(1, SEEDS))
    ap = 1 - error_of(truth, sizes)[:, None] + spread[:, None] * (np.sqrt(1 - common) * own + np.sqrt(common) * shared)
    seeds = np.tile(np.arange(SEEDS), len(sizes))
    return ArmScores("arm", np.repeat(sizes, SEEDS), seeds, np.clip(ap, 0, 1).ravel())


def covers(interval: tuple[float, float] | None, truth: float) -> bool:
    """Whether an interval holds the truth."""
    return interval is not None and interval[0] <= truth <= interval[1]


def curves(rng: np.random.Generator, trials: int) -> Iterator[Row]:
    """Intervals of AP on the learning curve, at the largest size and four times that, and of images needed."""
    for sizes_name, sizes in SIZES.items():
        for noise_name, noise in NOISES.items():
            ap, needed, n_given = [], [], 0
            for i in range(trials):
                truth = TRUTHS[i % len(TRUTHS)]
                curve = fit_curve(runs(rng, truth, sizes, noise), n_draws=N_DRAWS)
                ap += [covers(curve.ap_at(n).interval, 1 - float(error_of(truth, n))) for n in (500, 2000)]
                goals = [200.0, 1000.0]
                answers = [images_needed(curve, 1 - float(error_of(truth, n))) for n in goals]
                n_given += sum(answer.value is not None for answer in answers)
                needed += [covers(a.interval, n) for a, n in zip(answers, goals, strict=True)]
            where = f"{sizes_name}, {SEEDS} seeds, noise {noise_name}"
            least = 0.9 if noise[1] else 0.93  # what seeds share is known from three of them
            yield Row(f"AP on the curve at 1 x and 4 x, {where}", np.mean(ap), least, 0.98, trials)
            yield Row(
                f"images needed, {where}; {n_given / 2 / trials:.0%} answered", np.mean(needed), 0.9, 0.99, trials
            )


def other_ways(rng: np.random.Generator, trials: int) -> Iterator[Row]:
    """What is done elsewhere: draws of the seeds themselves, and a fixed exponent."""
    sizes = SIZES["6 sizes"].astype(float)
    drawn, fixed = [], []
    for i in range(trials):
        truth = TRUTHS[i % len(TRUTHS)]
        errors = 1 - runs(rng, truth, sizes.astype(int), (0.5, 0.0)).ap.reshape(-1, SEEDS)
        picks = rng.integers(0, SEEDS, (N_DRAWS, len(sizes), SEEDS))
        means = np.take_along_axis(errors[None], picks, axis=2).mean(axis=2)
        a, b, c = least_squares(sizes, means, np.ones(len(sizes))).T
        low, high = np.quantile(a + b * 2000.0**c, ENDS)
        drawn.append(covers((low, high), float(error_of(truth, 2000))))
        columns = np.stack([np.ones_like(sizes), sizes**-0.5], axis=1)
        at = np.array([1, 2000**-0.5]) @ np.linalg.pinv(columns)
        fitted = np.linalg.pinv(columns) @ errors.mean(axis=1)
        spread = np.sqrt(np.sum(at**2 * errors.var(axis=1, ddof=1) / SEEDS))
        middle = fitted @ np.array([1, 2000**-0.5])
        fixed.append(covers((middle - 1.96 * spread, middle + 1.96 * spread), float(error_of(truth, 2000))))
    yield Row("for comparison: draws of three seeds, AP at 4 x", np.mean(drawn), 0.0, 1.0, trials)
    yield Row("for comparison: exponent fixed at -.5, AP at 4 x", np.mean(fixed), 0.0, 1.0, trials)


def two_curves(rng: np.random.Generator, trials: int) -> Iterator[Row]:
    """Where scratch catches up, and how many images pretrained weights are worth."""
    # errors .3 + n^-.5 and .25 + 2 n^-.5 meet at 400 images; at 100 the first is .4, which the second has at 178
    pretrained, scratch, sizes = (0.3, 1.0, -0.5), (0.25, 2.0, -0.5), SIZES["6 sizes"]
    met, worth = [], []
    for _ in range(trials):
        first, second = (fit_curve(runs(rng, t, sizes, (0.5, 0.0)), n_draws=N_DRAWS) for t in (pretrained, scratch))
        met.append(covers(catch_up(second, first).interval, 400.0))
        worth.append(covers(worth_in_images(first, second, 100).interval, (2.0 / 0.15) ** 2))
    yield Row("where scratch catches up", np.mean(met), 0.9, 0.99, trials)
    yield Row("what pretrained weights are worth in images", np.mean(worth), 0.9, 0.99, trials)


def verdicts(rng: np.random.Generator, trials: int) -> Iterator[Row]:
    """False better or worse between equal arms, intervals of a difference, and what the seeds asked for decide."""
    sizes = np.array([50, 150, 500])
    for seeds in (3, 5, 10):
        for name, draw in (("normal", rng.standard_normal), ("heavy tails", lambda n: rng.standard_t(5, n) * 0.77)):
            false, of_sizes, holds, holds_at = [], [], [], []
            for i in range(4 * trials):
                common = 0.01 * draw((3, seeds))  # what both arms owe to the images of a seed
                shape = np.array([[0.012], [0.008], [0.005]])
                both = [0.5 + common + shape * draw((3, seeds)) for _ in range(2)]
                gain = 0.0 if i % 2 == 0 else 0.015
                arms = [_arm(name, ap + g, sizes) for name, ap, g in zip("ab", both, (0.0, gain), strict=True)]
                compared = judge(*arms, margin=0.0)
                holds.append(covers(compared.overall.interval, gain))
                holds_at.append(covers(compared.by_size[0].interval, gain))
                if gain == 0.0:
                    false.append(compared.overall.verdict != "cannot tell")
                    of_sizes.append(any(v.verdict != "cannot tell" for v in compared.by_size))
            where = f"{seeds} seeds, {name}"
            yield Row(f"false better or worse over all sizes, {where}", np.mean(false), 0.0, 0.065, len(false))
            yield Row(f"false better or worse at any size, {where}", np.mean(of_sizes), 0.0, 0.065, len(false))
            yield Row(f"interval of a difference over all sizes, {where}", np.mean(holds), 0.93, 0.97, len(holds))
            yield Row(f"interval of a difference at a size, {where}", np.mean(holds_at), 0.93, 0.97, len(holds))
    for seeds, share in ((2, 0.05), (3, 0.2), (3, 1.0)):
        variance = share * 1e-4 / seeds
        apart = rng.normal(0, 0.01, (4 * trials, seeds)) + rng.normal(0, variance**0.5, (4 * trials, 1))
        pairs = np.stack([np.zeros_like(apart), apart], axis=2)
        small = [judge_pairs([p], margin=0.0, image_variances=[variance])[0].p_holm for p in pairs]
        wrong = [p is not None and p < 0.05 for p in small]
        what = f"p below .05 of equal arms, {seeds} seeds, variance over test images {share:g} x that over seeds"
        yield Row(what, np.mean(wrong), 0.0, 0.065, len(wrong))
    yield _seeds_asked(rng, trials)


def _arm(name: str, ap: FloatArray, sizes: FloatArray) -> ArmScores:
    seeds = ap.shape[1]
    return ArmScores(name, np.repeat(sizes, seeds), np.tile(np.arange(seeds), len(sizes)), np.clip(ap, 0, 1).ravel())


def _seeds_asked(rng: np.random.Generator, trials: int) -> Row:
    """Say how often a study is decided that has as many seeds more as were asked for."""
    decided = []
    for _ in range(trials):
        both = 0.5 + 0.012 * rng.standard_normal((2, 1, 110))
        both[1] += 0.015
        few = judge(*(_arm("a", ap[:, :4], np.array([100])) for ap in both)).overall
        if few.more_seeds is not None:
            n = 4 + few.more_seeds
            decided.append(judge(*(_arm("a", ap[:, :n], np.array([100])) for ap in both)).overall.verdict == "better")
    return Row("decided with the seeds that were asked for", float(np.mean(decided)), 0.0, 1.0, len(decided))


def folds(rng: np.random.Generator, trials: int) -> Iterator[Row]:
    """Two arms over folds, whose difference an image moves where it is tested and where it is trained on."""
    for n_folds, n_images, learnt in ((5, 100, 0.0), (5, 100, 1.0), (10, 100, 1.0), (3, 60, 1.0)):
        false, plain, holds = [], [], []
        for i in range(2 * trials):
            gain = 0.0 if i % 2 == 0 else 0.02
            tested, taught = rng.normal(0, 0.1, n_images), learnt * rng.normal(0, 0.1, n_images)
            fold = rng.permutation(n_images) % n_folds
            apart = [tested[fold == k].mean() + taught[fold != k].mean() for k in range(n_folds)]
            apart = gain + np.array(apart)[:, None] + rng.normal(0, 0.005, (n_folds, 2))
            unit, seed = (index.ravel() for index in np.indices(apart.shape))
            both = (np.full(unit.size, 0.5), 0.5 + apart.ravel())
            arms = [ArmScores("a", np.full(unit.size, 100), unit, ap, seed) for ap in both]
            compared = judge(*arms, margin=0.0, overlap=1 / (n_folds - 1)).overall
            holds.append(covers(compared.interval, gain))
            if gain == 0.0:
                false.append(compared.verdict != "cannot tell")
                pairs = np.array([arm.ap.reshape(apart.shape).mean(axis=1) for arm in arms]).T
                plain.append(judge_pairs([pairs], margin=0.0)[0].verdict != "cannot tell")
        what = f"{n_folds} folds of {n_images} images, " + (
            "training images move it" if learnt else "test images alone"
        )
        yield Row(f"false better or worse over {what}", np.mean(false), 0.0, 0.065, len(false))
        yield Row(f"for comparison: folds taken as independent, {what}", np.mean(plain), 0.0, 1.0, len(plain))
        yield Row(f"interval of a difference over {what}", np.mean(holds), 0.93, 1.0, len(holds))


def times(rng: np.random.Generator, trials: int) -> Iterator[Row]:
    """Mean time to an AP and the ratio of two arms."""
    mean, ratio = [], []
    for _ in range(trials):
        common = rng.normal(0, 0.15, 5)
        arms = [[_reaches(s, m * np.exp(common[s] + rng.normal(0, 0.15))) for s in range(5)] for m in (100.0, 40.0)]
        expected = 100.0 * np.exp((0.15**2 + 0.15**2) / 2)
        mean.append(covers(time_to_ap(arms[0], 0.5).estimate.interval, expected))
        ratio.append(covers(time_ratio(*arms, 0.5).interval, 0.4))
    yield Row("mean time to an AP, 5 seeds", np.mean(mean), 0.92, 0.97, trials)
    yield Row("ratio of the times of two arms, 5 seeds", np.mean(ratio), 0.93, 0.97, trials)


def _reaches(seed: int, seconds: float) -> History:
    return History(seed, np.array([1.0, seconds]), np.array([0.0, 100.0]), np.array([0.1, 0.6]))


def trials_and_parts(rng: np.random.Generator, trials: int) -> Iterator[Row]:
    """The best of k trials, variance components and agreement of orders."""
    made = rng.uniform(0, 1, (trials, 8))  # the best of 6 uniform numbers is 6 / 7 on average
    best = [expected_best(ap)[5] for ap in made]
    yield Row("best of 6 of 8 trials, Dodge et al. (truth .857)", np.mean([b.expected for b in best]), 0, 1, trials)
    yield Row("best of 6 of 8 trials, unbiased (truth .857)", np.mean([b.unbiased for b in best]), 0.856, 0.858, trials)
    seed_holds, split_holds, decides = [], [], []
    splits = np.repeat(np.arange(4), 3)
    for _ in range(trials):
        ap = 0.5 + 0.01 * rng.standard_normal(4)[splits] + 0.01 * rng.standard_normal(12)
        parts = variance_components(ap, splits, 1e-6)
        seed_holds.append(covers(parts.seed.interval, 1e-4))
        split_holds.append(covers(parts.split.interval, 1e-4))
        decides.append(parts.decides == "images")
    yield Row("variance over seeds, 4 splits x 3 seeds", np.mean(seed_holds), 0.93, 0.97, trials)
    yield Row("variance over splits, 4 splits x 3 seeds", np.mean(split_holds), 0.93, 0.985, trials)
    yield Row("test images are blamed where they add a hundredth", np.mean(decides), 0.0, 0.05, trials)
    for rho, of_ranks in ((0.0, 0.0), (0.6, 6 / np.pi * np.arcsin(0.3))):
        pairs = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], (trials, 12))
        both = [agreement(p[:, 0], p[:, 1]) for p in pairs]
        holds = np.mean([covers(a.interval, float(of_ranks)) for a in both])
        yield Row(f"correlation of ranks of 12 pairs, truth {of_ranks:.2f}", holds, 0.92, 0.985, trials)
        if rho == 0:
            yield Row("false agreement", np.mean([a.p is not None and a.p < 0.05 for a in both]), 0.0, 0.065, trials)


def collections(rng: np.random.Generator, trials: int) -> Iterator[Row]:
    """Collecting in two rounds with and without the correction, every round with a plan of its own."""
    truth, sizes, goal = TRUTHS[0], SIZES["3 sizes"], 1200
    target = 1 - float(error_of(truth, goal))
    reached: dict[str, list[bool]] = {"with": [], "without": []}
    trials = min(trials, 60)
    for _ in range(trials):
        start = runs(rng, truth, sizes, (0.5, 0.0))
        for way, outcomes in reached.items():
            scores, images = start, 0
            for _round in range(2):
                curve = fit_curve(scores, n_draws=N_DRAWS)
                images = max(images, _next(curve, target, way))
                ap = np.clip(1 - float(error_of(truth, images)) + 0.5 * NOISE * rng.standard_normal(SEEDS), 0, 1)
                if images > scores.n_images.max():
                    scores = ArmScores(
                        "arm",
                        np.append(scores.n_images, np.full(SEEDS, images)),
                        np.append(scores.seeds, np.arange(SEEDS)),
                        np.append(scores.ap, ap),
                    )
            outcomes.append(images >= goal)
    yield Row("collected enough in two rounds, by the curve alone", np.mean(reached["without"]), 0.0, 1.0, trials)
    yield Row("collected enough in two rounds, corrected", np.mean(reached["with"]), 0.85, 1.0, trials)


def _next(curve: LearningCurve, target: float, way: str) -> int:
    if way == "with":
        return collection_plan(curve, target, rounds=2).next_images or int(4 * curve.largest)
    answer: Estimate = images_needed(curve, target)
    return int(np.ceil(answer.value)) if answer.value is not None else int(4 * curve.largest)


PARTS: tuple[Callable[[np.random.Generator, int], Iterator[Row]], ...] = (
    curves,
    other_ways,
    two_curves,
    verdicts,
    folds,
    times,
    trials_and_parts,
    collections,
)

if __name__ == "__main__":
    main()
