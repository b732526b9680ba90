"""Annotated pictures written to a folder, for `visualize` and `predict`. Imports `evaluation` and lower ranks."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

import cv2
import polars as pl

from detect_transfer.errors import InternalError
from detect_transfer.evaluation import match
from detect_transfer.files import safe_join, write_atomic
from detect_transfer.images import read_rgb
from detect_transfer.report.drawing import RgbArray, draw_matches
from detect_transfer.table import AnnotationTable, Detections


def render_predictions(
    truth: AnnotationTable,
    detections: Detections | None,
    image_root: Path,
    out_dir: Path,
    *,
    score_threshold: float = 0.25,
    limit: int | None = None,
) -> list[Path]:
    pass
