"""Parts of a training set that lie in each other: stratified by class, without cutting a group."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.data.split import SplitUnit, is_positive, split_units, stratify

_HALVES = {"first": 0.5, "second": 0.5}


def nested_subsets(
    table: AnnotationTable, percents: Sequence[float], *, seed: int = 0, hashes: Mapping[int, str] | None = None
) -> dict[float, list[int]]:
    """Return the image ids of each part, in one order of which every part is the beginning.

    The images are halved by class again and again, so that each beginning of the order has the classes in nearly the
    shares of the whole. It does not depend on which parts are asked for: further ones can be added later.

    Args:
        table: The training images.
        percents: The size of each part in (0, 100].
        seed: Another seed gives other parts of the same quality.
        hashes: Content hash by image_id; images with one hash stay together.

    Raises:
        InputError: Two sizes are the same images.
    """
    units = _ranked(split_units(table, hashes or {}), seed)
    ends: dict[int, float] = {}
    parts = {}
    for percent in sorted(percents):
        n = _n_units(units, table.images.height * percent / 100)
        if n in ends:
            raise InputError(
                "STUDY_SIZES",
                f"{ends[n]:g} % and {percent:g} % of {table.images.height} training images are the same images",
                field="study.sizes",
                value=percent,
                remedy="leave one of the two out",
            )
        ends[n] = percent
        parts[percent] = [i for unit in units[:n] for i in unit.image_ids]
    return parts


def missing_classes(table: AnnotationTable, image_ids: Sequence[int], wanted: AnnotationTable) -> list[str]:
    """Return the classes of objects in `wanted` that no object of these images of `table` is of."""
    ids = table.select_images(image_ids).boxes.filter(is_positive())["category_id"].unique().to_list()
    names = dict(table.categories.select("category_id", "name").rows())
    scored = wanted.boxes.filter(is_positive())["category_id"].unique().to_list()
    return sorted(names[i] for i in set(scored) - set(ids))


def _ranked(units: list[SplitUnit], seed: int) -> list[SplitUnit]:
    """Return the units in an order of which every beginning is stratified: the first half, ranked, then the second."""
    ranked, waiting = [], [units]
    while waiting:
        part = waiting.pop()
        if len(part) == 1:
            ranked += part
            continue
        halves: dict[str, list[SplitUnit]] = {"first": [], "second": []}
        for unit, half in zip(part, stratify(part, _HALVES, seed), strict=True):
            halves[half].append(unit)
        if not all(halves.values()):  # groups of very different sizes: chance decides
            ranked += sorted(part, key=lambda unit: hashlib.sha256(f"{seed}\0{unit.name}".encode()).digest())
        else:
            waiting += [halves["second"], halves["first"]]
    return ranked


def _n_units(units: Sequence[SplitUnit], wanted: float) -> int:
    """Return how many units come nearest to a number of images, at least one."""
    count, best, n = 0, float("inf"), 1
    for number, unit in enumerate(units, 1):
        count += len(unit.image_ids)
        if abs(count - wanted) < best:
            best, n = abs(count - wanted), number
    return n
