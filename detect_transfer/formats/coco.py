"""COCO instances JSON: one file, or a folder with `annotations/instances_<split>.json`. Imports ranks 0 to 1.

The boxes are `x, y, width, height` from the top-left corner of the first pixel, which is our own convention. Beside
COCO's keys those of our writer are read (`ignore_reason`, `occluded`, `truncated`, `difficult`, `vis_bbox`, `track_id`,
`attributes`, `source`, `all_classes`; of images `split`, `group` and any other), so a table survives the round trip.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from detect_transfer import files
from detect_transfer.errors import InputError
from detect_transfer.formats import _native
from detect_transfer.formats._coco_file import CocoFile, read_file
from detect_transfer.formats._coco_join import join_files
from detect_transfer.formats._problems import Problems
from detect_transfer.table import AnnotationTable

_PATTERN = "instances_*.json"
_SPLIT = re.compile(r"(train|val|test|trainval|minival)([0-9]{4})?")
_PROBED = 20


def read(root: Path, *, images: Path | None = None, verify: bool = False) -> AnnotationTable:
    """Read COCO instances as an `AnnotationTable` with the extra boxes column `area`.

    A crowd is always to be ignored as well (reason ``crowd``); a plain ``ignore`` flag gets the reason ``ignore flag``.
    Of segmentations the box and the area are kept. Keys of an annotation that no column holds go to `attributes`. Ids
    stay as they are in the file (0 is fine); only where the files of several splits clash are later ones renumbered.

    Args:
        root: A JSON file, or a folder that holds ``instances_<split>.json`` in ``annotations/`` or by themselves. An
            image without the key `split` gets it from the name of its file, the year of ``train2017`` left out.
        images: The folder that `file_name` is relative to; its pictures must all be there. Without it the usual places
            are tried (``images/``, ``<split>/``, ``images/<split>/``, beside the file), and pictures may be absent.
        verify: Whether to compare the sizes of all pictures with what is stated.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems of a file at once, each with
            its JSON pointer.

    Source: https://cocodataset.org/#format-data
    """
    paths = _instances(root)
    parts = [_with_split(read_file(p, source=_source(p)), alone=len(paths) == 1) for p in paths]
    return _table(parts, images=images, verify=verify)


def read_splits(paths: Mapping[str, Path], *, images: Path | None = None, verify: bool = False) -> AnnotationTable:
    """Read one COCO file for each split, by the names that the caller gives them, wherever they lie.

    Args:
        paths: The JSON file of each split.
        images: As for `read`.
        verify: As for `read`.

    Raises:
        InputError: As for `read`.
    """
    parts = []
    for split, path in paths.items():
        part = read_file(path, source=_source(path))
        parts.append(replace(part, images=part.images.with_columns(split=pl.lit(split))))
    return _table(parts, images=images, verify=verify)


def _table(parts: Sequence[CocoFile], *, images: Path | None, verify: bool) -> AnnotationTable:
    if images is not None:
        image_root: Path | None = files.require_dir(images, what="the folder of the pictures")
    else:
        image_root, parts = _guess_root(parts)
    table = join_files(parts, image_root)
    _look_at_pictures(table, must_exist=images is not None or verify, verify=verify)
    return _fill_sizes(table)


def _instances(root: Path) -> list[Path]:
    """Return the instances files of a data set."""
    if root.is_file():
        return [root]
    files.require_dir(root, what="a COCO file or a folder with annotations/instances_<split>.json")
    found = sorted((root / "annotations").glob(_PATTERN)) or sorted(root.glob(_PATTERN))
    if not found:
        raise InputError(
            "COCO_MISSING",
            f"neither annotations/{_PATTERN} nor {_PATTERN} is there",
            where=root,
            remedy="give the JSON file itself, or a folder of that layout",
        )
    for path in found:
        _native.require_regular(root, path)
    return found


def _home(path: Path) -> Path:
    """Return the folder of the data set that a file belongs to."""
    return path.parent.parent if path.parent.name == "annotations" else path.parent


def _source(path: Path) -> str:
    return path.relative_to(_home(path)).as_posix()


def _split_name(path: Path) -> str:
    return path.stem.removeprefix("instances_")


def _with_split(part: CocoFile, *, alone: bool) -> CocoFile:
    """Fill in the split that the file name tells; a file by itself is only believed when it names a usual one."""
    name = _split_name(part.path)
    usual = _SPLIT.fullmatch(name)
    if alone and usual is None:
        return part
    split = usual[1] if usual else name
    return replace(part, images=part.images.with_columns(pl.col("split").fill_null(split)))


def _guess_root(parts: Sequence[CocoFile]) -> tuple[Path | None, Sequence[CocoFile]]:
    """Find the folder of each file's pictures; where they differ, file names become relative to the one above all."""
    folders = [_folder_of(part) for part in parts]
    found = {folder for folder in folders if folder is not None}
    if len(found) <= 1:
        return next(iter(found), None), parts
    base = Path(os.path.commonpath(found))
    return base, [_below(base, folder, part) for folder, part in zip(folders, parts, strict=True)]


def _below(base: Path, folder: Path | None, part: CocoFile) -> CocoFile:
    if folder is None or folder == base:
        return part
    name = (pl.lit(f"{folder.relative_to(base).as_posix()}/") + pl.col("file_name")).alias("file_name")
    return replace(part, images=part.images.with_columns(name))


def _folder_of(part: CocoFile) -> Path | None:
    home, split = _home(part.path), _split_name(part.path)
    names = part.images["file_name"].head(_PROBED)
    places = (home / "images", home / split, home / "images" / split, home, part.path.parent)
    return next((place for place in places if any((place / name).is_file() for name in names)), None)


def _look_at_pictures(table: AnnotationTable, *, must_exist: bool, verify: bool) -> None:
    """Check that every picture is there and, if asked, that its size is the one stated."""
    root = table.image_root
    if root is None or not must_exist:
        return
    problems = Problems()
    for name in table.images["file_name"]:
        if not (root / name).is_file():
            problems.add(
                "IMAGE_MISSING", "there is no such picture", where=root / name, remedy="restore it, or remove its entry"
            )
    problems.raise_any()
    if not verify:
        return
    rows = table.images.select("file_name", "width", "height").rows()
    real = _native.read_sizes(root, [name for name, _, _ in rows], problems)
    for (name, width, height), size in zip(rows, real, strict=True):
        if size is not None and width is not None:
            _native.check_size((width, height), size, where=root / name, picture=name, problems=problems)
    problems.raise_any()


def _fill_sizes(table: AnnotationTable) -> AnnotationTable:
    """Take from the pictures the sizes that the file does not state; null stays where there is no picture."""
    root, unknown = table.image_root, pl.col("width").is_null()
    names = table.images.filter(unknown)["file_name"].to_list()
    if root is None or not names:
        return table
    problems = Problems()
    there = [name for name in names if (root / name).is_file()]
    sizes = dict(zip(there, _native.read_sizes(root, there, problems), strict=True))
    problems.raise_any()
    found = pl.DataFrame(
        {"file_name": there, "w": [s and s[0] for s in sizes.values()], "h": [s and s[1] for s in sizes.values()]},
        schema={"file_name": pl.String, "w": pl.Int32, "h": pl.Int32},
    )
    filled = table.images.join(found, on="file_name", how="left", maintain_order="left").with_columns(
        pl.col("width").fill_null(pl.col("w")), pl.col("height").fill_null(pl.col("h"))
    )
    return replace(table, images=filled.drop("w", "h"))
