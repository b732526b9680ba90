"""COCO results JSON as columns, checked a column at a time.

Beside the keys of COCO each entry may have `file_name` and `category_name`, as our own files do; then these count.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from detect_transfer.core.annotations import XYXY
from detect_transfer.core.choices import BoxForm
from detect_transfer.core.columns import text_of
from detect_transfer.core.errors import DetectTransferError, InputError, InternalError, raise_problems
from detect_transfer.core.io import read_json
from detect_transfer.formats.detections.resolve import StatedDetections

_KEYS = ("image_id", "category_id", "bbox", "score")
NAME_KEYS = {"file_name": "image_name", "category_name": "category_name"}
_MOST_PROBLEMS = 20


def read_coco(path: Path, *, names: bool = True) -> StatedDetections:
    """Read a results list: `image_id`, `category_id`, `bbox` (x, y, w, h in pixels), `score` in [0, 1].

    Args:
        path: The JSON file.
        names: Whether image and class may have names, in their own keys or in the place of the ids.

    Raises:
        InputError: It is no list, or entries lack a key, are of the wrong type or not finite; up to twenty at once.
    """
    entries = read_json(path)
    if not isinstance(entries, list):
        raise InputError(
            "RESULTS_KIND", "a list of results was expected", where=path, remedy="give a COCO results file"
        )
    further = [key for key in NAME_KEYS if names and any(isinstance(e, dict) and key in e for e in entries)]
    rows = _columns(entries, further, names=names)
    if rows is None:
        raise_problems(_problems(path, entries, further, names=names))
        raise InternalError("RESULTS_COLUMNS", "columns are refused, but no entry is", remedy="please report this")
    rows = rows.with_columns(text_of("{}#/{}", pl.lit(path.name), pl.int_range(pl.len())).alias("source"))
    # ultralytics writes file names without class names, and counts the classes of other data sets than COCO from 1
    return StatedDetections(path, rows, BoxForm.XYWH, ids_first=True, from_1=further == ["file_name"])


def _columns(entries: list[Any], further: list[str], *, names: bool) -> pl.DataFrame | None:
    """Return the columns of entries that are all right, else None; much faster than a look at each."""
    try:
        keys = {name: [entry[name] for entry in entries] for name in (*_KEYS, *further)}
        lengths = set(map(len, keys["bbox"]))
    except (KeyError, TypeError):
        return None
    numbers = [*chain.from_iterable(keys["bbox"])]
    id_types: set[type] = {int, str} if names else {int}
    kinds: list[tuple[list[Any], set[type]]] = [(keys[key], {str}) for key in further]
    kinds += [
        (keys["image_id"], id_types),
        (keys["category_id"], id_types),
        (keys["score"], {int, float}),
        (keys["bbox"], {list}),
        (numbers, {int, float}),
    ]
    if not lengths <= {4} or any(not set(map(type, values)) <= allowed for values, allowed in kinds):
        return None
    xywh, score = np.array(numbers, np.float64).reshape(-1, 4), np.array(keys["score"], np.float64)
    if not (np.isfinite(xywh).all() and (xywh[:, 2:] >= 0).all() and ((score >= 0) & (score <= 1)).all()):
        return None
    return pl.DataFrame(
        {
            "image": pl.Series(map(str, keys["image_id"]), dtype=pl.String),
            "category": pl.Series(map(str, keys["category_id"]), dtype=pl.String),
            **{NAME_KEYS[key]: pl.Series(keys[key], dtype=pl.String) for key in further},
            **{name: xywh[:, i] for i, name in enumerate(XYXY)},
            "score": score,
        }
    )


def _problems(path: Path, entries: list[Any], further: list[str], *, names: bool) -> list[DetectTransferError]:
    problems: list[DetectTransferError] = []
    for i, entry in enumerate(entries):
        problem = _problem(entry, further, names=names)
        if problem is not None:
            field, value, what = problem
            problems.append(
                InputError(
                    "RESULTS_ENTRY", what, where=f"{path}#/{i}", field=field, value=value, remedy="fix or remove it"
                )
            )
            if len(problems) == _MOST_PROBLEMS:
                break
    return problems


def _problem(entry: Any, further: list[str], *, names: bool) -> tuple[str, object, str] | None:
    """Return field, value and what is wrong with an entry, or None."""
    if not isinstance(entry, dict):
        return "entry", entry, "an object was expected"
    for key in (*_KEYS, *further):
        if key not in entry:
            return key, "(missing)", "the key is missing" + (" here alone" if key in further else "")
    id_types, id_noun = ({int, str}, "a whole number or a name") if names else ({int}, "a whole number")
    of_type: dict[str, tuple[set[type], str]] = {key: ({str}, "a name") for key in further}
    for key, (types, noun) in {**of_type, "image_id": (id_types, id_noun), "category_id": (id_types, id_noun)}.items():
        if type(entry[key]) not in types:
            return key, entry[key], f"{noun} was expected"
    box = entry["bbox"]
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(v) for v in box):
        return "bbox", box, "four finite numbers were expected"
    if box[2] < 0 or box[3] < 0:
        return "bbox", box, "width and height must not be negative"
    if not _is_number(entry["score"]) or not 0 <= entry["score"] <= 1:
        return "score", entry["score"], "a number in [0, 1] was expected"
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1.7e308
