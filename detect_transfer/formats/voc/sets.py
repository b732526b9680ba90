"""The lists of `ImageSets/Main` and the like: which image is in which split."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector

_CLASS_ROW = re.compile(r"\S+\s+-?[01]")
_UNION = "trainval"


def read_splits(root: Path, stems: set[str], errors: ErrorCollector, *, skip_missing: bool = False) -> dict[str, str]:
    """Map the stem of every listed image to its split; empty where there are no lists.

    Lists such as ``person_train.txt``, whose rows end in 1, 0 or -1, tell the presence of a class and are no splits.

    Args:
        root: The folder of the data set.
        stems: The images that are known.
        errors: Where faults go.
        skip_missing: Whether a list may name images that are not known, which is noted.
    """
    sets = native.folder_named(root, "ImageSets")
    main = native.folder_named(sets, "Main") if sets is not None else None
    # the union of train and val goes last, so that an image keeps the narrower name
    paths = sorted(main.glob("*.txt"), key=lambda p: (p.stem == _UNION, p.name)) if main else []
    return read_lists(root, paths, stems, errors, skip_missing=skip_missing)


def read_lists(
    root: Path, paths: Iterable[Path], stems: set[str], errors: ErrorCollector, *, skip_missing: bool = False
) -> dict[str, str]:
    """Map the stem of every image that a list names to the stem of the list, a file in `root`."""
    splits: dict[str, str] = {}
    absent: dict[str, None] = {}
    for path in paths:
        try:
            lines = native.lines_of(native.read_text(root, path))
        except InputError as error:
            errors.put(error)
            continue
        rows = {number: line.strip() for number, line in enumerate(lines, start=1) if line.strip()}
        if rows and all(_CLASS_ROW.fullmatch(row) for row in rows.values()):
            continue
        for number, stem in rows.items():
            if skip_missing and stem not in stems:
                absent[stem] = None
                continue
            _put(splits, stem, path, number, stems=stems, errors=errors)
    errors.note("image is listed and is not there", len(absent), tuple(absent), kind="image")
    return splits


def _put(
    splits: dict[str, str], stem: str, path: Path, number: int, *, stems: set[str], errors: ErrorCollector
) -> None:
    split, where = path.stem, f"{path}:{number}"
    if stem not in stems:
        errors.add(
            "IMAGE_MISSING",
            "no image has this stem",
            where=where,
            field="stem",
            value=stem,
            remedy=did_you_mean(stem, sorted(stems)) if len(stems) < 1000 else "remove the line",
        )
    elif splits.get(stem, split) != split and split != _UNION:
        errors.add(
            "SPLIT_TWICE",
            f"the image is in '{splits[stem]}' as well",
            where=where,
            field="stem",
            value=stem,
            remedy="list it in one of them",
        )
    else:
        splits.setdefault(stem, split)
