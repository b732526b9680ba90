"""The optimism of the best of several candidates, such as epochs, chosen by AP on the images that it is reported on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detect_transfer.core.counted import counted
from detect_transfer.evaluation.coco.bootstrap import mean_ap
from detect_transfer.evaluation.coco.threshold_matches import ThresholdMatches
from detect_transfer.evaluation.coco.weighted import weighted_ap

N_HALVES = 200
_FEWEST_UNITS = 6  # halves of fewer images or groups say little


@dataclass(frozen=True)
class Candidates:
    """What there was to choose from: epochs or other trained weights, and averages of them.

    Args:
        trained: How many were trained.
        averages: How many are averages of weights.
        of: What one of those that were trained is called.
    """

    trained: int
    averages: int = 0
    of: str = "epoch"

    @property
    def count(self) -> int:
        """How many in all."""
        return self.trained + self.averages

    def __str__(self) -> str:
        """Return the words for them, such as `4 epochs and 5 averages of weights`."""
        averages = counted(self.averages, "average of weights", "averages of weights")
        return counted(self.trained, self.of) + (f" and {averages}" if self.averages else "")


@dataclass(frozen=True)
class Selection:
    """What choosing the best candidate adds to its AP.

    Args:
        candidates: What there was to choose from.
        optimism: How much of the AP is owed to the choice, in AP; None where it cannot be estimated.
        reason: Why it is None.
    """

    candidates: Candidates
    optimism: float | None
    reason: str | None = None

    @property
    def sentence(self) -> str:
        """What to say beside the AP."""
        best = f"best of {self.candidates} on this split"
        if self.optimism is None:
            return f"{best}; its optimism is not known: {self.reason}"
        return f"{best}; the choice alone adds about {self.optimism:+.3f} to the AP"

    def as_dict(self) -> dict[str, Any]:
        """Return what `metrics.json` holds."""
        return {"candidates": self.candidates.count, "optimism": self.optimism, "reason": self.reason}


def selection_optimism(candidates: Sequence[ThresholdMatches], *, n_halves: int = N_HALVES, seed: int = 0) -> Selection:
    """Estimate how much higher the AP of the best candidate is than it would be on other images of the same kind.

    The images, or groups of images, are cut into random halves. The candidate with the best AP on one half is scored on
    the other, and the mean difference of its two AP is what the choice added. A half has half of the images, on which
    chance moves AP by sqrt(2) more, so the mean is divided by that.

    Args:
        candidates: The matches of each candidate, on the same images; the first of equal ones is chosen.
        n_halves: How often the images are cut; each half chooses once.
        seed: Of the cuts.

    Source:
        Cawley and Talbot, On Over-fitting in Model Selection and Subsequent Selection Bias in Performance Evaluation,
        2010; Tibshirani and Tibshirani, A Bias Correction for the Minimum Error Rate in Cross-validation, 2009.
    """
    of = Candidates(len(candidates))
    if of.count < 2:
        return Selection(of, 0.0)
    n_units = len(candidates[0].objects)
    n_with = int(candidates[0].objects.any(axis=1).sum())
    if n_with < _FEWEST_UNITS:
        return Selection(of, None, f"only {n_with} images or groups have an object")
    rng = np.random.default_rng(seed)
    half = np.zeros((n_halves, n_units), np.uint16)
    for row in half:
        row[rng.permutation(n_units)[: n_units // 2]] = 1
    weights = np.concatenate([half, 1 - half])
    ap = np.stack([mean_ap(weighted_ap(matches, weights))["AP"] for matches in candidates])  # (candidates, 2 halves)
    chooses, scores = ap, np.concatenate(np.split(ap, 2, axis=1)[::-1], axis=1)
    usable = np.isfinite(chooses).all(axis=0) & np.isfinite(scores).all(axis=0)
    if not usable.any():
        return Selection(of, None, "no cut leaves objects in both halves")
    best = np.argmax(chooses[:, usable], axis=0)[None]
    gained = np.take_along_axis((chooses - scores)[:, usable], best, axis=0)
    return Selection(of, float(gained.mean() / np.sqrt(2)))
