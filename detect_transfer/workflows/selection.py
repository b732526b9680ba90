"""What each candidate of a run detected on the validation split, and the optimism of choosing the best of them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import polars as pl

from detect_transfer.config import Evaluate
from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.io import write_atomic
from detect_transfer.evaluation import Case, parse_ignore_policy
from detect_transfer.evaluation.coco.threshold_matches import match_at_thresholds
from detect_transfer.evaluation.selection import Candidates, Selection, selection_optimism

_MOST_ROWS = 5_000_000  # over all epochs; some 100 MB


@dataclass(frozen=True)
class ScoredDetections:
    """The detections of each scored epoch and average of weights, in a folder.

    Args:
        folder: Where they lie while the run trains.
    """

    folder: Path

    def add(self, name: str, detections: Detections) -> None:
        """Store those of an epoch or average of this name."""
        stream = BytesIO()
        detections.rows.with_columns(pl.col(pl.Float64).cast(pl.Float32)).write_parquet(stream)
        write_atomic(self.folder / f"{name}.parquet", stream.getvalue())

    def remove(self) -> None:
        """Remove them all."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def selection(self, truth: AnnotationTable, candidates: Candidates, settings: Evaluate) -> Selection:
        """Return what choosing the best of the scored candidates adds to its AP."""
        tables = [pl.read_parquet(path) for path in sorted(self.folder.glob("*.parquet"))]
        if len(tables) != candidates.count:
            return Selection(candidates, None, "what the epochs before it was extended detected is gone")
        if sum(len(rows) for rows in tables) > _MOST_ROWS:
            return Selection(candidates, None, f"there are more than {_MOST_ROWS:,} detections")
        policy = parse_ignore_policy(settings.ignore_policy)
        precise = [Detections(rows.with_columns(pl.col(pl.Float32).cast(pl.Float64))) for rows in tables]
        matches = [match_at_thresholds(Case(truth, each, policy)) for each in precise]
        return replace(selection_optimism(matches), candidates=candidates)
