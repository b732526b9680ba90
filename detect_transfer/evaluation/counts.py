"""Counts of one matching, all classes together. Each is None where it has no meaning."""

from __future__ import annotations

from detect_transfer.evaluation.matching import Matches


def _counts(matches: Matches) -> tuple[int, int, int]:
    """Return how many hits, false alarms and misses there are."""
    found, truth = matches.detections["status"], matches.truth["status"]
    return int((found == "hit").sum()), int((found == "false_alarm").sum()), int((truth == "miss").sum())


def precision(matches: Matches) -> float | None:
    """Return hits / (hits + false alarms); None where nothing was detected outside ignored regions."""
    hits, alarms, _ = _counts(matches)
    return hits / (hits + alarms) if hits + alarms else None


def recall(matches: Matches) -> float | None:
    """Return hits / objects; None where there is no object."""
    hits, _, misses = _counts(matches)
    return hits / (hits + misses) if hits + misses else None


def f1(matches: Matches) -> float | None:
    """Return 2 hits / (2 hits + false alarms + misses); None where there is no object."""
    hits, alarms, misses = _counts(matches)
    return 2 * hits / (2 * hits + alarms + misses) if hits + misses else None


def false_alarms_per_image(matches: Matches) -> float | None:
    """Return false alarms / images, images without objects included."""
    return _counts(matches)[1] / matches.n_images if matches.n_images else None
