"""COCO results JSON as `Detections`. Imports ranks 0 to 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from detect_transfer.boxes import xywh_to_xyxy
from detect_transfer.errors import DetectTransferError, InputError, raise_problems
from detect_transfer.files import read_json
from detect_transfer.table import XYXY, Detections

_KEYS = ("image_id", "category_id", "bbox", "score")
_MOST_PROBLEMS = 20


def read_results(path: Path) -> Detections:
    """Read a COCO results list: `image_id`, `category_id`, `bbox` (x, y, w, h in pixels), `score` in [0, 1].

    Raises:
        InputError: It is no list, or entries lack a key, are of the wrong type or not finite; up to twenty at once,
            each with its JSON pointer.

    Source: https://cocodataset.org/#format-results
    """
    entries = read_json(path)
    if not isinstance(entries, list):
        raise InputError(
            "RESULTS_KIND", "a list of results was expected", where=path, remedy="give a COCO results file"
        )
    problems: list[DetectTransferError] = []
    for i, entry in enumerate(entries):
        problem = _problem(entry)
        if problem is not None:
            field, value, what = problem
            problems.append(
                InputError(
                    "RESULTS_ENTRY", what, where=f"{path}#/{i}", field=field, value=value, remedy="mend or remove it"
                )
            )
            if len(problems) == _MOST_PROBLEMS:
                break
    raise_problems(problems)
    if not entries:
        return Detections.empty()
    xyxy = xywh_to_xyxy([entry["bbox"] for entry in entries])
    columns = {name: [entry[name] for entry in entries] for name in ("image_id", "category_id", "score")}
    return Detections.from_columns(pl.DataFrame({**columns, **{name: xyxy[:, i] for i, name in enumerate(XYXY)}}))


def _problem(entry: Any) -> tuple[str, object, str] | None:
    """Return field, value and what is wrong with an entry, or None."""
    if not isinstance(entry, dict):
        return "entry", entry, "an object was expected"
    for key in _KEYS:
        if key not in entry:
            return key, "(missing)", "the key is missing"
    for key in ("image_id", "category_id"):
        if not isinstance(entry[key], int) or isinstance(entry[key], bool):
            return key, entry[key], "a whole number was expected"
    box = entry["bbox"]
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(v) for v in box):
        return "bbox", box, "four finite numbers were expected"
    if box[2] < 0 or box[3] < 0:
        return "bbox", box, "width and height must not be negative"
    if not _is_number(entry["score"]) or not 0 <= entry["score"] <= 1:
        return "score", entry["score"], "a number in [0, 1] was expected"
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")
