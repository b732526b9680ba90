"""Mapillary Traffic Sign Dataset: a JSON an image, annotated fully or in part.

The corners are floats from the top-left corner of the first pixel: our own convention. On a panorama a sign that
crosses the seam has xmin > xmax on purpose; it becomes two boxes, one at each edge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.json_boxes import row_frame
from detect_transfer.formats.parsing.row_table import finish_rows
from detect_transfer.formats.parsing.rows import number_classes
from detect_transfer.formats.traffic_signs.mtsd_file import COLUMNS, PROPERTIES, SignFile, image_of, read_file

_SETS = ("", "mtsd_v2_fully_annotated/", "mtsd_v2_partially_annotated/")
_PARTIAL = "partially annotated"


def read(
    root: Path, *, panoramas: str = "drop", ignore: str = "ambiguous,dummy", missing_images: str = "error",
    size_mismatch: str = "error", on_error: str = "fail",
) -> AnnotationTable:  # fmt: skip
    """Read MTSD: a class a label (``regulatory--stop--g1``, ..., ``other-sign``) in sorted order.

    `occluded` and `out-of-frame` become `occluded` and `truncated`; the other properties go to `attributes`. In a
    image of the partially annotated set, signs without a box are to be expected: a region without a class, to be
    ignored, covers it. Keys of ``splits/test.txt`` have no annotation and are left out, which the ledger counts.

    Args:
        root: The folder with ``annotations`` and ``splits``, or the one above ``mtsd_v2_fully_annotated`` and
            ``mtsd_v2_partially_annotated``; images are found by their keys, wherever below it.
        panoramas: ``drop`` leaves 360-degree images out, which the ledger counts; ``keep`` keeps them.
        ignore: Which properties make a sign neither target nor background, separated by commas; ``none`` for none.
        missing_images: ``error``; ``keep`` goes on with the sizes stated; ``skip`` leaves absent images out.
        size_mismatch: ``error``, or ``keep`` to trust the image where a JSON states another size.
        on_error: As for `ErrorCollector`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once.

    Source: Ertler et al., The Mapillary Traffic Sign Dataset for Detection and Classification on a Global Scale, ECCV
        2020; readme of the data.
    """
    native.check_choice("panoramas", panoramas, ("drop", "keep"))
    ignored = _ignored(ignore)
    media = ImageLookup(by="tail", missing_images=missing_images, size_mismatch=size_mismatch)
    problems = ErrorCollector(on_error)
    sets = _sets(root)
    found: dict[str, SignFile] = {}
    for base, names in sets.items():
        for one in _read_set(root, base, names, ignored, problems):
            if found.setdefault(one.image, one) is not one:
                what, remedy = f"{found[one.image].source} is of the same image", "remove one of them"
                problems.add("ID_DUPLICATE", what, where=root / one.source, remedy=remedy, image=one.image)
    kept = _without_panoramas(found, problems) if panoramas == "drop" else found
    splits = _splits(root, sets, problems)
    named = {name: ImageRef(f"{root}/{one.source}", one.size_wh) for name, one in kept.items()}
    images = find_images(root, named, media, problems)
    rows, classes = number_classes(row_frame([row for one in kept.values() for row in one.rows], COLUMNS), "label")
    return finish_rows(
        problems,
        rows=rows.drop("label"),
        found=images,
        categories=classes.with_columns(supercategory=pl.col("name").str.extract("^(.+?)--", 1)),
        image_root=root,
        facts=pl.DataFrame(
            [(name, splits.get(name), one.panorama, one.partial) for name, one in kept.items()],
            schema={"image": pl.String, "split": pl.String, "panorama": pl.Boolean, "partially_annotated": pl.Boolean},
            orient="row",
        ),
    )


def _ignored(ignore: str) -> list[str]:
    """Return the properties that an option names.

    Raises:
        InputError: One is no property.
    """
    words = [] if ignore == "none" else [word.strip() for word in str(ignore).split(",")]
    for word in words:
        native.check_choice("ignore", word, PROPERTIES)
    return words


def _sets(root: Path) -> dict[str, list[str]]:
    """Return the annotations by the folder of their set, all relative to the root.

    Raises:
        InputError: There are none.
    """
    io.require_dir(root, what="a folder with annotations/<key>.json")
    held = io.list_files(root, (".json",))
    found = {base: [name for name in held if name.startswith(f"{base}annotations/")] for base in _SETS}
    found = {base: names for base, names in found.items() if names} or {"": [n for n in held if "/" not in n]}
    if any(found.values()):
        return found
    raise InputError(
        "MTSD_MISSING", "there is no annotations/<key>.json", where=root, remedy="give the folder of one release"
    )


def _read_set(
    root: Path, base: str, names: Sequence[str], ignored: Sequence[str], problems: ErrorCollector
) -> list[SignFile]:
    """Read the annotations of a set; where it is annotated in part, a region to be ignored covers each image."""
    found = [one for name in names if (one := read_file(root, name, ignored, problems)) is not None]
    partial = "partially" in (root / base).resolve().name or any(one.partial for one in found)
    return [replace(one, partial=True, rows=[*one.rows, _rest(one)]) for one in found] if partial else found


def _rest(one: SignFile) -> Sequence[Any]:
    """Return the region that stands for the signs of an image that nobody boxed."""
    width, height = map(float, one.size_wh)
    known = (None, 0.0, 0.0, width, height, True, True, _PARTIAL)
    return (one.image, *known, None, None, None, f"{one.source}#")


def _without_panoramas(found: Mapping[str, SignFile], problems: ErrorCollector) -> dict[str, SignFile]:
    left = [one for name, one in found.items() if one.panorama and name not in problems.skipped_images]
    boxes = tuple(row[-1] for one in left for row in one.rows)
    problems.note("panorama", len(left), tuple(one.source for one in left), kind="image")
    problems.note("of a panorama", len(boxes), boxes, kind="box")
    return {name: one for name, one in found.items() if not one.panorama}


def _splits(root: Path, sets: Mapping[str, Sequence[str]], problems: ErrorCollector) -> dict[str, str]:
    """Return the split of each image by the lists of keys, reporting those that have no annotation."""
    known = {image_of(name) for names in sets.values() for name in names}
    splits: dict[str, str] = {}
    bare: list[str] = []
    lists = [(f"{base}splits/{split}.txt", split) for base in sets for split in ("train", "val", "test")]
    for name, split in lists:
        file = root / name
        if not file.exists():
            continue
        for line, text in enumerate(native.lines_of(native.read_text(root, file)), start=1):
            key, where = text.strip(), f"{file}:{line}"
            image = f"{key}.jpg"
            if not key:
                continue
            if image in known and splits.setdefault(image, split) != split:
                what, remedy = f"the image is in '{splits[image]}' as well", "list it in one of them"
                problems.add("SPLIT_TWICE", what, where=where, field="key", value=key, remedy=remedy, image=image)
            elif image not in known and split == "test":
                bare.append(f"{name}:{line}")
            elif image not in known:
                what, remedy = "there is no annotation of this image", "restore it, or remove the line"
                problems.add("ANNOTATION_MISSING", what, where=where, field="key", value=key, remedy=remedy)
    problems.note("listed in splits/test.txt, without annotation", len(bare), tuple(bare), kind="image")
    return splits
