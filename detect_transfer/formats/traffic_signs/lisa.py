"""LISA traffic signs (US): `allAnnotations.csv`, or a `frameAnnotations.csv` in each folder.

A row is a sign, with integer corners counted from 0. Whether the lower right one is the last pixel is not documented;
it is read as the edge after it unless `inclusive` says otherwise.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.row_table import finish_rows
from detect_transfer.formats.parsing.rows import linked, named_in, number_classes
from detect_transfer.formats.traffic_signs.lisa_rows import read_rows

_WHOLE = "allAnnotations.csv"
_PART = "frameAnnotations.csv"
_NEGATIVES = "negatives"
_IGNORE = ("none", "other-road", "unreadable", "both")
_GROUPS = {"file": "origin_file", "track": "origin_track"}


def read(
    root: Path, *, ignore: str = "none", group_by: str = "file", inclusive: bool = False,
    missing_images: str = "error", on_error: str = "fail",
) -> AnnotationTable:  # fmt: skip
    """Read LISA traffic signs: a class a tag, in sorted order.

    The file of the whole set is read where it is there, else those of the folders. Images below `negatives` show no
    sign; other images that no row names are left out, which the ledger counts. There is no official split.

    Args:
        root: The folder with ``allAnnotations.csv``, or with folders that hold a ``frameAnnotations.csv`` each.
        ignore: Which signs are neither target nor background: ``none``, ``other-road`` (they stand on another road),
            ``unreadable`` (tags that end in ``Urdbl``), or ``both``.
        group_by: What no split may cut: ``file``, the video; or ``track``, the stretch of it in which one sign
            comes nearer. Every sign of an image has the track of its image, so it is no `track_id`.
        inclusive: Whether the lower right corner is the last pixel that belongs to the sign.
        missing_images: ``error``; ``keep`` goes on without sizes; ``skip`` leaves rows of absent images out.
        on_error: As for `ErrorCollector`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: Mogelmose, Trivedi, Moeslund, Vision-Based Traffic Sign Detection and Analysis, IEEE T-ITS 2012; readme of
        the data.
    """
    native.check_choice("ignore", ignore, _IGNORE)
    native.check_choice("group_by", group_by, _GROUPS)
    media, problems = ImageLookup(missing_images=missing_images), ErrorCollector(on_error)
    rows = read_rows(root, _annotations(root), problems, flags=True, inclusive=inclusive)
    named = named_in(rows, root)
    told = {*named, *problems.skipped_images}
    unnamed = [name for name in io.list_files(root, IMAGE_SUFFIXES) if name not in told]
    negatives = [name for name in unnamed if _NEGATIVES in PurePosixPath(name).parts[:-1]]
    named |= {name: ImageRef(str(root / name)) for name in negatives}
    images = find_images(root, named, media, problems)
    others = tuple(sorted(set(unnamed) - set(negatives)))
    problems.note(f"image without a row, not in {_NEGATIVES}", len(others), others, kind="image")
    groups = linked(rows, _GROUPS[group_by])
    rows, classes = number_classes(_marked(rows, ignore), "tag")
    return finish_rows(
        problems,
        rows=rows.select(
            *("image", "file", "line", "category_id", "x1", "y1", "x2", "y2", "ignore", "ignore_reason"),
            *("occluded", "attributes"),
        ),
        found=images,
        categories=classes,
        image_root=root,
        facts=pl.DataFrame(list(groups.items()), schema={"image": pl.String, "group": pl.String}, orient="row"),
    )


def _annotations(root: Path) -> dict[str, str | None]:
    """Return the annotation files with the folder that their images are named relative to."""
    io.require_dir(root, what=f"a folder with {_WHOLE}, or with folders that hold {_PART}")
    if (root / _WHOLE).exists():
        return {_WHOLE: None}
    found = [name for name in io.list_files(root, (".csv",)) if PurePosixPath(name).name == _PART]
    if not found:
        raise InputError(
            "FILE_MISSING", f"neither {_WHOLE} nor any {_PART} is there", where=root, remedy="give the folder of LISA"
        )
    parents = {name: PurePosixPath(name).parent.as_posix() for name in found}
    return {name: None if parent == "." else parent for name, parent in parents.items()}


def _marked(rows: pl.DataFrame, ignore: str) -> pl.DataFrame:
    """Add `ignore` and its reason."""
    other = pl.lit(ignore in ("other-road", "both")) & pl.col("on_another_road")
    unreadable = pl.lit(ignore in ("unreadable", "both")) & pl.col("tag").str.ends_with("Urdbl")
    reason = pl.when(other).then(pl.lit("on another road")).when(unreadable).then(pl.lit("unreadable"))
    return rows.with_columns(ignore=other | unreadable, ignore_reason=reason)
