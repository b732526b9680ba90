"""What the class numbers of a file of detections mean where its layout leaves it open.

A reading that the rows themselves, or the objects of the truth, speak against is refused with the option that says
what is meant: a wrong one would give a plausible low score.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.choices import ClassNumbers
from detect_transfer.core.errors import InputError
from detect_transfer.formats.detections.names import KnownNames
from detect_transfer.formats.detections.overlaps import overlapping

_MOST_ROWS = 5000  # the best detections are evidence enough
_LEAST_PAIRS, _MAJORITY = 5, 0.8


def number_classes(
    rows: pl.DataFrame, names: KnownNames, *, from_1_first: bool, where: Path
) -> tuple[Mapping[int, int], ClassNumbers] | None:
    """Return the category_id that each class number means, and how they are counted.

    Args:
        rows: Detections with `image_id`, corners, `score` and the class number as `number`.
        names: The truth, and what its files number.
        from_1_first: The file is of a tool that counts the classes from 1.
        where: The file.

    Returns:
        None where the numbers are neither ids nor are known to count from 1.

    Raises:
        InputError: The objects of the truth say that they are counted otherwise.
    """
    readings = class_readings(names)
    used = rows["number"].unique().to_list()
    readings = {kind: ids for kind, ids in readings.items() if all(number in ids for number in used)}
    usual = [ClassNumbers.IDS, *([ClassNumbers.FROM_1] if from_1_first else [])]
    usual = [kind for kind in usual if kind in readings]
    if not usual:
        return None
    first = usual[0]
    pairs = _overlapping(rows, names.truth)
    for kind, ids in readings.items():
        n_better, n_worse = _agreement(pairs, ids, readings[first])
        if n_better + n_worse < _LEAST_PAIRS or n_better <= _MAJORITY * (n_better + n_worse):
            continue
        if kind in usual:
            first = kind
            continue
        raise InputError(
            "CLASS_NUMBERS",
            f"{n_better:,} detections lie on an object of their class only if the class numbers are {_MEANING[kind]}, "
            f"and {n_worse:,} only if they are {_MEANING[first]}",
            where=where,
            field="--class-numbers",
            value=first.value,
            remedy=f"give --class-numbers {kind.value}, or {first.value} if that is what they are",
        )
    return readings[first], first


def class_readings(names: KnownNames) -> dict[ClassNumbers, Mapping[int, int]]:
    """Return the category_id of each number by each way to number the classes of a truth, as far as its files tell."""
    readings: dict[ClassNumbers, Mapping[int, int]] = {}
    if names.class_ids is not None:
        readings[ClassNumbers.IDS] = names.class_ids
    if names.class_order:
        order = names.truth.categories["category_id"].sort().to_list()
        readings[ClassNumbers.FROM_1] = dict(enumerate(order, start=1))
        readings[ClassNumbers.FROM_0] = dict(enumerate(order))
    return readings


_MEANING = {
    ClassNumbers.IDS: "category ids",
    ClassNumbers.FROM_0: "places in the list of classes from 0",
    ClassNumbers.FROM_1: "places in the list of classes from 1",
}


def meaning_of(numbers: ClassNumbers) -> str:
    """Return in words what class numbers are."""
    return _MEANING[numbers]


def _overlapping(rows: pl.DataFrame, truth: AnnotationTable) -> pl.DataFrame:
    """Return class number and true class of the best detections that lie on an object of whatever class."""
    best = rows.sort("score", descending=True, maintain_order=True).head(_MOST_ROWS)
    objects = truth.boxes.filter(~pl.col("ignore") & pl.col("category_id").is_not_null())
    row, of_object = overlapping(best["image_id"], best.select(XYXY).to_numpy(), objects)
    return pl.DataFrame({"number": best["number"].gather(row), "true_id": objects["category_id"].gather(of_object)})


def _agreement(pairs: pl.DataFrame, ids: Mapping[int, int], usual: Mapping[int, int]) -> tuple[int, int]:
    """Count the pairs that one reading alone gets right, and those that the usual one alone does."""
    first, other = (
        pairs["number"].replace_strict(reading, default=None, return_dtype=pl.Int64).eq_missing(pairs["true_id"])
        for reading in (ids, usual)
    )
    return int((first & ~other).sum()), int((other & ~first).sum())
