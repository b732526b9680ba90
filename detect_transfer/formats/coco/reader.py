"""COCO instances JSON: one file, or a folder with `annotations/instances_<split>.json`.

The boxes are `x, y, width, height` from the top-left corner of the first pixel, which is our own convention. Beside
COCO's keys those of our writer are read (`ignore_reason`, `occluded`, `truncated`, `difficult`, `vis_bbox`,
`vis_ratio`, `track_id`, `attributes`, `source`, `all_classes`; of images `split`, `group` and any other), so a table
survives the round trip.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.coco.file import CocoFile, read_file
from detect_transfer.formats.coco.image_files import ImageOptions, find_root, home_of, look_at_images, split_name
from detect_transfer.formats.coco.join import join_files
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.box_format import check_sizes
from detect_transfer.formats.parsing.error_collector import ErrorCollector

_PATTERN = "instances_*.json"
_SPLIT = re.compile(r"(train|val|test|trainval|minival)([0-9]{4})?")


def read(
    root: Path,
    *,
    images: Path | None = None,
    missing_images: str | None = None,
    size_mismatch: str = "unchecked",
    lenient: bool = False,
    on_error: str = "fail",
) -> AnnotationTable:
    """Read COCO instances as an `AnnotationTable` with the extra boxes column `area`.

    A crowd is always to be ignored as well (reason ``crowd``); a plain ``ignore`` flag gets the reason ``ignore flag``.
    Of segmentations the box and the area are kept. Keys of an annotation that no column holds go to `attributes`. Ids
    stay as they are in the file (0 is fine); only where the files of several splits clash are later ones renumbered.

    Args:
        root: A JSON file, or a folder that holds ``instances_<split>.json`` in ``annotations/`` or by themselves. An
            image without the key `split` gets it from the name of its file, the year of ``train2017`` left out.
        images: The folder that `file_name` is relative to. Without it the usual places are tried (``images/``,
            ``<split>/``, ``images/<split>/``, beside the file).
        missing_images: ``error``, ``keep`` to go on without the images that are not there, or ``skip`` to leave them
            and their boxes out. None means ``error`` where `images` is given or sizes are compared, else ``keep``.
        size_mismatch: ``unchecked`` believes the sizes that are stated; ``error`` compares them with the images;
            ``keep`` takes those of the images.
        lenient: Whether to take what "almost COCO" files write: whole numbers as floats or strings, `im_name`,
            `filename` or `image_name` for `file_name`, annotations without `id`. Each kind is counted in the ledger.
        on_error: What becomes of an annotation or an image at fault: ``fail``, ``skip-row`` or ``skip-image``.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems of a file at once, each with
            its JSON pointer.

    Source: https://cocodataset.org/#format-data
    """
    options = ImageOptions(images, missing_images, size_mismatch)
    paths = _instances(root)
    parts = [read_file(p, source=_source(p), on_error=on_error, lenient=lenient) for p in paths]
    return _table([_with_split(part, alone=len(paths) == 1) for part in parts], options)


def read_splits(paths: Mapping[str, Path], *, images: Path | None = None) -> AnnotationTable:
    """Read one COCO file for each split, by the names that the caller gives them, wherever they lie.

    Args:
        paths: The JSON file of each split.
        images: As for `read`.

    Raises:
        InputError: As for `read`.
    """
    parts = []
    for split, path in paths.items():
        part = read_file(path, source=_source(path))
        parts.append(replace(part, images=part.images.with_columns(split=pl.lit(split))))
    return _table(parts, ImageOptions(images))


def _table(parts: Sequence[CocoFile], options: ImageOptions) -> AnnotationTable:
    errors = ErrorCollector(parts[0].errors.on_error)
    image_root, parts = find_root(parts, options, errors)
    whole = look_at_images(join_files(parts, errors), image_root, options)
    check_sizes(whole.images, whole.boxes)
    return native.finish(
        errors, images=whole.images, boxes=whole.boxes, categories=whole.categories, image_root=image_root
    )


def _instances(root: Path) -> list[Path]:
    """Return the instances files of a data set."""
    if root.is_file():
        return [root]
    io.require_dir(root, what="a COCO file or a folder with annotations/instances_<split>.json")
    paths = sorted((root / "annotations").glob(_PATTERN)) or sorted(root.glob(_PATTERN))
    if not paths:
        raise InputError(
            "COCO_MISSING",
            f"neither annotations/{_PATTERN} nor {_PATTERN} is there",
            where=root,
            remedy="give the JSON file itself, or a folder of that layout",
        )
    for path in paths:
        native.require_regular(root, path)
    return paths


def _source(path: Path) -> str:
    return path.relative_to(home_of(path)).as_posix()


def _with_split(part: CocoFile, *, alone: bool) -> CocoFile:
    """Fill in the split that the file name tells; a file by itself is only believed when it names a usual one."""
    name = split_name(part.path)
    usual = _SPLIT.fullmatch(name)
    if alone and usual is None:
        return part
    split = usual[1] if usual else name
    return replace(part, images=part.images.with_columns(pl.col("split").fill_null(split)))
