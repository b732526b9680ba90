"""What every reader does with the files of a native data set."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import (
    BOX_SCHEMA,
    CATEGORY_SCHEMA,
    IMAGE_SCHEMA,
    Annotations,
    AnnotationTable,
    Columns,
    ScannedTable,
    check_table,
    frame,
)
from detect_transfer.core.columns import AnyFrame, joined, n_rows
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES, read_size_wh
from detect_transfer.core.written_links import link_root
from detect_transfer.formats.parsing.box_format import PIXEL_CORNERS, BoxFormat, check_boxes, check_faults
from detect_transfer.formats.parsing.error_collector import ErrorCollector

SizeWh = tuple[int, int]


def require_regular(root: Path, path: Path) -> None:
    """Check that `path` is a file, or a link to one, that lies in `root`.

    A pipe would block the reader for ever, and a link may lead anywhere.

    Raises:
        InputError: It is missing, is something other than a file, or leads out of `root`.
    """
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            io.safe_join(root, path.relative_to(root).as_posix(), where=path, field="link")
            mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise InputError("FILE_MISSING", "there is no such file", where=path, remedy="check the path") from error
    if not stat.S_ISREG(mode):
        raise InputError("FILE_KIND", "it is not a regular file", where=path, remedy="replace it by the file itself")


def read_bytes(root: Path, path: Path) -> bytes:
    """Read a regular file of a data set.

    Raises:
        InputError: It is missing, is no regular file or leads out of `root`.
        ResourceError: The machine does not let us read it.
    """
    require_regular(root, path)
    return io.read_bytes(path)


def read_text(root: Path, path: Path) -> str:
    """Read a regular UTF-8 text file of a data set.

    Raises:
        InputError: As for `read_bytes`, or it is not UTF-8.
        ResourceError: The machine does not let us read it.
    """
    require_regular(root, path)
    return io.read_text(path)


def lines_of(text: str) -> list[str]:
    """Split a text at its line ends alone; `str.splitlines` also splits at form feeds and the like."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def folder_named(root: Path, *names: str) -> Path | None:
    """Return the first folder in `root` whose name is one of `names` in any case, or None."""
    folders = {p.name.casefold(): p for p in sorted(root.iterdir(), reverse=True) if p.is_dir()}
    return next((folders[n.casefold()] for n in names if n.casefold() in folders), None)


def stem_of(name: str) -> str:
    """Return a relative name without its last suffix: ``a/b.c.jpg`` -> ``a/b.c``."""
    head, dot, suffix = name.rpartition(".")
    if dot and suffix and head and head[-1] not in "./" and "/" not in suffix and "//" not in name and "./" not in name:
        return head  # the plain case, which is nearly all and ten times faster
    path = PurePosixPath(name)
    return path.with_suffix("").as_posix() if path.name else name


def images_by_stem(folder: Path, errors: ErrorCollector, *, recursive: bool = True) -> dict[str, str]:
    """Map the stem of every image in `folder` to its name relative to `folder`, sorted by name.

    Two images of one stem would share one annotation, which is a fault (`STEM_TWICE`).
    """
    names = io.list_files(folder, IMAGE_SUFFIXES) if recursive else _images_directly_in(folder)
    by_stem: dict[str, str] = {}
    for name in names:
        check_text(folder / name, errors)
        first = by_stem.setdefault(stem_of(name), name)
        if first != name:
            what = f"'{first}' and '{name}' share one stem, so one annotation would serve both"
            remedy = "remove one of them or rename it with its annotation"
            errors.add("STEM_TWICE", what, where=folder / name, remedy=remedy)
    return by_stem


def _images_directly_in(folder: Path) -> list[str]:
    names = (p.name for p in folder.iterdir() if not p.is_dir() and not p.name.startswith("."))
    return sorted(name for name in names if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES)


def check_text(path: Path, errors: ErrorCollector) -> None:
    """Refuse a file name that is not UTF-8: no table, JSON or report could hold it."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        errors.add("NAME_ENCODING", "the file name is not UTF-8", where=shown, remedy="rename the file")


def read_sizes(root: Path, names: Iterable[str], errors: ErrorCollector) -> list[SizeWh | None]:
    """Return (width, height) of each image from its header; None for one that is reported as a fault."""
    sizes: list[SizeWh | None] = []
    for name in names:
        size = None
        with errors.image(name):
            require_regular(root, root / name)
            size = read_size_wh(root / name)
        sizes.append(size)
    return sizes


def check_size(stated: SizeWh, real: SizeWh, *, where: str | Path, image: str, errors: ErrorCollector) -> None:
    """Report an annotation that states another size than the image has."""
    if stated == real:
        return
    turned = " (the image may be turned by its EXIF orientation)" if stated == real[::-1] else ""
    what = f"the annotation says {stated[0]} x {stated[1]}, '{image}' has {real[0]} x {real[1]} pixels{turned}"
    remedy = "put the right image beside it, or read with size_mismatch=keep to trust the image"
    errors.add("IMAGE_SIZE", what, where=where, field="size", image=image, remedy=remedy)


def check_choice(option: str, value: str, choices: Mapping[str, str] | tuple[str, ...]) -> None:
    """Check that an option of a reader has one of its values.

    Raises:
        InputError: It has not.
    """
    if value not in choices:
        raise InputError(
            "OPTION_VALUE", "no such choice", field=option, value=value, remedy="give one of: " + ", ".join(choices)
        )


def finish(
    errors: ErrorCollector,
    *,
    images: Columns,
    boxes: Columns,
    categories: Columns,
    image_root: Path | None,
    box_format: BoxFormat = PIXEL_CORNERS,
) -> AnnotationTable:
    """Make the table that a reader gives, with its boxes in memory; all as for `finish_any`.

    Raises:
        InputError: As for `finish_any`.
    """
    return finish_any(
        errors, images=images, boxes=boxes, categories=categories, image_root=image_root, box_format=box_format
    ).in_memory()


def finish_any(
    errors: ErrorCollector,
    *,
    images: Columns,
    boxes: Columns | pl.LazyFrame,
    categories: Columns,
    image_root: Path | None,
    box_format: BoxFormat = PIXEL_CORNERS,
) -> Annotations:
    """Make the table that a reader gives, without what its faults leave out.

    Args:
        errors: The faults so far; those that are errors are raised.
        images: As for `AnnotationTable.from_columns`.
        boxes: As for `AnnotationTable.from_columns`, or a query of all columns; rows at fault are not among them.
        categories: As for `AnnotationTable.from_columns`.
        image_root: The folder of the images.
        box_format: What the boxes, which are corners in pixels now, were read as.

    Raises:
        InputError: There are faults, no image is left, or the boxes are not what the format says.
    """
    image_rows = frame(images, IMAGE_SCHEMA)
    box_rows: AnyFrame = boxes if isinstance(boxes, pl.LazyFrame) else frame(boxes, BOX_SCHEMA)
    n_boxes, skipped = n_rows(box_rows), errors.skipped_images
    check_faults(errors, n_boxes, box_format)
    errors.raise_any()
    check_boxes(image_rows, box_rows, box_format)
    if skipped:
        image_rows = image_rows.filter(~pl.col("file_name").is_in(list(skipped)))
        if image_rows.is_empty():
            first = next(iter(skipped.values()))
            what = "every image has a fault, so skip-image leaves none"
            raise InputError("IMAGES_NONE", what, where=first.where, remedy=f"fix them; the first is: {first}")
        box_rows = joined(box_rows, image_rows.select("image_id"), on="image_id", how="semi")
    fields: dict[str, Any] = {
        **{"images": image_rows, "categories": frame(categories, CATEGORY_SCHEMA)},
        **{"image_root": image_root, "link_root": link_root()},
        "reading": errors.reading(boxes_of_skipped=n_boxes - n_rows(box_rows)),
    }
    if isinstance(box_rows, pl.DataFrame):
        return AnnotationTable(boxes=box_rows, **fields)
    table = ScannedTable(boxes=box_rows, **fields)
    check_table(table)
    return table


def leave_out(
    images: pl.DataFrame, boxes: AnyFrame, absent: Sequence[str], errors: ErrorCollector
) -> tuple[pl.DataFrame, AnyFrame]:
    """Leave out images that are not there, with their boxes, and note both.

    Raises:
        InputError: No image is left.
    """
    if not absent:
        return images, boxes
    images = images.filter(~pl.col("file_name").is_in(list(absent)))
    if images.is_empty():
        what = f"none of the {len(absent)} images is there, so missing_images=skip leaves none"
        remedy = "give the folder that holds them"
        raise InputError("IMAGES_NONE", what, field="file_name", value=absent[0], remedy=remedy)
    n_boxes = n_rows(boxes)
    boxes = joined(boxes, images.select("image_id"), on="image_id", how="semi")
    errors.note("image is not there", len(absent), tuple(absent), kind="image")
    errors.note("their image is not there", n_boxes - n_rows(boxes), kind="box")
    return images, boxes


def box_frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Make the frame of boxes from rows of a format that has few; `annotation_id` counts from 1."""
    schema = {"annotation_id": pl.Int64, **{name: BOX_SCHEMA[name] for name in (rows[0] if rows else ())}}
    return pl.DataFrame([{"annotation_id": i, **row} for i, row in enumerate(rows, start=1)], schema=schema)
