"""All answers of a study from its finished runs: which arm is better, what it saves, and where the noise comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detect_transfer.core.arrays import FloatArray, IntArray
from detect_transfer.evaluation.comparison import MARGIN
from detect_transfer.evaluation.study.histories import (
    Axis,
    GapCurve,
    TimeToAp,
    mean_by_t,
    overfitting,
    time_ratio,
    time_to_ap,
)
from detect_transfer.evaluation.study.images_needed import catch_up, images_needed, worth_in_images
from detect_transfer.evaluation.study.learning_curve import LearningCurve, fit_curve
from detect_transfer.evaluation.study.runs import RunsByArm, StudyRun, mean_draws, variance_of_draws
from detect_transfer.evaluation.study.scores import Estimate
from detect_transfer.evaluation.study.variance import VarianceComponents, variance_components
from detect_transfer.evaluation.study.verdict import ArmComparison, judge


@dataclass(frozen=True)
class ArmAtSize:
    """An arm at one size.

    Args:
        arm: The arm.
        n_images: Training images.
        n_runs: Finished runs.
        ap: Mean AP with its interval over seeds.
        cost: Mean of each number over the runs that have it.
        overfitting: Training AP less validation AP over time.
        noise: Where the spread of its AP comes from.
    """

    arm: str
    n_images: int
    n_runs: int
    ap: Estimate
    cost: dict[str, float]
    overfitting: GapCurve
    noise: VarianceComponents

    def as_dict(self) -> dict[str, Any]:
        """Return what `study.json` holds."""
        return {
            "arm": self.arm,
            "n_images": self.n_images,
            "n_runs": self.n_runs,
            "ap": self.ap.as_dict(),
            "cost": self.cost,
            "overfitting": self.overfitting.as_dict(),
            "noise": self.noise.as_dict(),
        }


@dataclass(frozen=True)
class ArmAgainst:
    """An arm against the baseline.

    Args:
        comparison: The verdicts; the second is the arm.
        worth: Training images, and how many the baseline needs for what the arm reaches with them.
        catch_up: The images from which on the baseline is as good.
        noise: Training images, and where the spread of the difference comes from.
    """

    comparison: ArmComparison
    worth: tuple[tuple[int, Estimate], ...]
    catch_up: Estimate
    noise: tuple[tuple[int, VarianceComponents], ...]

    def as_dict(self) -> dict[str, Any]:
        """Return what `study.json` holds."""
        return {
            **self.comparison.as_dict(),
            "worth_in_images": [{"n_images": n, **worth.as_dict()} for n, worth in self.worth],
            "catch_up": self.catch_up.as_dict(),
            "noise": [{"n_images": n, **noise.as_dict()} for n, noise in self.noise],
        }


@dataclass(frozen=True)
class ArmToTarget:
    """What an arm needs for an AP.

    Args:
        arm: The arm.
        target: The AP.
        n_images: The size that the time is measured at: the largest of the arm.
        images: Training images for that AP on the test images.
        seconds: Wall time to that AP on the validation images.
        images_seen: The same in training images seen.
        seconds_ratio: Its time over that of the baseline at that size; None for the baseline itself.
    """

    arm: str
    target: float
    n_images: int
    images: Estimate
    seconds: TimeToAp
    images_seen: TimeToAp
    seconds_ratio: Estimate | None

    def as_dict(self) -> dict[str, Any]:
        """Return what `study.json` holds."""
        ratio = None if self.seconds_ratio is None else self.seconds_ratio.as_dict()
        parts = {name: getattr(self, name).as_dict() for name in ("images", "seconds", "images_seen")}
        return {
            "arm": self.arm,
            "target": self.target,
            "n_images": self.n_images,
            **parts,
            "seconds_ratio": ratio,
        }


@dataclass(frozen=True)
class StudyAnswers:
    """All answers.

    Args:
        baseline: The arm that the others are compared with.
        margin: Differences up to this are of no interest.
        runs: What they are read from.
        at_sizes: Each arm at each size.
        against: Each other arm against the baseline.
        curves: The learning curve of each arm.
        to_targets: Each arm and target.
    """

    baseline: str
    margin: float
    runs: RunsByArm
    at_sizes: tuple[ArmAtSize, ...]
    against: tuple[ArmAgainst, ...]
    curves: tuple[LearningCurve, ...]
    to_targets: tuple[ArmToTarget, ...]

    @property
    def targets(self) -> list[float]:
        """Return the different targets, in order."""
        return sorted({row.target for row in self.to_targets})

    def as_dict(self) -> dict[str, Any]:
        """Return what `study.json` holds."""
        parts = ("at_sizes", "against", "curves", "to_targets")
        rows = {name: [row.as_dict() for row in getattr(self, name)] for name in parts}
        return {"baseline": self.baseline, "margin": self.margin, "arms": list(self.runs.arms), **rows}


def study_answers(
    runs: Sequence[StudyRun],
    *,
    arms: Sequence[str],
    baseline: str,
    margin: float = MARGIN,
    targets: Sequence[float] = (),
    overlap: float = 0.0,
) -> StudyAnswers:
    """Answer what the finished runs of a study can.

    Args:
        runs: The finished runs; those of other arms are left out.
        arms: The arms, in the order of the study; those without a finished run are left out.
        baseline: The arm that the others are compared with; without a finished run there is no comparison.
        margin: Differences up to this are of no interest.
        targets: The AP to reach; without any, what all runs of the baseline and of the best arm have at their largest
            size.
        overlap: Test images of a fold over all others; 0 without folds.
    """
    present = tuple(arm for arm in arms if any(run.arm == arm for run in runs))
    by_arm = RunsByArm(present, tuple(run for run in runs if run.arm in present), overlap)
    curves = {arm: fit_curve(by_arm.scores(arm)) for arm in present}
    at_sizes = tuple(_at_size(by_arm, arm, n) for arm in present for n in by_arm.sizes(arm))
    others = [arm for arm in present if arm != baseline] if baseline in present else []
    goals = sorted(set(targets)) or _default_targets(by_arm, baseline)
    return StudyAnswers(
        baseline,
        margin,
        by_arm,
        at_sizes,
        tuple(_against(by_arm, curves, baseline, arm, margin) for arm in others),
        tuple(curves.values()),
        tuple(_to_target(by_arm, curves[arm], baseline, target) for target in goals for arm in present),
    )


def _at_size(runs: RunsByArm, arm: str, n_images: int) -> ArmAtSize:
    group = runs.of(arm, n_images)
    ap = np.array([run.ap for run in group])
    draws, folds = mean_draws(group), runs.folds(group)
    of_folds = ap if folds is None else np.array([ap[folds == fold].mean() for fold in np.unique(folds)])
    return ArmAtSize(
        arm,
        n_images,
        len(group),
        mean_by_t(of_folds, runs.overlap).cut(0.0, 1.0),
        dict(_costs(group)),
        overfitting(runs.histories(arm, n_images)),
        variance_components(ap, folds, _image_variance(draws, folds)),
    )


def _image_variance(draws: FloatArray | None, folds: IntArray | None) -> float | None:
    """Return the variance over test images; that of folds is theirs, as each has test images of its own."""
    if folds is not None:
        return 0.0
    return None if draws is None else variance_of_draws(draws)


def _costs(group: Sequence[StudyRun]) -> Iterator[tuple[str, float]]:
    for name in dict.fromkeys(name for run in group for name in run.cost):
        values = [value for run in group if (value := run.cost.get(name)) is not None]
        if values:
            yield name, float(np.mean(values))


def _against(runs: RunsByArm, curves: dict[str, LearningCurve], baseline: str, arm: str, margin: float) -> ArmAgainst:
    comparison = judge(
        runs.scores(baseline),
        runs.scores(arm),
        margin=margin,
        image_variance=runs.image_variances(baseline, arm),
        overlap=runs.overlap,
    )
    worth = tuple((n, worth_in_images(curves[arm], curves[baseline], n)) for n in runs.sizes(arm))
    noise = []
    for n in runs.sizes(baseline, arm):
        pairs = runs.pairs(baseline, arm, n)
        draws, folds = runs.difference_draws(baseline, arm, n), runs.folds([second for _, second in pairs])
        apart = np.array([second.ap - first.ap for first, second in pairs])
        if len(pairs):
            noise.append((n, variance_components(apart, folds, _image_variance(draws, folds))))
    return ArmAgainst(comparison, worth, catch_up(curves[baseline], curves[arm]), tuple(noise))


def _default_targets(runs: RunsByArm, baseline: str) -> list[float]:
    """Return what all runs of the baseline and of the best arm have at their largest size, down to a hundredth."""
    lowest = {arm: min(run.ap for run in runs.of(arm, runs.sizes(arm)[-1])) for arm in runs.arms}
    wanted = [lowest[arm] for arm in runs.arms if arm == baseline] + ([max(lowest.values())] if lowest else [])
    return sorted({goal for ap in wanted if (goal := float(np.floor(ap * 100 + 1e-9) / 100)) > 0})


def _to_target(runs: RunsByArm, curve: LearningCurve, baseline: str, target: float) -> ArmToTarget:
    arm, n_images = curve.arm, runs.sizes(curve.arm)[-1]
    histories = runs.histories(arm, n_images)
    axes: tuple[Axis, Axis] = ("seconds", "images_seen")
    seconds, images_seen = (time_to_ap(histories, target, axis) for axis in axes)
    ratio = None
    if arm != baseline and baseline in runs.arms:
        ratio = time_ratio(runs.histories(baseline, n_images), histories, target)
    return ArmToTarget(arm, target, n_images, images_needed(curve, target), seconds, images_seen, ratio)
