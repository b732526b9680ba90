"""The `splits.json` of a conversion, which gives another conversion of the same source the same split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from detect_transfer.core.annotations import Table
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.core.io import read_json
from detect_transfer.data.split import check_split_name

SPLITS_VERSION = 1
_REMEDY = "give a splits.json that convert wrote, or --split-ratio train=0.8,val=0.2"
_OTHER_DATA = "give the data that the file was made from"
_MOST_CHOICES = 1000  # names that are compared for the nearest one


@dataclass(frozen=True)
class SplitFile:
    """The split of every image by its name in the source, as a file says.

    Args:
        name: The name of the file, for messages and the manifest.
        split_of: The split of each `file_name`.
    """

    name: str
    split_of: Mapping[str, str] = field(repr=False)


def load_split_file(path: Path) -> SplitFile:
    """Load a `splits.json`.

    Raises:
        InputError: It is missing, damaged, or lists an image twice.
    """
    content = read_json(path)
    version = content.get("splits_version") if isinstance(content, dict) else None
    if version != SPLITS_VERSION:
        raise InputError(
            "SPLIT_FILE",
            f"expected version {SPLITS_VERSION}",
            where=f"{path}#/splits_version",
            field="splits_version",
            value=version,
            remedy=_REMEDY,
        )
    splits = content.get("splits")
    if not isinstance(splits, dict) or not splits:
        raise InputError("SPLIT_FILE", "expected an object of lists of names", where=f"{path}#/splits", remedy=_REMEDY)
    split_of: dict[str, str] = {}
    for split, names in splits.items():
        check_split_name(split)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError(
                "SPLIT_FILE", "expected a list of names of images", where=f"{path}#/splits/{split}", remedy=_REMEDY
            )
        for number, name in enumerate(names):
            if name in split_of:
                raise InputError(
                    "SPLIT_TWICE",
                    f"the image is in '{split_of[name]}' as well",
                    where=f"{path}#/splits/{split}/{number}",
                    field="file_name",
                    value=name,
                    remedy="list it in one of them",
                )
            split_of[name] = split
    return SplitFile(path.name, split_of)


def part_from_file(table: Table, split: SplitFile) -> Table:
    """Return the images that the file names, each in the split of the file.

    Raises:
        InputError: The file names an image that is not there, or two images have one name.
    """
    names = table.images["file_name"]
    twice = names.filter(names.is_duplicated())
    if not twice.is_empty():
        raise InputError(
            "SPLIT_FILE",
            f"{len(twice)} images share a name, so that a file cannot tell them apart",
            where=split.name,
            field="file_name",
            value=twice[0],
            remedy="convert the data first, which gives each image a name of its own",
        )
    _require_all(split, split.split_of, names, "images of the file are not in the data", _OTHER_DATA)
    marked = _marked(table, split)
    return marked.select_images(marked.images.drop_nulls("split")["image_id"])


def split_from_file(table: Table, split: SplitFile) -> Table:
    """Give every image the split of the file.

    Raises:
        InputError: An image is not in the file, or the file names one that is not there.
    """
    names = table.images["file_name"]
    _require_all(split, names, split.split_of, "images of the source are not in the file", _REMEDY)
    _require_all(split, split.split_of, names, "images of the file are not in the source", _REMEDY)
    return _marked(table, split)


def _marked(table: Table, split: SplitFile) -> Table:
    """Return the table with the splits of the file; null for images that it does not name."""
    chosen = pl.col("file_name").replace_strict(dict(split.split_of), default=None, return_dtype=pl.String)
    return table.with_fields(images=table.images.with_columns(chosen.alias("split")))


def _require_all(split: SplitFile, names: Iterable[str], choices: Iterable[str], what: str, remedy: str) -> None:
    """Refuse names that are not among the choices; of few choices the nearest one is the remedy."""
    there = set(choices)
    absent = [name for name in names if name not in there]
    if absent:
        raise InputError(
            "SPLIT_FILE",
            f"{len(absent)} {what}, the first is shown",
            where=split.name,
            field="file_name",
            value=absent[0],
            remedy=did_you_mean(absent[0], sorted(there)) if len(there) <= _MOST_CHOICES else remedy,
        )
