"""Which of several sources knows the data best, before any training.

Two numbers are taken of each source: the mean over the target classes of the best score that one of its classes has on
their boxes (`class_evidence`), and LogME of its backbone on the same boxes: the logarithm of the evidence of a linear
model from features to classes, for each value, maximised over its two precisions.

Source: You et al. 2021, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", algorithm 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from detect_transfer.core.arrays import FloatArray, IntArray
from detect_transfer.core.counted import counted
from detect_transfer.models.class_evidence import WEAK_SCORE, ClassEvidence

TIE = 0.02  # of the mean score: sources that are nearer than this are distinguished by their features
_STEPS = 20  # of the fixed point, which mostly needs five
_SMALL = 1e-5


@dataclass(frozen=True)
class SourceRank:
    """What one source knows of the data.

    Args:
        weights: As the config names it.
        file: The name of the file.
        sha256: Of the file.
        arch: Its architecture.
        score: Mean over the target classes of the best score of a source class on their boxes; None without classes.
        clear: How many target classes it knows clearly.
        log_me: LogME of its backbone on the boxes; None where it has none that can be run by itself.
        note: Why a number is missing.
        chosen: Whether the run starts from it.
    """

    weights: str
    file: str
    sha256: str
    arch: str
    score: float | None
    clear: int
    log_me: float | None
    note: str = ""
    chosen: bool = False

    @property
    def sentence(self) -> str:
        """The row in words."""
        score = (
            "no class of its own"
            if self.score is None
            else f"score {self.score:.3f}, knows {counted(self.clear, 'class', 'classes')}"
        )
        features = "" if self.log_me is None else f", LogME {self.log_me:.3f}"
        chosen = " <- chosen" if self.chosen else ""
        return f"{self.weights}: {score}{features}{f' ({self.note})' if self.note else ''}{chosen}"

    def as_dict(self) -> dict[str, Any]:
        """Return the row as it stands in `transfer.json`."""
        return asdict(self)


def mean_score(evidence: ClassEvidence) -> float | None:
    """Return the mean of the best scores of the target classes that have boxes; None where the source was not asked."""
    best = [max((each.score for each in match.scores), default=0.0) for match in evidence.matches if match.boxes]
    return float(np.mean(best)) if best else None


def best_source(ranks: Sequence[SourceRank]) -> int:
    """Return the index of the best: by its score, and by LogME among those that are as good or where none is seen.

    A source whose score is below that of a weak match counts as one that sees nothing.
    """
    scores = [rank.score if rank.score is not None and rank.score >= WEAK_SCORE else 0.0 for rank in ranks]
    near = [i for i, score in enumerate(scores) if score > max(scores) - TIE]
    features = {i: value for i in near if (value := ranks[i].log_me) is not None}
    if len(features) == len(near):
        return max(near, key=lambda i: (features[i], scores[i], -i))
    return max(near, key=lambda i: (scores[i], -i))


def log_me(features: FloatArray, labels: IntArray) -> float:
    """Return LogME, the mean over the classes; higher is better.

    Args:
        features: (N, D).
        labels: (N,) a class each, of two or more.
    """
    left, spread, _ = np.linalg.svd(features, full_matrices=False)
    values = []
    for label in np.unique(labels):
        values.append(_evidence(left, spread**2, (labels == label).astype(np.float64), features.shape[1]))
    return float(np.mean(values))


def _evidence(left: FloatArray, squares: FloatArray, target: FloatArray, width: int) -> float:
    """Return the largest logarithm of the evidence for a value, over the precisions of weights and noise.

    Args:
        left: (N, R) left singular vectors of the features.
        squares: (R,) squared singular values.
        target: (N,).
        width: D.
    """
    count = len(target)
    projected = (left.T @ target) ** 2
    beyond = max(float((target**2).sum() - projected.sum()), 0.0)  # what no weights can explain
    alpha = beta = 1.0
    for _ in range(_STEPS):
        ratio = alpha / beta
        gamma = float((squares / (squares + ratio)).sum())
        weights = float((squares * projected / (squares + ratio) ** 2).sum())
        residual = float((projected / (1 + squares / ratio) ** 2).sum()) + beyond
        alpha, beta = gamma / (weights + _SMALL), (count - gamma) / (residual + _SMALL)
        if abs(alpha / beta - ratio) <= 1e-3 * ratio:
            break
    logs = np.log(alpha + beta * squares).sum() + (width - len(squares)) * np.log(alpha)
    total = width * np.log(alpha) + count * np.log(beta) - logs
    return float((total - beta * residual - alpha * weights - count * np.log(2 * np.pi)) / 2 / count)
